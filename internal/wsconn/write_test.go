package wsconn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// hold is a door that gives its connections to the test.
func hold(*wsconn.Conn, []byte) {}

func frame(text string) []byte { return wsconn.AppendText(nil, []byte(text)) }

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 125, 126, 1000, 65535, 65536, 100000} {
		payload := strings.Repeat("x", size)
		want := append([]byte("before"), frame(payload)...)
		got := wsconn.BeginText([]byte("before"))
		got = wsconn.EndText(append(got, payload...), len("before"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d bytes: %.200s", size, diff)
		}
	}
}

// Everybody's frames arrive whole, and each writer's in order, whoever writes how.
func TestOrder(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 300
	r := start(t, listen(t), wsconn.Config{}, hold)
	ws := r.dial(t, nil)
	c := <-r.opened
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				f := frame(fmt.Sprintf("%d %d %s", w, i, strings.Repeat("x", 50*(i%7))))
				var err error
				switch w % 3 {
				case 0:
					err = c.Write(t.Context(), f)
				case 1:
					err = c.SendWait(t.Context(), f)
				case 2:
					err = c.Send(f)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	next := make([]int, writers)
	for range writers * each {
		_, msg, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var w, i int
		if _, err := fmt.Sscan(string(msg), &w, &i); err != nil || i != next[w] {
			t.Fatalf("got %.20q, want number %d of writer %d", msg, next[w], w)
		}
		next[w]++
	}
	all.Wait()
}

// What is queued while a write is under way goes out with one write.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, hold)
	_, in := r.raw(t)
	c := <-r.opened
	_ = c.Send(frame(strings.Repeat("x", 500<<10))) // more than kernels take
	var want []byte
	for i := range 100 {
		f := frame(fmt.Sprint(i))
		want = append(want, f...)
		if err := c.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(io.Discard, in, 500<<10+10); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %.100q, %v", got, err)
	}
}

// A client that has stopped reading: its queue is bounded, posts to it are told
// so, its viewer waits, it is cut in the end, and nobody else notices.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(t, ln, wsconn.Config{MaxQueue: 100 << 10}, hold)
		begin := time.Now()
		ln.dial(t) // it reads nothing from here on
		stuck := <-r.opened
		_, in := ln.dial(t)
		fine := <-r.opened

		post := frame(strings.Repeat("x", 10<<10))
		for i := range 10 {
			err := stuck.Send(post)
			if want := i == 9; errors.Is(err, wsconn.ErrSlow) != want {
				t.Errorf("post %d: %v", i, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := stuck.SendWait(ctx, post); !errors.Is(err, wsconn.ErrSlow) {
			t.Errorf("SendWait: %v", err)
		}
		within(t, begin, 2*time.Second)
		if err := stuck.Write(ctx, post); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write with a context that ends: %v", err)
		}
		viewer := make(chan error)
		go func() { viewer <- stuck.Write(context.Background(), post) }()

		for range 100 {
			if err := fine.Send(frame("x")); err != nil {
				t.Fatal(err)
			}
			expect(t, in, "\x81\x01x")
		}
		within(t, begin, 2*time.Second)
		if err := <-viewer; !errors.Is(err, wsconn.ErrClosed) {
			t.Errorf("a viewer of a client that is cut: %v", err)
		}
		within(t, begin, 150*time.Second)
		if got := <-r.ended; got.Code != wsconn.TryAgain || got.Remote {
			t.Errorf("ended with %+v", got)
		}
		synctest.Wait()
		if n := r.conns.Len(); n != 1 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// A client that is cut because it did not read finds the code, should it read on.
func TestLastWord(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{WriteTimeout: 100 * time.Millisecond}, hold)
	_, in := r.raw(t)
	c := <-r.opened
	post := frame(strings.Repeat("x", 10<<10))
	for c.SendWait(t.Context(), post) == nil {
	}
	if got := <-r.ended; got.Code != wsconn.TryAgain || got.Remote {
		t.Errorf("ended with %+v", got)
	}
	all, err := io.ReadAll(in)
	if err != nil {
		t.Error(err)
	}
	if whole := len(all) / len(post) * len(post); string(all[whole:]) != "\x88\x0a\x03\xf5too slow" {
		t.Errorf("behind %d whole frames: %.100q", whole/len(post), all[whole:])
	}
}

// A viewer writes on while others queue, and waits no longer than there is something.
func TestWriteWaits(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, hold)
	ws := r.dial(t, nil)
	c := <-r.opened
	const n = 200
	big := frame(strings.Repeat("x", 20<<10))
	var viewers sync.WaitGroup
	for range 4 {
		viewers.Go(func() {
			for range n {
				if err := c.Write(t.Context(), big); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 * n {
		if _, msg, err := ws.Read(t.Context()); err != nil || len(msg) != 20<<10 {
			t.Fatalf("got %d bytes, %v", len(msg), err)
		}
	}
	viewers.Wait()
}

// A client that goes away without a word.
func TestAbruptEnd(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, hold)
	for i, leave := range []func(conn net.Conn){
		func(conn net.Conn) { _ = conn.Close() },
		func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0); _ = conn.Close() },
		func(conn net.Conn) { _, _ = conn.Write([]byte{0x81}); _ = conn.Close() },
		func(conn net.Conn) { _, _ = conn.Write([]byte{0x81, 0x85, 0, 0, 0, 0, 'x'}); _ = conn.Close() },
	} {
		conn, _ := r.raw(t)
		c := <-r.opened
		leave(conn)
		if got := <-r.ended; got.Code != wsconn.Abnormal || !got.Remote {
			t.Errorf("%d: ended with %+v", i, got)
		}
		<-c.Context().Done()
		if err := c.Send(frame("x")); !errors.Is(err, wsconn.ErrClosed) {
			t.Errorf("%d: Send: %v", i, err)
		}
		if err := c.Write(t.Context(), frame("x")); !errors.Is(err, wsconn.ErrClosed) {
			t.Errorf("%d: Write: %v", i, err)
		}
	}
	waitFor(t, "the connections to go", func() bool { return r.conns.Len() == 0 })
}

// A fault in a door ends its connection, and no other.
func TestPanic(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, func(c *wsconn.Conn, msg []byte) {
		if string(msg) == "panic" {
			panic("for the test")
		}
		echo(c, msg)
	})
	bad, good := r.dial(t, nil), r.dial(t, nil)
	_ = bad.Write(t.Context(), websocket.MessageText, []byte("panic"))
	if _, _, err := bad.Read(t.Context()); websocket.CloseStatus(err) != 1011 {
		t.Errorf("got %v", err)
	}
	_ = good.Write(t.Context(), websocket.MessageText, []byte("hi"))
	if _, msg, err := good.Read(t.Context()); err != nil || string(msg) != "hi" {
		t.Errorf("got %q, %v", msg, err)
	}
}
