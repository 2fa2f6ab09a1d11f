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
	reset, ok := errors.AsType[*runnel.ResetError](readError(e, last))
	if !ok || reset.Intact.Seq != last.Seq-1 {
		t.Fatalf("read after %s: %v, want a reset to %d", last, reset, last.Seq-1)
	}
	events, err := e.Read(ctx, "s", reset.Intact)
	if err != nil || len(events) != 1 || events[0].Text != "d" {
		t.Errorf("read after the reset: %v, %v, want d", events, err)
	}
	if len(held) != 3 || held[2].Text != "c" {
		t.Errorf("the crash changed what a reader holds: %v", held)
	}
}

func readError(e *memlog.Engine, after runnel.Cursor) error {
	_, err := e.Read(context.Background(), "s", after)
	return err
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
