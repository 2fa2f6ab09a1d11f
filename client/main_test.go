package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a network of one address, in memory, so that tests can run in a
// synctest bubble and time is virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outage is what a client's notify was told.
type outage struct {
	Err  string
	Wait time.Duration
}

// connect returns a client of a server that runs h, and what it reports.
func connect(t *testing.T, h http.Handler) (*client.Client, *[]outage) {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(network) })
	transport := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
	})
	var outages []outage
	c, err := client.New("http://gateway/", client.WithHTTPClient(&http.Client{Transport: transport}),
		client.WithNotify(func(err error, wait time.Duration) {
			o := outage{Wait: wait}
			if err != nil {
				o.Err = runnel.PublicMessage(err)
			}
			outages = append(outages, o)
		}))
	if err != nil {
		t.Fatal(err)
	}
	return c, &outages
}

// A gateway plays one session's log. Each connection is served by the next of
// its scripts; the last one serves all that follow.
type gateway struct {
	t       *testing.T
	scripts []func(w *writer, after runnel.Cursor)
	mu      sync.Mutex
	calls   int
	asked   []string // the cursor of each connection
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/v1/sessions/s/events" || r.Header.Get("Accept") != "text/event-stream" {
		g.t.Errorf("unexpected request %s %s", r.Method, r.URL)
	}
	after, err := runnel.ParseCursor(r.URL.Query().Get("after"))
	if err != nil {
		g.t.Error(err)
	}
	g.mu.Lock()
	script := g.scripts[min(g.calls, len(g.scripts)-1)]
	g.calls++
	g.asked = append(g.asked, after.String())
	g.mu.Unlock()
	script(&writer{t: g.t, ResponseWriter: w, r: r}, after)
}

// writer has what scripts say.
type writer struct {
	t *testing.T
	http.ResponseWriter
	r *http.Request
}

func (w *writer) open() {
	sse.SetHeader(w.Header())
	w.raw(": hello\n\n")
}

func (w *writer) raw(text string) {
	if _, err := io.WriteString(w, text); err != nil {
		return // the client has left
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// send writes events; those with a Seq get a cursor.
func (w *writer) send(events ...runnel.Event) {
	for _, ev := range events {
		var err error
		if ev.Body, err = wire.Append(nil, &ev); err != nil {
			w.t.Error(err)
		}
		w.raw(string(sse.AppendEvent(nil, &ev)))
	}
}

// cut ends the connection as a crash would.
func (w *writer) cut() { panic(http.ErrAbortHandler) }

// stay keeps the connection until the client leaves.
func (w *writer) stay() { <-w.r.Context().Done() }

func (w *writer) refuse(status int, kind runnel.Kind, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": runnel.Failure{Kind: kind.String(), Message: message}})
}

// delta is the n-th event of a log: the text n of generation g.
func delta(n int) runnel.Event {
	return runnel.Event{
		Cursor: cursor(n), Generation: "g", Attempt: 1, Type: runnel.EventDelta, Text: fmt.Sprint(n),
	}
}

func cursor(n int) runnel.Cursor { return runnel.Cursor{Epoch: "e", Seq: runnel.Seq(n)} }

func deltas(from, to int) []runnel.Event {
	var events []runnel.Event
	for n := from; n <= to; n++ {
		events = append(events, delta(n))
	}
	return events
}
