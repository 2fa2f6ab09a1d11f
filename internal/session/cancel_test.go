package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

func isDelta(t runnel.EventType) bool { return t == runnel.EventDelta }

func (n node) cancel(t *testing.T, gen runnel.GenerationID) runnel.Generation {
	t.Helper()
	g, err := n.Cancel(t.Context(), gen)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		m := model(func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
			defer close(closed)
			hangs("some", " text")(ctx, p, yield)
		})
		n := start(t, memlog.New(), only(m), session.Config{})
		r := n.submit(t, ask("hi"))
		n.until(t, r, isDelta)
		begin := time.Now()
		if g := n.cancel(t, r.Generation); !g.Cancelling || g.State != runnel.Running {
			t.Errorf("Cancel answered %+v", g)
		}
		<-closed
		if took := time.Since(begin); took > time.Millisecond {
			t.Errorf("the upstream connection was closed after %v", took)
		}
		if got, want := shape(joined(n.await(t, r))), "queued started1 +some text cancelled"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		g := n.cancel(t, r.Generation) // again, after the end
		if g.State != runnel.Stopped || g.Cancelling {
			t.Errorf("after the end: %+v", g)
		}
		if tr, _ := n.Transcript(t.Context(), "s"); tr.Turns[0].Text != "some text" || tr.Turns[0].State != runnel.Stopped {
			t.Errorf("turn = %+v", tr.Turns[0])
		}
	})
}

func TestCancelWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a", "b")), session.Config{})
		first, second, third := n.submit(t, ask("1")), n.submit(t, ask("2")), n.submit(t, ask("3"))
		synctest.Wait()
		begin := time.Now()
		n.cancel(t, second.Generation)
		if got, want := shape(n.await(t, second)), "queued cancelled"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("a waiting prompt was stopped after %v", took)
		}
		n.await(t, first)
		n.await(t, third)
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("the others took %v", took)
		}
	})
}

// A stop must hold also for a prompt that no worker has seen yet, and whoever
// takes it must not call the model.
func TestCancelBeforeAnyWorker(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	called := false
	m := model(func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		called = true
		yield(runnel.Delta{End: &runnel.End{}}, nil)
	})
	front := node{Service: session.New(engine, only(m), session.Config{}), store: engine}
	r := front.submit(t, ask("hi"))
	if g := front.cancel(t, r.Generation); g.State != runnel.Queued || !g.Cancelling {
		t.Errorf("Cancel answered %+v", g)
	}
	n := start(t, engine, only(m), session.Config{})
	if got, want := shape(n.await(t, r)), "queued cancelled"; got != want || called {
		t.Errorf("got  %s\nwant %s; model called: %v", got, want, called)
	}
}

// The announcement of a stop may be lost; the record may not.
func TestCancelUnannounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &faulty{Engine: memlog.New(), fail: map[string]int{"notify": 1}}
		n := start(t, engine, only(hangs("a")), session.Config{})
		other := node{Service: session.New(engine, only(hangs()), session.Config{}), store: engine}
		r := n.submit(t, ask("hi"))
		n.until(t, r, isDelta)
		begin := time.Now()
		other.cancel(t, r.Generation)
		n.await(t, r)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("found after %v", took)
		}
	})
}

func TestCancelElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, engine, only(hangs("a")), session.Config{})
		other := node{Service: session.New(engine, only(hangs()), session.Config{}), store: engine}
		r := other.submit(t, ask("hi"))
		n.until(t, r, isDelta)
		begin := time.Now()
		other.cancel(t, r.Generation)
		n.await(t, r)
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("stopped after %v", took)
		}
	})
}

// A crash may take back where a waiting generation belongs; it must be found
// again once somebody works on it.
func TestCancelAfterACrash(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	front := node{Service: session.New(engine, only(hangs()), session.Config{}), store: engine}
	if _, err := engine.Append(t.Context(), runnel.Event{Session: "u", Generation: "g", Type: runnel.EventDelta}); err != nil {
		t.Fatal(err)
	}
	r := front.submit(t, ask("hi"))
	engine.Crash(10)
	if _, err := front.Cancel(t.Context(), r.Generation); runnel.KindOf(err) != runnel.NotFound {
		t.Fatalf("the crash took nothing back: %v", err)
	}
	n := start(t, engine, only(hangs("a")), session.Config{})
	r.Cursor = runnel.Cursor{}
	n.until(t, r, isDelta)
	front.cancel(t, r.Generation)
	n.await(t, r)
}

func TestCancelUnknown(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), only(hangs()), session.Config{})
	if _, err := n.Cancel(t.Context(), "01JZ0000000000000000000000"); runnel.KindOf(err) != runnel.NotFound {
		t.Errorf("err = %v", err)
	}
}
