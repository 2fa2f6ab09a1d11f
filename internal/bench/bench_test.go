package bench_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/bench"
)

func options(t *testing.T) bench.Options {
	t.Helper()
	opts := bench.Options{Program: os.Args[0], Version: "test", Command: "test", Log: t.Output()}
	opts.Shrink()
	return opts
}

// TestRun runs every part with the real program, as briefly as can be.
func TestRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("memory and processor time are read from /proc")
	}
	report, err := bench.Run(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Sections) != len(bench.Parts()) {
		t.Errorf("got %d sections, want %d", len(report.Sections), len(bench.Parts()))
	}
	for _, s := range report.Sections {
		if len(s.Rows) == 0 || len(s.Findings) == 0 || s.How == "" {
			t.Errorf("%s: nothing was found: %+v", s.Title, s)
		}
		for _, row := range s.Rows {
			if len(row) != len(s.Head) {
				t.Errorf("%s: a row has %d cells below %d headings: %q", s.Title, len(row), len(s.Head), row)
			}
		}
	}
}

func TestRunRefusesUnknownParts(t *testing.T) {
	t.Parallel()
	opts := options(t)
	opts.Only = []string{"stop", "colour"}
	_, err := bench.Run(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), `"colour"`) || !strings.Contains(err.Error(), "ttft") {
		t.Errorf("got %v, want an error that names it and what there is", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	opts := options(t)
	opts.Log = writerFunc(func([]byte) (int, error) { cancel(); return 0, nil }) // when the first part begins
	if _, err := bench.Run(ctx, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestRunSaysWhyAProgramDoesNotStart(t *testing.T) {
	t.Parallel()
	opts := options(t)
	opts.Program = "/nonexistent"
	if _, err := bench.Run(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "bench: start bench: ") {
		t.Errorf("got %v", err)
	}
}

// answered is a gateway's answer, as far as [bench.Server] looks at it.
const answered = `event: generation.queued
data: {"v":1,"type":"generation.queued","generation":"g","attempt":0,"prompt":"p"}

event: delta
data: {"v":1,"type":"delta","generation":"g","attempt":1,"text":"Hello"}

event: delta
data: {"v":1,"type":"delta","generation":"g","attempt":1,"text":" world"}

`

func TestServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, end, want string // part of the error
		status          int
	}{
		{name: "done", end: `{"v":1,"type":"generation.done","generation":"g","attempt":1,"stop_reason":"end_turn"}`},
		{name: "failed", end: `{"v":1,"type":"generation.failed","generation":"g","attempt":1,"kind":"unavailable","message":"no model"}`, want: "no model"},
		{name: "cut", want: "no answer"},
		{name: "refused", status: http.StatusTooManyRequests, want: "429"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/below/v1/sessions/bench-") || r.Header.Get("Accept") != "text/event-stream" {
					t.Errorf("request for %s with %v", r.URL.Path, r.Header)
				}
				if tt.status != 0 {
					w.WriteHeader(tt.status)
					return
				}
				body := answered
				if tt.end != "" {
					body += "event: end\ndata: " + tt.end + "\n\n"
				}
				_, _ = w.Write([]byte(body))
			}))
			defer gateway.Close()
			report, err := bench.Server(t.Context(), options(t), gateway.URL+"/below/", bench.Load{Streams: 2, Prompts: 5, Prompt: "p"})
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "":
				var b bytes.Buffer
				if _, err := report.WriteTo(&b); err != nil || !strings.Contains(b.String(), "5 prompts, 2 at once") {
					t.Errorf("got %v and\n%s", err, b.String())
				}
			}
		})
	}
	for _, address := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		if _, err := bench.Server(t.Context(), options(t), address, bench.Load{Streams: 1, Prompts: 1}); err == nil {
			t.Errorf("%q was taken for an address", address)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("you asked for " + r.URL.Path))
	}))
	defer model.Close()
	target, err := url.Parse(model.URL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- bench.Proxy(ctx, listener, target) }()

	resp, err := http.Get("http://" + listener.Addr().String() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || b.String() != "you asked for /x" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	resp.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOwnEnviron(t *testing.T) {
	t.Parallel()
	got := bench.OwnEnviron([]string{"PATH=/bin", "RUNNEL_MODEL=expensive", "RUNNELS=2"})
	if diff := cmp.Diff([]string{"PATH=/bin", "RUNNELS=2"}, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestCPUOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("processor time is read from /proc")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		used, err := bench.CPUOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if used > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("this loop took no time")
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
