package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// A model answers with what it is sent, and ends when that is closed; an empty
// fragment makes it fail.
type model chan string

func (m model) Generate(ctx context.Context, _ runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		for {
			select {
			case text, ok := <-m:
				switch {
				case !ok:
					yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn, Usage: &runnel.Usage{InputTokens: 1, OutputTokens: 2}}}, nil)
					return
				case text == "":
					yield(runnel.Delta{}, runnel.Errorf(runnel.Denied, "the vendor refuses"))
					return
				case !yield(runnel.Delta{Text: text}, nil):
					return
				}
			case <-ctx.Done():
				yield(runnel.Delta{}, ctx.Err())
				return
			}
		}
	}
}

// says returns a model that says its text at once.
func says(fragments ...string) model {
	m := make(model, len(fragments))
	for _, f := range fragments {
		m <- f
	}
	close(m)
	return m
}

func (m model) Lookup(name string) ([]runnel.Candidate, error) {
	if name != "" && name != "test" {
		return nil, runnel.Errorf(runnel.Invalid, "unknown model %q", name)
	}
	return []runnel.Candidate{{Name: "test", Provider: m}}, nil
}

// A rig is the door on a port, with the real core behind it.
type rig struct {
	url    string
	engine *memlog.Engine
	door   *httpapi.Handler
}

// start runs a rig until the end of the test. wrap, if not nil, goes between
// the door and the core.
func start(t *testing.T, m model, wrap func(runnel.Sessions) runnel.Sessions) *rig {
	t.Helper()
	engine := memlog.New()
	core := session.New(engine, m, session.Config{FlushInterval: -1, DrainTimeout: time.Millisecond})
	var sessions runnel.Sessions = core
	if wrap != nil {
		sessions = wrap(core)
	}
	door := httpapi.New(sessions, httpapi.Config{MaxPrompt: 1000, Stream: sse.Config{Retry: 2 * time.Millisecond}})
	mux := http.NewServeMux()
	door.Register(mux.Handle)
	srv := httptest.NewServer(mux)

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := core.Run(ctx); err != nil {
			t.Errorf("the core: %v", err)
		}
	})
	t.Cleanup(func() {
		ending, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		if err := door.End(ending); err != nil {
			t.Errorf("End: %v", err)
		}
		srv.CloseClientConnections()
		srv.Close()
		cancel()
		running.Wait()
	})
	return &rig{srv.URL, engine, door}
}

// do sends a request with header lines such as "Accept: text/plain".
func (r *rig) do(t *testing.T, method, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func decode[T any](t *testing.T, resp *http.Response) (v T) {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", resp.Status, err, data)
	}
	return v
}

func (r *rig) submit(t *testing.T, session, prompt string) runnel.Receipt {
	t.Helper()
	resp := r.do(t, "POST", "/v1/sessions/"+session+"/prompts", fmt.Sprintf(`{"prompt":%q}`, prompt))
	if resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	return decode[runnel.Receipt](t, resp)
}

// await returns when the generation has ended.
func (r *rig) await(t *testing.T, gen runnel.GenerationID) runnel.Generation {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		g := decode[runnel.Generation](t, r.do(t, "GET", "/v1/generations/"+string(gen), ""))
		if g.State.Ended() {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", g.State)
		}
	}
}

// An event is one frame, as a client sees it.
type event struct {
	ID, Type, Data string
}

func next(t *testing.T, frames *sse.Reader) event {
	t.Helper()
	f, err := frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	return event{string(f.ID), string(f.Type), string(f.Data)}
}

func frames(resp *http.Response) *sse.Reader { return sse.NewReader(resp.Body, 1<<20) }
