package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/functionurl"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

// A gateway is everything but the listener: the real core and the real doors.
type gateway struct {
	core   *session.Service
	engine *memlog.Engine
	doors  []server.Door
}

type routes struct{ p runnel.Provider }

func (r routes) Lookup(name string) ([]runnel.Candidate, error) {
	if name != "" {
		return nil, runnel.Errorf(runnel.Invalid, "unknown model %q", name)
	}
	return []runnel.Candidate{{Name: "echo", Provider: r.p}}, nil
}

// open starts a gateway whose model is p, until the end of the test. wrap goes
// between the doors and the core.
func open(t *testing.T, p runnel.Provider, wrap func(runnel.Sessions) runnel.Sessions) *gateway {
	t.Helper()
	g := &gateway{engine: memlog.New()}
	g.core = session.New(g.engine, routes{p}, session.Config{DrainTimeout: time.Millisecond})
	sessions := wrap(g.core)
	native := httpapi.New(sessions, httpapi.Config{MaxPrompt: 1000, Stream: sse.Config{DrainSpread: time.Minute}})
	raw := functionurl.New(sessions, functionurl.Config{MaxPrompt: 1000})
	g.doors = []server.Door{
		{Name: "httpapi", Register: native.Register, End: native.End, Error: httpapi.WriteError},
		{Name: "functionurl", Register: raw.Register, End: raw.End, Error: functionurl.WriteError},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.core.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the core: %v", err)
		}
	})
	return g
}

func bare(s runnel.Sessions) runnel.Sessions { return s }

// TestDrain stops a server while an answer runs that somebody watches. The
// answer is to reach them, and they are to be told when to come back.
func TestDrain(t *testing.T) {
	t.Parallel()
	g := open(t, echo.New(echo.Config{TPS: 200, Tokens: 40}), bare)
	draining, drained := make(chan struct{}), make(chan struct{})
	r := run(t, server.Config{
		Doors: g.doors,
		Drain: func(ctx context.Context) error {
			close(draining)
			select {
			case <-drained:
			case <-ctx.Done():
			}
			return ctx.Err()
		},
	})
	watch := func() *bufio.Reader {
		resp, err := http.Get(r.url + "/v1/sessions/s/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		return bufio.NewReader(resp.Body)
	}
	early := watch()
	resp, err := http.Post(r.url+"/", "application/json", strings.NewReader(`{"prompt":"why?","sessionId":"s"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	<-draining
	if resp, body := r.do(t, "GET", "/readyz"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"draining":true`) {
		t.Errorf("while draining: %s %s", resp.Status, body)
	}
	late := watch() // still possible
	if text, err := io.ReadAll(resp.Body); err != nil || len(text) == 0 {
		t.Errorf("the running answer: %q, %v", text, err)
	}
	for name, body := range map[string]*bufio.Reader{"early": early, "late": late} {
		if err := readTo(body, "event: generation.done"); err != nil {
			t.Errorf("the %s viewer: %v", name, err)
		}
	}
	close(drained)
	for name, body := range map[string]*bufio.Reader{"early": early, "late": late} {
		if err := readTo(body, "retry: "); err != nil {
			t.Errorf("the %s viewer was not told to come back: %v", name, err)
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 1 {
			t.Errorf("the %s viewer's end: %q, %v", name, rest, err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(r.url + "/healthz"); err == nil {
		t.Error("the server still serves")
	}
}

func readTo(r *bufio.Reader, prefix string) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("waiting for %q: %w", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return nil
		}
	}
}

// TestStopCutsWhatStays stops a server one of whose handlers does not end.
func TestStopCutsWhatStays(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	hanging := server.Door{Name: "hanging", Register: func(handle func(string, http.Handler)) {
		handle("GET /hang", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			close(entered)
			<-r.Context().Done()
		}))
	}}
	r := run(t, server.Config{Doors: []server.Door{hanging}, CloseTimeout: time.Millisecond})
	resp, err := http.Get(r.url + "/hang")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-entered
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a response that was cut looks complete")
	}
}

func TestListenerFails(t *testing.T) {
	t.Parallel()
	ln := newClosedListener(t)
	s, err := server.New(ln, server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "server: serve") {
		t.Errorf("got %v", err)
	}
}

func newClosedListener(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln
}
