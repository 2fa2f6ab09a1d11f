package memlog_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
)

func delta(id runnel.SessionID, text string) runnel.Event {
	return runnel.Event{Session: id, Generation: "g", Attempt: 1, Type: runnel.EventDelta, Text: text}
}

func TestCrashTakesBackTheTail(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := memlog.New()
	var last runnel.Cursor
	for _, text := range []string{"a", "b", "c"} {
		var err error
		if last, err = e.Append(ctx, delta("s", text)); err != nil {
			t.Fatal(err)
		}
	}
	held, err := e.Read(ctx, "s", runnel.Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	e.Crash(1)
	if _, err := e.Append(ctx, delta("s", "d")); err != nil {
		t.Fatal(err)
	}
	_, err = e.Read(ctx, "s", last)
	reset, ok := errors.AsType[*runnel.ResetError](err)
	if !ok || reset.Intact.Seq != last.Seq-1 {
		t.Fatalf("read after %s: %v, want a reset to %d", last, err, last.Seq-1)
	}
	events, err := e.Read(ctx, "s", reset.Intact)
	if err != nil || len(events) != 1 || events[0].Text != "d" {
		t.Errorf("read after the reset: %v, %v, want d", events, err)
	}
	if len(held) != 3 || held[2].Text != "c" {
		t.Errorf("the crash changed what a reader holds: %v", held)
	}
}

// TestCrashVoids: what belongs to the process that died is refused afterwards.
func TestCrashVoids(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := memlog.New()
	if err := e.Enqueue(ctx, runnel.Prompt{Session: "s", Generation: "g"}, false); err != nil {
		t.Fatal(err)
	}
	l, err := e.Dequeue(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.Writer(ctx, "s", "g")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Index(ctx, "s", "kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append(ctx, delta("s", "a")); err != nil {
		t.Fatal(err)
	}
	if err := e.Index(ctx, "s", "lost"); err != nil {
		t.Fatal(err)
	}
	e.Crash(1)
	if err := l.Renew(ctx); runnel.KindOf(err) != runnel.Conflict {
		t.Errorf("renew: %v, want a conflict", err)
	}
	if _, err := w.Append(ctx, delta("s", "b")); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("append by an old writer: %v, want unavailable", err)
	}
	if id, err := e.Locate(ctx, "kept"); id != "s" {
		t.Errorf("locate what was indexed before the lost event: %q, %v", id, err)
	}
	if _, err := e.Locate(ctx, "lost"); runnel.KindOf(err) != runnel.NotFound {
		t.Errorf("locate what was indexed after the lost event: %v, want not found", err)
	}
}

// TestEndedContext: an engine does nothing for a caller who has gone.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	e := memlog.New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Append(ctx, delta("s", "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if _, err := e.PutRun(ctx, runnel.Run{Session: "s", Generation: "g"}); !errors.Is(err, context.Canceled) {
		t.Errorf("put run: %v", err)
	}
}

// TestLeaseExpiresInABubble shows that leases keep virtual time, to the
// instant, and that nothing but the caller has to run for it.
func TestLeaseExpiresInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := memlog.New()
		e.Lease = time.Minute
		if err := e.Enqueue(t.Context(), runnel.Prompt{Session: "s", Generation: "g"}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Dequeue(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := e.Dequeue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("leased again after %s, want 1m", waited)
		}
	})
}
