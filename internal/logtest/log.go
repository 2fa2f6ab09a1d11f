package logtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// logTests are the cases that need nothing but sessions of their own.
func logTests() []test {
	tests := []test{
		{"append returns the position", testAppendPosition},
		{"concurrent appends are stored once each", testConcurrentAppend},
		{"every field survives", testFieldsSurvive},
		{"sessions do not mix", testSessionsDoNotMix},
		{"any session id works", testSessionIDs},
		{"many sessions", testManySessions},
		{"end", testEnd},
		{"reading after end misses nothing", testReadAfterEnd},
		{"check and durability", testCheck},
	}
	tests = append(tests, readerTests()...)
	tests = append(tests, writerTests()...)
	tests = append(tests, ledgerTests()...)
	tests = append(tests, ownerTests()...)
	tests = append(tests, pieceTests()...)
	tests = append(tests, countTests()...)
	return slices.Concat(tests, peerTests(), busTests(), noteTests())
}

func testAppendPosition(t *testing.T, e runnel.Engine) {
	id := newSession()
	cursors := mustAppend(t, e, id, numbers(0, 20)...)
	events, err := readN(limit(t), e, id, runnel.Cursor{}, len(cursors))
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range events {
		if ev.Cursor != cursors[i] {
			t.Errorf("event %d was read at %s, but appended at %s", i, ev.Cursor, cursors[i])
		}
		back, err := runnel.ParseCursor(ev.Cursor.String())
		if err != nil || back != ev.Cursor {
			t.Errorf("cursor %s came back from its wire form as %v, %v", ev.Cursor, back, err)
		}
	}
}

// testConcurrentAppend has many append to one session at once: an engine that
// retries must not store twice, nor may it give up.
func testConcurrentAppend(t *testing.T, e runnel.Engine) {
	const writers = 8
	each := size(200, 40)
	ctx, id, gen := limit(t), newSession(), newGeneration()
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error {
			for i := range each {
				if _, err := e.Append(ctx, delta(id, gen, fmt.Sprintf("%d/%d", w, i))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	events, err := readN(ctx, e, id, runnel.Cursor{}, writers*each)
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int, writers)
	for _, ev := range events {
		writer, number, _ := strings.Cut(ev.Text, "/")
		w, _ := strconv.Atoi(writer)
		if want := strconv.Itoa(next[w]); number != want {
			t.Fatalf("writer %d: got event %s, want %s", w, number, want)
		}
		next[w]++
	}
	wantLast(t, e, id, events)
}

func testFieldsSurvive(t *testing.T, e runnel.Engine) {
	ctx, id, gen := limit(t), newSession(), newGeneration()
	usage := &runnel.Usage{InputTokens: 3, OutputTokens: 5, CacheReadTokens: 1, CacheWriteTokens: 2, ReasoningTokens: 4}
	want := []runnel.Event{
		{Type: runnel.EventQueued, Prompt: "why?"},
		{Type: runnel.EventStarted, Attempt: 1, Model: "echo"},
		{Type: runnel.EventDelta, Attempt: 1, Text: "\"q\" \\ \n\r\t \x01 <&> é 日本 😀 \u2028"},
		{Type: runnel.EventDelta, Attempt: 1},
		{Type: runnel.EventReasoning, Attempt: 1, Text: "hmm"},
		{Type: runnel.EventTool, Attempt: 1, Tool: &runnel.ToolDelta{Index: 1, ID: "t1", Name: "look", Input: `{"a":`}},
		{Type: runnel.EventProgress, Attempt: 1, Progress: json.RawMessage(`{"step":2}`)},
		{Type: runnel.EventReset, Attempt: 1, Text: "so far", Reasoning: "thoughts"},
		{Type: runnel.EventDelta, Attempt: 1, Text: strings.Repeat("long ", 20_000)},
		{Type: runnel.EventCancelled, Attempt: 2, Usage: usage},
		{Type: runnel.EventFailed, Attempt: 3, Failure: &runnel.Failure{Kind: "unavailable", Message: "gone"}, Usage: usage},
		{Type: runnel.EventDone, Attempt: 4, StopReason: runnel.EndTurn, Usage: usage},
	}
	before := time.Now()
	for i := range want {
		ev := &want[i]
		ev.Session, ev.Generation = id, gen
		cursor, err := e.Append(ctx, *ev)
		if err != nil {
			t.Fatalf("append %s: %v", ev.Type, err)
		}
		body, err := wire.Append(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		ev.Cursor, ev.Body = cursor, body
	}
	got, err := readN(ctx, e, id, runnel.Cursor{}, len(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(runnel.Event{}, "Time")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	const skew = time.Minute // of another machine's clock
	for _, ev := range got {
		if ev.Time.Before(before.Add(-skew)) || ev.Time.After(time.Now().Add(skew)) {
			t.Errorf("%s: time %s is not when it was stored", ev.Type, ev.Time)
		}
		if bytes.ContainsRune(ev.Body, '\n') {
			t.Errorf("%s: the body is not one line", ev.Type)
		}
	}
}

// testSessionsDoNotMix writes to several sessions in random turns.
func testSessionsDoNotMix(t *testing.T, e runnel.Engine) {
	ids := make([]runnel.SessionID, 10)
	for i := range ids {
		ids[i] = newSession()
	}
	want := make(map[runnel.SessionID][]string)
	for i := range 500 {
		id, text := ids[rand.IntN(len(ids))], strconv.Itoa(i)
		mustAppend(t, e, id, text)
		want[id] = append(want[id], text)
	}
	for _, id := range ids {
		wantTexts(t, e, id, runnel.Cursor{}, want[id]...)
	}
}

// sessionIDs are ids that look like something else: to a subject, to a file
// system, to whoever escapes or folds names.
func sessionIDs() []runnel.SessionID {
	long := strings.Repeat("x", runnel.MaxSessionID-1)
	ids := []runnel.SessionID{
		"a", "A", "a.b", "a_b", "a-b", "a b", "a/b", `a\b`, ".", "..", ".a", "a.", "*", ">", "a.*", "a.>",
		"$JS.API.>", "$JS.x", "_INBOX.x", "$KV", "%", "%2e", "%2E", "a%2eb", "a=b", "=", "_", "__", "-", "~",
		"ä", "a\u0308", "日本", "😀", "ä b", " ", "  ", "\u00a0", "\u2028", "0", "00", "é", "É",
		"true", "null", "{}", `"`, "'", "#", "?", "&", "+", "a+b", "\u202e", "\ufeff",
		runnel.SessionID(long + "x"), runnel.SessionID(long + "y"), runnel.SessionID(long),
		runnel.SessionID(strings.Repeat("😀", runnel.MaxSessionID/4)),
	}
	// What other ids may be encoded as.
	for _, prefix := range []string{"x", "h", "b", "s", "_", "-", "0x", "x_", "h_", "b_", "s_"} {
		ids = append(ids, runnel.SessionID(prefix+"612e62"), runnel.SessionID(prefix+"YS5i"))
	}
	return ids
}

func testSessionIDs(t *testing.T, e runnel.Engine) {
	ids := sessionIDs()
	for _, id := range ids {
		if err := id.Validate(); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		mustAppend(t, e, id, "of "+string(id))
	}
	for _, id := range ids {
		wantTexts(t, e, id, runnel.Cursor{}, "of "+string(id))
	}
}

func testManySessions(t *testing.T, e runnel.Engine) {
	n := size(10_000, 500)
	ids := make([]runnel.SessionID, n)
	for i := range ids {
		ids[i] = newSession()
	}
	each := func(f func(ctx context.Context, id runnel.SessionID) error) {
		t.Helper()
		g, ctx := errgroup.WithContext(limit(t))
		g.SetLimit(16)
		for _, id := range ids {
			g.Go(func() error { return f(ctx, id) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	each(func(ctx context.Context, id runnel.SessionID) error {
		_, err := e.Append(ctx, delta(id, "g", string(id)))
		return err
	})
	each(func(ctx context.Context, id runnel.SessionID) error {
		events, err := readN(ctx, e, id, runnel.Cursor{}, 1)
		if err != nil {
			return err
		}
		if len(events) != 1 || events[0].Text != string(id) {
			return fmt.Errorf("session %q: got %q", id, texts(events))
		}
		return nil
	})
}

func testEnd(t *testing.T, e runnel.Engine) {
	ctx, id := limit(t), newSession()
	end := func() runnel.Cursor {
		t.Helper()
		c, err := e.End(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if c.IsZero() || c.Epoch == "" {
			t.Fatalf("end is %#v, want one of the current epoch", c)
		}
		return c
	}
	isEmpty := func(want bool) {
		t.Helper()
		if got, err := e.Empty(ctx, id); err != nil || got != want {
			t.Errorf("Empty = %v, %v, want %v", got, err, want)
		}
	}
	empty := end()
	isEmpty(true)
	wantBlocked(t, e, id, empty)
	mustAppend(t, e, newSession(), "of another session")
	if got := end(); got != empty {
		t.Errorf("another session moved the end from %s to %s", empty, got)
	}
	isEmpty(true)
	defer isEmpty(false)
	for i, c := range mustAppend(t, e, id, "0", "1", "2") {
		if c.Epoch != empty.Epoch || c.Seq <= empty.Seq {
			t.Errorf("event %d is at %s, want it after %s", i, c, empty)
		}
		if got := end(); i == 2 && got != c {
			t.Errorf("end is %s, want that of the last event, %s", got, c)
		}
	}
	wantTexts(t, e, id, empty, "0", "1", "2")
}

// testReadAfterEnd does what every subscribe does: ask for the end, tell the
// client that it is subscribed, then read. The event after the end must be the
// next one, however fast events come. They come in bursts, so that the reader,
// woken by the first of a burst, asks for the end while the others arrive.
func testReadAfterEnd(t *testing.T, e runnel.Engine) {
	id, gen := newSession(), newGeneration()
	g, ctx := errgroup.WithContext(limit(t))
	stop := make(chan struct{})
	var written int
	g.Go(func() error {
		pace := time.NewTicker(200 * time.Microsecond)
		defer pace.Stop()
		for {
			select {
			case <-stop:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			case <-pace.C:
			}
			burst := 1 + rand.IntN(8)
			if err := appendAll(ctx, e, id, gen, numbers(written, written+burst), nil); err != nil {
				return err
			}
			written += burst
		}
	})
	next := make(map[runnel.Cursor]runnel.Cursor)
	g.Go(func() error {
		defer close(stop)
		for range size(500, 100) {
			end, err := e.End(ctx, id)
			if err != nil {
				return err
			}
			events, err := readN(ctx, e, id, end, 1)
			if err != nil {
				return err
			}
			next[end] = events[0].Cursor
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	events, err := readN(limit(t), e, id, runnel.Cursor{}, written)
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range events[1:] {
		before := events[i].Cursor
		if got, ok := next[before]; ok && got != ev.Cursor {
			t.Errorf("after the end %s came %s, want %s", before, got, ev.Cursor)
		}
	}
}

func testCheck(t *testing.T, e runnel.Engine) {
	if err := e.Check(limit(t)); err != nil {
		t.Errorf("check of an engine that works: %v", err)
	}
	if e.Durability() == "" {
		t.Error("durability says nothing")
	}
}
