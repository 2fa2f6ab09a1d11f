package logtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
)

const (
	// patience is how long a case waits for what must come.
	patience = time.Minute
	// moment is how long a case watches for what must not come. An engine that
	// is wrong and slow may slip through once, but not every time.
	moment = 30 * time.Millisecond
)

// limit returns the context of a whole case.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// size returns how often to repeat something: less with -short.
func size(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}

// newSession returns a session id that no other case uses.
func newSession() runnel.SessionID { return runnel.SessionID("session-" + rand.Text()) }

// newGeneration returns an id that is greater than all before it.
func newGeneration() runnel.GenerationID { return runnel.GenerationID(ulid.Make().String()) }

// delta returns an event of a generation's first attempt.
func delta(id runnel.SessionID, gen runnel.GenerationID, text string) runnel.Event {
	return runnel.Event{Session: id, Generation: gen, Attempt: 1, Type: runnel.EventDelta, Text: text}
}

// numbers returns from, from+1, …, to-1 in decimal.
func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

// mustAppend stores one delta for each text and returns their cursors.
func mustAppend(t *testing.T, e runnel.Log, id runnel.SessionID, texts ...string) []runnel.Cursor {
	t.Helper()
	gen := newGeneration()
	var cursors []runnel.Cursor
	for _, text := range texts {
		c, err := e.Append(limit(t), delta(id, gen, text))
		if err != nil {
			t.Fatalf("append %q: %v", text, err)
		}
		cursors = append(cursors, c)
	}
	return cursors
}

// readN reads n events after the given position. It insists that they rise.
func readN(ctx context.Context, e runnel.Log, id runnel.SessionID, after runnel.Cursor, n int) ([]runnel.Event, error) {
	return readUntil(ctx, e, id, after, func(events []runnel.Event) bool { return len(events) >= n })
}

// readUntil reads after the given position until what it has is enough.
func readUntil(ctx context.Context, e runnel.Log, id runnel.SessionID, after runnel.Cursor, enough func([]runnel.Event) bool) ([]runnel.Event, error) {
	var got []runnel.Event
	for !enough(got) {
		events, err := e.Read(ctx, id, after)
		if err != nil {
			return got, fmt.Errorf("read after %s, with %d events so far: %w", after, len(got), err)
		}
		if len(events) == 0 {
			return got, fmt.Errorf("read after %s returned neither events nor an error", after)
		}
		for _, ev := range events {
			if ev.Cursor.Seq <= after.Seq {
				return got, fmt.Errorf("after %s came %s", after, ev.Cursor)
			}
			if ev.Session != id {
				return got, fmt.Errorf("session %q got an event of %q", id, ev.Session)
			}
			after = ev.Cursor
		}
		got = append(got, events...)
	}
	return got, nil
}

// wantTexts reads after the given position and insists on exactly these texts,
// and on nothing after them.
func wantTexts(t *testing.T, e runnel.Log, id runnel.SessionID, after runnel.Cursor, want ...string) {
	t.Helper()
	if len(want) == 0 {
		wantBlocked(t, e, id, after)
		return
	}
	got, err := readN(limit(t), e, id, after, len(want))
	if err != nil {
		t.Fatalf("session %q: %v", id, err)
	}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Fatalf("session %q after %s (-want +got):\n%s", id, after, diff)
	}
	wantLast(t, e, id, got)
}

// wantLast insists that the log holds nothing of the session after these events.
func wantLast(t *testing.T, e runnel.Log, id runnel.SessionID, events []runnel.Event) {
	t.Helper()
	last := events[len(events)-1].Cursor
	if end, err := e.End(limit(t), id); err != nil || end != last {
		t.Fatalf("session %q ends at %s, %v; want the last event that was read, at %s", id, end, err, last)
	}
}

// wantBlocked insists that there is nothing to read after the given position.
func wantBlocked(t *testing.T, e runnel.Log, id runnel.SessionID, after runnel.Cursor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(limit(t), moment)
	defer cancel()
	events, err := e.Read(ctx, id, after)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("session %q after %s: got %v and %v, want nothing until the deadline", id, after, texts(events), err)
	}
}

func texts(events []runnel.Event) []string {
	var out []string
	for _, ev := range events {
		out = append(out, ev.Text)
	}
	return out
}

// wantKind insists on an error of the given kind.
func wantKind(t *testing.T, err error, want runnel.Kind) {
	t.Helper()
	if e, ok := errors.AsType[*runnel.Error](err); !ok || e.Kind != want {
		t.Fatalf("got error %v, want one of kind %s", err, want)
	}
}

// wantReset insists that reading after the given position is a reset at once,
// and returns where the reader goes on.
func wantReset(t *testing.T, e runnel.Log, id runnel.SessionID, after runnel.Cursor) runnel.Cursor {
	t.Helper()
	events, err := e.Read(limit(t), id, after)
	reset, ok := errors.AsType[*runnel.ResetError](err)
	if !ok {
		t.Fatalf("read after %s: got %v and %v, want a reset", after, texts(events), err)
	}
	return reset.Intact
}
