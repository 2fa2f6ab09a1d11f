package wsconn_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel/internal/wsconn"
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

func (l *pipeListener) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	client, server := net.Pipe()
	l.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	in := open(t, client)
	_ = client.SetDeadline(time.Time{})
	return client, in
}

// expect reads exactly want.
func expect(t *testing.T, in io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

const (
	goingAway = "\x88\x0c\x03\xe9Going away"
	hi        = "\x81\x82\x00\x00\x00\x00hi"
)

func within(t *testing.T, begin time.Time, want time.Duration) {
	t.Helper()
	if took := time.Since(begin); took < want || took > want+10*time.Millisecond {
		t.Errorf("it took %v, want %v", took, want)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{Idle: 10 * time.Minute}, echo)
		begin := time.Now()
		conn, in := ln.dial(t)
		c := <-r.opened
		time.Sleep(9 * time.Minute)
		_, _ = io.WriteString(conn, hi)
		expect(t, in, "\x81\x02hi")
		time.Sleep(9 * time.Minute)
		_ = c.Send(frame("on")) // a message either way
		expect(t, in, "\x81\x02on")
		time.Sleep(9 * time.Minute)
		_, _ = io.WriteString(conn, "\x89\x80\x00\x00\x00\x00") // a ping is no message
		expect(t, in, "\x8a\x00")
		expect(t, in, goingAway)
		within(t, begin, 28*time.Minute)
		// It does not answer: that is not waited for.
		if _, err := in.ReadByte(); err != io.EOF {
			t.Error(err)
		}
		within(t, begin, 28*time.Minute+3*time.Second)
		if got := <-r.ended; got.Code != wsconn.GoingAway || !errors.Is(got, wsconn.ErrIdle) {
			t.Errorf("ended with %+v", got)
		}
	})
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{Idle: 10 * time.Minute, MaxAge: 2 * time.Hour, ControlCounts: true}, echo)
		begin := time.Now()
		conn, in := ln.dial(t)
		for range 23 {
			time.Sleep(5 * time.Minute)
			_, _ = io.WriteString(conn, "\x8a\x80\x00\x00\x00\x00")
		}
		expect(t, in, goingAway)
		within(t, begin, 2*time.Hour)
		_, _ = io.WriteString(conn, "\x88\x80\x00\x00\x00\x00")
		if got := <-r.ended; got.Code != wsconn.GoingAway || !errors.Is(got, wsconn.ErrOld) {
			t.Errorf("ended with %+v", got)
		}
		within(t, begin, 2*time.Hour)
	})
}

// A message that comes a byte at a time must not keep its buffer for ever.
func TestDrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{}, echo)
		begin := time.Now()
		conn, in := ln.dial(t)
		_, _ = io.WriteString(conn, hi)
		expect(t, in, "\x81\x02hi")
		var dripping sync.WaitGroup
		defer dripping.Wait()
		dripping.Go(func() {
			_, err := conn.Write([]byte{0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0})
			for err == nil {
				time.Sleep(time.Second)
				_, err = conn.Write([]byte("x"))
			}
		})
		expect(t, in, "\x88\x1c\x03\xf0the message takes too long")
		within(t, begin, time.Minute)
		if got := <-r.ended; got.Code != wsconn.Policy {
			t.Errorf("ended with %+v", got)
		}
		_ = conn.Close()
	})
}

func TestBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{Beat: 30 * time.Second}, echo)
		conn, in := ln.dial(t)
		for range 3 {
			expect(t, in, "\x89\x00")
			_, _ = io.WriteString(conn, "\x8a\x80\x00\x00\x00\x00")
		}
		begin := time.Now()
		expect(t, in, "\x89\x00") // which stays without an answer
		if _, err := in.ReadByte(); err != io.EOF {
			t.Error(err)
		}
		within(t, begin, time.Minute)
		if got := <-r.ended; got.Code != wsconn.Abnormal {
			t.Errorf("ended with %+v", got)
		}
	})
}

// A door's own keep-alive needs no answer.
func TestBeatFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		start(t, ln, wsconn.Config{Beat: time.Minute, BeatFrames: frame(`{"type":"ka"}`)}, echo)
		begin := time.Now()
		_, in := ln.dial(t)
		for range 10 {
			expect(t, in, "\x81\x0d{\"type\":\"ka\"}")
		}
		within(t, begin, 10*time.Minute)
	})
}

func TestReadDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		conns := wsconn.NewConns(wsconn.Config{})
		done := make(chan error, 1)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("X-Middleware", "kept")
			_ = conns.Serve(w, req, func(c *wsconn.Conn) {
				c.SetReadDeadline(time.Now().Add(15 * time.Second))
				if _, err := c.Read(); err != nil {
					t.Error(err)
				}
				c.SetReadDeadline(time.Now().Add(20 * time.Second))
				_, err := c.Read()
				c.Close(4408, "too late")
				done <- err
			})
		})}
		go func() { _ = srv.Serve(ln) }()
		begin := time.Now()
		conn, in := ln.dial(t)
		time.Sleep(10 * time.Second)
		_, _ = io.WriteString(conn, hi)
		expect(t, in, "\x88\x0a\x11\x38too late")
		within(t, begin, 30*time.Second)
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_ = conn.Close()
		_ = conns.End(t.Context())
		_ = srv.Close()
	})
}

// The end of the server does not wait for clients that do not answer.
func TestEndIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{}, hold)
		for range 3 {
			ln.dial(t) // they read nothing
			_ = (<-r.opened).Send(frame("x"))
		}
		begin := time.Now()
		r.end(t)
		within(t, begin, 3*time.Second)
	})
}
