package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/modelserver"
)

// apis are the families, and Converse as "".
func apis() []string {
	names := []string{""}
	for name := range modelIDs {
		names = append(names, name)
	}
	return names
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	_, endpoint, client := serve(t, modelserver.Options{Tokens: 50})
	for _, family := range apis() {
		t.Run("api "+family, func(t *testing.T) {
			t.Parallel()
			p := open(t, endpoint, family, client)
			prompt := runnel.Prompt{System: "Be brief.", Messages: []runnel.Message{
				runnel.TextMessage(runnel.User, "Hello"),
				runnel.TextMessage(runnel.Assistant, "Good morning"),
				runnel.TextMessage(runnel.User, "What is \"it\"?"),
			}}
			got := generate(t.Context(), p, prompt)
			if got.Err != nil || got.End == nil {
				t.Fatalf("no end: %v", got.Err)
			}
			if diff := cmp.Diff(modelserver.Text("What is \"it\"?", 50), got.Text); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if got.Deltas != 51 || got.End.StopReason != runnel.EndTurn {
				t.Errorf("%d deltas, stopped by %q", got.Deltas, got.End.StopReason)
			}
			if u := got.End.Usage; u == nil || u.OutputTokens != 50 || u.InputTokens < 3 {
				t.Errorf("usage: %+v", u)
			}

			prompt.MaxTokens = 5
			got = generate(t.Context(), p, prompt)
			if got.Err != nil || got.End == nil || got.End.StopReason != runnel.MaxTokens || got.Deltas != 6 {
				t.Errorf("with a limit: %+v", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, endpoint, client := serve(t, modelserver.Options{})
	cases := []struct {
		settings string
		want     runnel.Kind
	}{
		{"status=400", runnel.Invalid},
		{"status=400 error=ServiceQuotaExceededException", runnel.Denied},
		{"status=401 error=What", runnel.Denied},
		{"status=403", runnel.Denied},
		{"status=403 error=ExpiredTokenException", runnel.Denied},
		{"status=404", runnel.Invalid},
		{"status=408", runnel.Unavailable},
		{"status=413 error=What", runnel.Invalid},
		{"status=424", runnel.Unavailable},
		{"status=429 retry-after=3s", runnel.Limited},
		{"status=429 error=What", runnel.Limited},
		{"status=429 error=ModelNotReadyException", runnel.Unavailable},
		{"status=500", runnel.Unavailable},
		{"status=503", runnel.Unavailable},
		{"status=599 error=What", runnel.Unavailable},
	}
	for _, c := range cases {
		t.Run(c.settings, func(t *testing.T) {
			t.Parallel()
			for _, family := range []string{"", "claude"} {
				got := generate(t.Context(), open(t, endpoint, family, client), ask("[[fault:"+c.settings+"]]"))
				checkError(t, got.Err, c.want)
				e, _ := errors.AsType[*runnel.Error](got.Err)
				if want := c.want == runnel.Limited && e.RetryAfter != 0; want != (e.RetryAfter == 3*time.Second) {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				if got.Deltas != 0 {
					t.Errorf("%d deltas with an error", got.Deltas)
				}
			}
		})
	}
}

func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	_, endpoint, client := serve(t, modelserver.Options{Tokens: 4})
	cases := []struct {
		settings string
		want     runnel.Kind
		tokens   int
	}{
		{"cut-after=2", runnel.Unavailable, 2},
		{"cut-after=2 inside=1", runnel.Unavailable, 2},
		{"end-after=0", runnel.Unavailable, 0},
		{"end-after=2", runnel.Unavailable, 2},
		{"end-after=4", runnel.Unavailable, 4},
		{"end-after=3 inside=1", runnel.Unavailable, 3},
		{"garbage-after=1", runnel.Unavailable, 1},
		{"error-after=1", runnel.Unavailable, 1},
		{"error-after=1 error=throttlingException", runnel.Limited, 1},
		{"error-after=0 error=validationException", runnel.Invalid, 0},
		{"error-after=1 error=internalServerException", runnel.Unavailable, 1},
		{"error-after=1 error=serviceUnavailableException", runnel.Unavailable, 1},
		{"error-after=1 error=modelTimeoutException", runnel.Unavailable, 1},
		{"error-after=1 error=newException", runnel.Unavailable, 1},
	}
	for _, c := range cases {
		t.Run(c.settings, func(t *testing.T) {
			t.Parallel()
			for _, family := range apis() {
				question := "[[fault:" + c.settings + "]]"
				got := generate(t.Context(), open(t, endpoint, family, client), ask(question))
				checkError(t, got.Err, c.want)
				if want := modelserver.Text(question, c.tokens); got.Text != want || got.End != nil {
					t.Errorf("%s: text %q, want %q; end %v", family, got.Text, want, got.End)
				}
			}
		})
	}
}

// waitFor waits until the server has seen n aborted streams.
func waitFor(t *testing.T, s *modelserver.Server, n int64) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Stats().Aborted != n {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("the upstream stream is still open: %+v", s.Stats())
		}
	}
}

func TestLeavingTheLoopClosesTheStream(t *testing.T) {
	t.Parallel()
	s, endpoint, client := serve(t, modelserver.Options{Tokens: 1000, TPS: 1})
	for d, err := range open(t, endpoint, "", client).Generate(t.Context(), ask("hi")) {
		if err != nil || d.Text == "" {
			t.Fatalf("first delta: %+v: %v", d, err)
		}
		break
	}
	waitFor(t, s, 1)
}

func TestContext(t *testing.T) {
	t.Parallel()
	s, endpoint, client := serve(t, modelserver.Options{Fault: modelserver.Fault{Stream: modelserver.Stall, After: 1}})
	p := open(t, endpoint, "claude", client)

	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for _, err := range p.Generate(ctx, ask("hi")) {
		if last = err; err == nil {
			cancel()
		}
	}
	checkError(t, last, runnel.Cancelled)
	waitFor(t, s, 1)

	ctx, cancel = context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	checkError(t, generate(ctx, p, ask("hi")).Err, runnel.Unavailable)
}

func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	_, endpoint, client := serve(t, modelserver.Options{Tokens: 3})
	dials := 0
	dial := client.Transport.(*http.Transport).Clone()
	client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		return dial.RoundTrip(r.WithContext(countDials(r.Context(), &dials)))
	})
	defer dial.CloseIdleConnections()
	for i := range 5 {
		if got := generate(t.Context(), open(t, endpoint, "", client), ask(fmt.Sprint(i))); got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections for 5 prompts one after the other", dials)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("no route to host")
	})}
	checkError(t, generate(t.Context(), open(t, "http://127.0.0.1:1", "", client), ask("hi")).Err, runnel.Unavailable)
}

func TestNotAStream(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: http.NoBody}, nil
	})}
	checkError(t, generate(t.Context(), open(t, "http://127.0.0.1:1", "", client), ask("hi")).Err, runnel.Unavailable)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
