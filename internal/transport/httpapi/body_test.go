package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

// oneConn is a listener of one connection.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
}

func (l oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l oneConn) Close() error   { close(l.done); return nil }
func (l oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial returns a connection to the door within a bubble of virtual time, and
// ends everything at the end of the test.
func dial(t *testing.T, m model) net.Conn {
	t.Helper()
	core := session.New(memlog.New(), m, session.Config{DrainTimeout: time.Millisecond})
	mux := http.NewServeMux()
	httpapi.New(core, httpapi.Config{}).Register(mux.Handle)
	client, server := net.Pipe()
	ln := oneConn{make(chan net.Conn, 1), make(chan struct{})}
	ln.conn <- server
	srv := &http.Server{Handler: mux}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(ln) })
	running.Go(func() { _ = core.Run(ctx) })
	t.Cleanup(func() {
		_ = client.Close()
		_ = srv.Close()
		cancel()
		running.Wait()
	})
	return client
}

// TestBodyThatDoesNotCome has clients that announce a body and send nothing,
// where it is read and where it is refused.
func TestBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]int{
		"POST /v1/sessions/s/prompts HTTP/1.1":                             400,
		"POST /v1/sessions/s/prompts HTTP/1.1\r\nContent-Type: text/plain": 415,
		"POST /v1/generations/nope/cancel HTTP/1.1":                        404,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := dial(t, says())
			_, _ = io.WriteString(conn, head+"\r\nHost: test\r\nContent-Length: 9\r\n\r\n")
			begin := time.Now()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if took := time.Since(begin); resp.StatusCode != want || took > 30*time.Second {
				t.Errorf("%s: got %s after %v", head, resp.Status, took)
			}
		})
	}
}

// TestBodyTimeoutSparesTheStream has an answer that takes longer than a body may.
func TestBodyTimeoutSparesTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := make(model)
		conn := dial(t, m)
		body := `{"prompt":"why?"}`
		req, err := http.NewRequest("POST", "http://test/v1/sessions/s/prompts", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		go func() { _ = req.Write(conn) }()
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(45 * time.Second) // virtual
			m <- "at last"
			close(m)
		}()
		frames := sse.NewReader(resp.Body, 1<<20)
		for {
			if ev := next(t, frames); ev.Type == "generation.done" {
				break
			}
		}
	})
}
