package obs_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/obs"
)

func scrape(t *testing.T, m *obs.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics()
	m.Accepted(200 * time.Microsecond)
	m.Started("echo")
	m.TookOver("echo", "continued")
	m.FirstToken("echo", 20*time.Millisecond)
	m.TokenGap("echo", 3*time.Millisecond)
	m.Retried("echo", runnel.Limited)
	m.Appended()
	begin := time.Now()
	m.Ended("echo", &runnel.Turn{State: runnel.Done, AcceptedAt: begin, EndedAt: begin.Add(time.Second), Usage: &runnel.Usage{InputTokens: 3, OutputTokens: 4}})
	m.Ended("echo", &runnel.Turn{State: runnel.Failed, AcceptedAt: begin, EndedAt: begin, Failure: &runnel.Failure{Kind: "what a publisher calls it"}})
	m.Published()
	m.Connections(func() int { return 9 })
	m.Log(func() obs.LogFigures { return obs.LogFigures{Sessions: 5, Gaps: 6, Undecodable: 1} })
	m.LogLag(time.Millisecond)
	m.Failed("sse")(runnel.Gone)
	m.Readers("sse", func() int { return 7 })
	m.Readers("graphql", func() int { return 8 })
	m.InFlight(func() int { return 2 })
	m.QueueDepth(func() int { return 3 })

	got := scrape(t, m)
	for _, want := range []string{
		`runnel_accept_seconds_bucket{le="0.0002"} 1`,
		`runnel_attempts_total{model="echo"} 1`,
		`runnel_takeovers_total{how="continued",model="echo"} 1`,
		`runnel_time_to_first_token_seconds_count{model="echo"} 1`,
		`runnel_token_gap_seconds_count{model="echo"} 1`,
		`runnel_upstream_retries_total{kind="limited",model="echo"} 1`,
		`runnel_events_appended_total 1`,
		`runnel_generations_total{model="echo",outcome="done"} 1`,
		`runnel_generation_seconds_sum{model="echo",outcome="done"} 1`,
		`runnel_log_lag_seconds_count 1`,
		`runnel_errors_total{kind="gone",transport="sse"} 1`,
		`runnel_readers{transport="sse"} 7`,
		`runnel_readers{transport="graphql"} 8`,
		`runnel_generations_in_flight 2`,
		`runnel_queue_depth 3`,
		`runnel_usage_tokens_total{model="echo",type="input"} 3`,
		`runnel_usage_tokens_total{model="echo",type="output"} 4`,
		`runnel_generation_failures_total{kind="internal",model="echo"} 1`,
		`runnel_pieces_published_total 1`,
		`runnel_connections 9`,
		`runnel_sessions_read 5`,
		`runnel_log_gaps_healed_total 6`,
		`runnel_events_undecodable_total 1`,
		`go_goroutines`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
}

func TestPerTokenPathDoesNotAllocate(t *testing.T) {
	m := obs.NewMetrics()
	f := func() {
		m.TokenGap("echo", time.Millisecond)
		m.Appended()
		m.LogLag(time.Millisecond)
	}
	f()
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

func TestNewLogger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		level, format string
		want          string // of a warning
		debug         bool
	}{
		{"", "", `"msg":"careful","n":1}`, false},
		{"debug", "auto", `"msg":"careful","n":1}`, true},
		{"warn", "text", `msg=careful n=1`, false},
		{"INFO", "json", `"level":"WARN"`, false},
	} {
		var out bytes.Buffer
		log, err := obs.NewLogger(&out, tt.level, tt.format)
		if err != nil {
			t.Fatal(err)
		}
		log.Warn("careful", "n", 1)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("level %q, format %q: got %s, want %s", tt.level, tt.format, out.String(), tt.want)
		}
		if got := log.Enabled(context.Background(), -4); got != tt.debug {
			t.Errorf("level %q: debug is %v, want %v", tt.level, got, tt.debug)
		}
	}
	for _, bad := range [][2]string{{"loud", ""}, {"", "xml"}} {
		if _, err := obs.NewLogger(&bytes.Buffer{}, bad[0], bad[1]); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func BenchmarkTokenGap(b *testing.B) {
	m := obs.NewMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.TokenGap("echo", time.Millisecond)
	}
}
