package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/sse"
)

const session runnel.SessionID = "s"

// A rig is a server with one route, which streams one session.
type rig struct {
	log     *memlog.Engine
	reads   atomic.Int64 // how often viewers have asked for more
	viewers *sse.Viewers
	ln      net.Listener
	dial    func() (net.Conn, error)
}

// Read implements [sse.Sessions].
func (r *rig) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	r.reads.Add(1)
	return r.log.Read(ctx, id, after)
}

// start serves on ln until the end of the test.
func start(t *testing.T, ln net.Listener, dial func() (net.Conn, error), cfg sse.Config) *rig {
	t.Helper()
	r := &rig{log: memlog.New(), ln: ln, dial: dial}
	r.viewers = sse.NewViewers(r, cfg)
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Middleware", "kept")
		after, err := runnel.ParseCursor(req.Header.Get("Last-Event-ID"))
		if err != nil {
			t.Error(err)
		}
		r.viewers.Serve(w, req, sse.Source{Session: session, After: after, Generation: runnel.GenerationID(req.URL.Query().Get("generation"))})
	})}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() {
		r.end(t)
		_ = srv.Close()
		serving.Wait()
	})
	return r
}

// startTCP serves on a loopback port.
func startTCP(t *testing.T, cfg sse.Config) *rig {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return start(t, ln, func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }, cfg)
}

func (r *rig) end(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.viewers.End(ctx); err != nil {
		t.Errorf("End: %v", err)
	}
}

func (r *rig) append(t *testing.T, gen runnel.GenerationID, typ runnel.EventType, text string) runnel.Cursor {
	t.Helper()
	c, err := r.log.Append(context.Background(), runnel.Event{Session: session, Generation: gen, Attempt: 1, Type: typ, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get sends a request, with further lines of its head, and returns the
// connection with the response's body behind its head.
func (r *rig) get(t *testing.T, target string, head ...string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: test"}, head...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	body := bufio.NewReader(conn)
	resp, err := http.ReadResponse(body, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != sse.ContentType || resp.Header.Get("X-Middleware") != "kept" {
		t.Fatalf("got %s %v", resp.Status, resp.Header)
	}
	return conn, body
}

// waitFor returns when cond holds. It runs in real time.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{})
	first := r.append(t, "g", runnel.EventDelta, "one")
	_, body := r.get(t, "/")
	frames := sse.NewReader(body, 1<<20)
	expect := func(want string) {
		t.Helper()
		f, err := frames.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Type) + " " + string(f.Data); !strings.HasPrefix(got, "delta {") || !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	expect("one")
	second := r.append(t, "g", runnel.EventDelta, "two\nlines")
	expect(`two\nlines`)

	// Another viewer goes on where the first event was.
	_, body = r.get(t, "/", "Last-Event-ID: "+first.String())
	f, err := sse.NewReader(body, 1<<20).Next()
	if err != nil || string(f.ID) != second.String() {
		t.Errorf("resumed with id %s, %v; want %s", f.ID, err, second)
	}
}

func TestOneGeneration(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{})
	r.append(t, "other", runnel.EventDelta, "x")
	r.append(t, "mine", runnel.EventDelta, "a")
	r.append(t, "other", runnel.EventDone, "")
	conn, body := r.get(t, "/?generation=mine", "Connection: close")
	frames := sse.NewReader(body, 1<<20)
	var got []string
	for range 2 {
		f, err := frames.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(f.Type))
		if len(got) == 1 {
			r.append(t, "mine", runnel.EventDone, "")
			r.append(t, "mine", runnel.EventDelta, "late")
		}
	}
	if fmt.Sprint(got) != "[delta generation.done]" {
		t.Errorf("got %v", got)
	}
	// The chunk that ends the body, and the end of the connection.
	rest, err := io.ReadAll(body)
	if err != nil || strings.Contains(string(rest), "late") {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	_ = conn.Close()
	waitFor(t, "the viewer to go", func() bool { return r.viewers.Len() == 0 })
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.ln.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	frames := sse.NewReader(resp.Body, 1<<20)
	want := r.append(t, "g", runnel.EventDelta, "one")
	if f, err := frames.Next(); err != nil || resp.ProtoMajor != 2 || string(f.ID) != want.String() {
		t.Fatalf("%s: got %s, %v; want %s", resp.Proto, f.ID, err, want)
	}
	cancel()
	waitFor(t, "the viewer to go", func() bool { return r.viewers.Len() == 0 })
}

func TestHead(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{})
	resp, err := http.Head("http://" + r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("Content-Type") != sse.ContentType || r.viewers.Len() != 0 {
		t.Errorf("got %v with %d viewers", resp.Header, r.viewers.Len())
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{})
	conn, _ := r.get(t, "/")
	if n := r.viewers.Len(); n != 1 {
		t.Fatalf("%d viewers", n)
	}
	_ = conn.Close()
	waitFor(t, "the viewer to go", func() bool { return r.viewers.Len() == 0 })

	// One that talks without end is shown the door.
	conn, _ = r.get(t, "/")
	_, _ = conn.Write(make([]byte, 8<<10))
	waitFor(t, "the viewer to go", func() bool { return r.viewers.Len() == 0 })
}

func TestFailureOnTheStream(t *testing.T) {
	t.Parallel()
	failed := make(chan runnel.Kind, 1)
	r := startTCP(t, sse.Config{Failed: func(k runnel.Kind) { failed <- k }})
	// A cursor that memlog has not given out is a reset, which only the core
	// can build; to a stream it is an error like any other.
	_, body := r.get(t, "/", "Last-Event-ID: zz-99")
	f, err := sse.NewReader(body, 1<<20).Next()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(f.Type)+string(f.Data), `error{"kind":"internal","message":"internal error"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("the stream goes on: %q, %v", rest, err)
	}
	if k := <-failed; k != runnel.Internal {
		t.Errorf("recorded %s", k)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	r := startTCP(t, sse.Config{DrainSpread: time.Hour})
	var bodies []*bufio.Reader
	for range 50 {
		_, body := r.get(t, "/")
		bodies = append(bodies, body)
	}
	r.end(t)
	if n := r.viewers.Len(); n != 0 {
		t.Errorf("%d viewers are left", n)
	}
	_, late := r.get(t, "/") // with a 200: an EventSource comes back
	waits := make(map[string]bool)
	for _, body := range append(bodies, late) {
		all, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		last := strings.TrimSpace(string(all[strings.LastIndex(string(all), "retry: "):]))
		waits[last] = true
		if ms, err := strconv.Atoi(strings.TrimPrefix(last, "retry: ")); err != nil || ms >= 1000 {
			t.Errorf("one of few clients is told %q", last)
		}
	}
	if len(waits) < 40 {
		t.Errorf("clients come back at the same time: %v", waits)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	log := memlog.New()
	viewers := sse.NewViewers(log, sse.Config{})
	srv := &http.Server{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As an authenticator does whose credentials run out.
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		viewers.Serve(w, r.WithContext(ctx), sse.Source{Session: session})
	})
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	defer serving.Wait()
	defer srv.Close()
	resp, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil { // returns at the end only
		t.Fatal(err)
	}
}
