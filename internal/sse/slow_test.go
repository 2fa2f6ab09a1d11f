package sse_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
)

// A pipeListener accepts the other ends of in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	l.conns <- server
	return client, nil
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, ln.dial, sse.Config{})
		begin := time.Now()
		_, body := r.get(t, "/")
		pings := 0
		for pings < 4 {
			line, err := body.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ": ping\n" {
				pings++
			}
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("four heartbeats in %v", took)
		}
	})
}

// TestSlowViewer has three viewers of the same busy session: one reads all at
// once, one a kilobyte a second, one nothing at all. In virtual time, with the
// default time-outs.
func TestSlowViewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events, size = 300, 1000 // more than 16 KiB, so more than a deadline's worth
		ln := newPipeListener()
		r := start(t, ln, ln.dial, sse.Config{})
		_, fast := r.get(t, "/")
		slowConn, slow := r.get(t, "/")
		_, stopped := r.get(t, "/")
		_ = stopped

		begin := time.Now()
		var all sync.WaitGroup
		count := func(name string, body io.Reader, took *time.Duration) {
			frames := sse.NewReader(body, 1<<20)
			for range events {
				if _, err := frames.Next(); err != nil {
					t.Errorf("the %s viewer: %v", name, err)
					return
				}
			}
			*took = time.Since(begin)
		}
		var fastTook, slowTook time.Duration
		all.Go(func() { count("fast", fast, &fastTook) })
		all.Go(func() {
			paced := io.MultiReader(io.LimitReader(slow, int64(slow.Buffered())), pacedReader{slowConn})
			count("slow", paced, &slowTook)
		})
		for range events {
			r.append(t, "g", runnel.EventDelta, strings.Repeat("x", size))
		}
		time.Sleep(151 * time.Second)
		synctest.Wait()
		if n := r.viewers.Len(); n != 2 {
			t.Errorf("%d viewers after the write time-out; the one that does not read should be gone", n)
		}
		all.Wait()
		if fastTook > time.Second || slowTook < 300*time.Second {
			t.Errorf("the fast viewer took %v, the slow one %v", fastTook, slowTook)
		}
	})
}

// TestStoppedViewersOnTCP has the kernel's buffers between us and clients that
// do not read: they must be cut all the same, and nobody may wait for them.
func TestStoppedViewersOnTCP(t *testing.T) {
	t.Parallel()
	const stopped, events = 20, 200
	r := startTCP(t, sse.Config{WriteTimeout: 200 * time.Millisecond})
	for range stopped {
		conn, _ := r.get(t, "/")
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	_, body := r.get(t, "/")
	frames := sse.NewReader(body, 1<<20)
	for i := range events {
		r.append(t, "g", runnel.EventDelta, strings.Repeat("x", 40<<10))
		if _, err := frames.Next(); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	waitFor(t, "the stopped viewers to be cut", func() bool { return r.viewers.Len() == 1 })
}

// A pacedReader reads a kilobyte a second.
type pacedReader struct{ r io.Reader }

func (p pacedReader) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	return p.r.Read(b[:min(len(b), 1000)])
}
