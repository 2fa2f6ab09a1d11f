package wsconn_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// A rig is a server with one door.
type rig struct {
	conns  *wsconn.Conns
	ln     net.Listener
	ended  chan *wsconn.CloseError // how each connection has ended, for its door
	opened chan *wsconn.Conn
}

// start serves on ln until the end of the test; serve is what the door does with
// a message.
func start(t *testing.T, ln net.Listener, cfg wsconn.Config, serve func(c *wsconn.Conn, msg []byte)) *rig {
	t.Helper()
	r := &rig{conns: wsconn.NewConns(cfg), ln: ln, ended: make(chan *wsconn.CloseError, 5000), opened: make(chan *wsconn.Conn, 5000)}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Middleware", "kept")
		if all := wsconn.Protocols(req); len(all) > 0 {
			w.Header().Set("Sec-WebSocket-Protocol", all[0])
		}
		err := r.conns.Serve(w, req, func(c *wsconn.Conn) { r.serve(c, serve) })
		if e, ok := errors.AsType[*wsconn.HandshakeError](err); ok {
			for k, v := range e.Header {
				w.Header()[k] = v
			}
			http.Error(w, e.Msg, e.Status)
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() {
		r.end(t)
		_ = srv.Close()
		serving.Wait()
	})
	return r
}

func (r *rig) serve(c *wsconn.Conn, serve func(*wsconn.Conn, []byte)) {
	r.opened <- c
	for {
		msg, err := c.Read()
		if err != nil {
			e, _ := errors.AsType[*wsconn.CloseError](err)
			r.ended <- e
			return
		}
		serve(c, msg)
	}
}

func (r *rig) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.conns.End(ctx); err != nil {
		t.Errorf("End: %v", err)
	}
	if n := r.conns.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// echo is a door that sends back what it gets.
func echo(c *wsconn.Conn, msg []byte) { _ = c.Send(wsconn.AppendText(nil, msg)) }

// dial connects an independent client.
func (r *rig) dial(t *testing.T, opts *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), "ws://"+r.ln.Addr().String()+"/", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(-1)
	return ws
}

const handshake = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// raw connects a bare socket and returns it behind the handshake.
func (r *rig) raw(t *testing.T, more ...string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, open(t, conn, more...)
}

func open(t *testing.T, conn net.Conn, more ...string) *bufio.Reader {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, handshake+strings.Join(more, "")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || resp.Header.Get("X-Middleware") != "kept" {
		t.Fatalf("got %s %v", resp.Status, resp.Header)
	}
	return in
}

// waitFor returns when cond holds. It runs in real time.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}
