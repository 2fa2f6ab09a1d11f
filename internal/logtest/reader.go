package logtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func readerTests() []test {
	return []test{
		{"one writer, one reader", testFollow},
		{"read from anywhere", testReadFromAnywhere},
		{"append wakes a reader", testWake},
		{"readers start while a writer writes", testSubscribeRace},
		{"thousands of readers", testManyReaders},
		{"a slow reader", testSlowReader},
		{"a reader gives up", testCancelRead},
		{"what was read does not change", testSliceIsStable},
		{"a cursor from elsewhere", testForeignCursor},
	}
}

func testFollow(t *testing.T, e runnel.Engine) {
	want := numbers(0, size(2_000, 300))
	id, gen := newSession(), newGeneration()
	g, ctx := errgroup.WithContext(limit(t))
	g.Go(func() error { return appendAll(ctx, e, id, gen, want, nil) })
	var got []runnel.Event
	g.Go(func() (err error) {
		got, err = readN(ctx, e, id, runnel.Cursor{}, len(want))
		return err
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Errorf("what the reader saw (-want +got):\n%s", diff)
	}
}

// appendAll stores the texts in order, and tells note each cursor.
func appendAll(ctx context.Context, e runnel.Log, id runnel.SessionID, gen runnel.GenerationID, texts []string, note func(runnel.Cursor)) error {
	for _, text := range texts {
		c, err := e.Append(ctx, delta(id, gen, text))
		if err != nil {
			return err
		}
		if note != nil {
			note(c)
		}
	}
	return nil
}

func testReadFromAnywhere(t *testing.T, e runnel.Engine) {
	const n = 12
	id := newSession()
	var cursors []runnel.Cursor
	for i := range n {
		cursors = append(cursors, mustAppend(t, e, id, strconv.Itoa(i))...)
		mustAppend(t, e, newSession(), "between")
	}
	wantTexts(t, e, id, runnel.Cursor{}, numbers(0, n)...)
	for i, c := range cursors {
		wantTexts(t, e, id, c, numbers(i+1, n)...)
		// A position between two events of the session is one of another session's.
		c.Seq++
		wantTexts(t, e, id, c, numbers(i+1, n)...)
	}
}

func testWake(t *testing.T, e runnel.Engine) {
	id := newSession()
	var after runnel.Cursor
	for i := range size(20, 5) {
		ctx := limit(t)
		got := make(chan []runnel.Event, 1)
		var g errgroup.Group
		g.Go(func() error {
			events, err := e.Read(ctx, id, after)
			got <- events
			return err
		})
		wantBlocked(t, e, id, after) // meanwhile the reader blocks too
		mustAppend(t, e, id, strconv.Itoa(i))
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		events := <-got
		if len(events) != 1 || events[0].Text != strconv.Itoa(i) {
			t.Fatalf("the reader woke with %q, want %d", texts(events), i)
		}
		after = events[0].Cursor
	}
}

// testSubscribeRace starts readers at random positions while events arrive:
// where history ends and what is live begins, nothing may be missing or double.
func testSubscribeRace(t *testing.T, e runnel.Engine) {
	want := numbers(0, size(3_000, 400))
	readers := size(300, 50)
	id, gen := newSession(), newGeneration()
	g, ctx := errgroup.WithContext(limit(t))

	var mu sync.Mutex
	cursors := []runnel.Cursor{{}}
	g.Go(func() error {
		return appendAll(ctx, e, id, gen, want, func(c runnel.Cursor) {
			mu.Lock()
			defer mu.Unlock()
			cursors = append(cursors, c)
		})
	})
	random := func() (int, runnel.Cursor) {
		mu.Lock()
		defer mu.Unlock()
		i := len(cursors) - 1
		if rand.IntN(2) == 0 { // elsewhere than at the end
			i = rand.IntN(len(cursors))
		}
		return i, cursors[i]
	}
	g.Go(func() error {
		var subscribers errgroup.Group
		subscribers.SetLimit(8) // so that they start all along
		for range readers {
			subscribers.Go(func() error {
				from, after := random()
				got, err := readN(ctx, e, id, after, len(want)-from)
				if err != nil {
					return err
				}
				if !slices.Equal(want[from:], texts(got)) {
					return fmt.Errorf("reader from %d (-want +got):\n%s", from, cmp.Diff(want[from:], texts(got)))
				}
				return nil
			})
		}
		return subscribers.Wait()
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func testManyReaders(t *testing.T, e runnel.Engine) {
	readers := size(10_000, 500)
	want := numbers(0, 10)
	id, gen := newSession(), newGeneration()
	g, ctx := errgroup.WithContext(limit(t))
	var ready sync.WaitGroup
	for range readers {
		ready.Add(1)
		g.Go(func() error {
			ready.Done()
			got, err := readN(ctx, e, id, runnel.Cursor{}, len(want))
			if err == nil && !slices.Equal(texts(got), want) {
				err = fmt.Errorf("a reader saw %q", texts(got))
			}
			return err
		})
	}
	ready.Wait()
	g.Go(func() error { return appendAll(ctx, e, id, gen, want, nil) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// testSlowReader reads once for every thousand events: it falls behind whatever
// an engine keeps at hand, and must still get everything.
func testSlowReader(t *testing.T, e runnel.Engine) {
	want := numbers(0, size(10_000, 2_000))
	pause := len(want) / 10
	id, gen := newSession(), newGeneration()
	g, ctx := errgroup.WithContext(limit(t))
	written := make(chan struct{}, len(want)/pause+1) // room for every sign, so that the reader never slows the writer
	g.Go(func() error {
		defer close(written)
		var n int
		return appendAll(ctx, e, id, gen, want, func(runnel.Cursor) {
			if n++; n%pause == 0 {
				written <- struct{}{}
			}
		})
	})
	var got []runnel.Event
	g.Go(func() error {
		var after runnel.Cursor
		var ready int
		for range written {
			if ready += pause; len(got) >= ready {
				continue
			}
			events, err := readN(ctx, e, id, after, 1)
			if err != nil {
				return err
			}
			got = append(got, events...)
			after = events[len(events)-1].Cursor
		}
		rest, err := readN(ctx, e, id, after, len(want)-len(got))
		got = append(got, rest...)
		return err
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Errorf("what the reader saw (-want +got):\n%s", diff)
	}
}

func testCancelRead(t *testing.T, e runnel.Engine) {
	id := newSession()
	after := mustAppend(t, e, id, "0")[0]
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	var g errgroup.Group
	for range 100 {
		g.Go(func() error {
			events, err := e.Read(ctx, id, after)
			if !errors.Is(err, context.Canceled) {
				return fmt.Errorf("a cancelled read returned %q and %w", texts(events), err)
			}
			return nil
		})
	}
	wantBlocked(t, e, id, after) // meanwhile they block too
	start := time.Now()
	cancel()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(start); waited > patience/10 {
		t.Errorf("cancelled reads took %s to return", waited)
	}
	mustAppend(t, e, id, "1")
	wantTexts(t, e, id, after, "1")
}

// testSliceIsStable holds what Read returned while more is written and read:
// readers share memory, and nobody may write to it again.
func testSliceIsStable(t *testing.T, e runnel.Engine) {
	id, gen := newSession(), newGeneration()
	n := size(2_000, 600)
	var held [][]runnel.Event
	var after runnel.Cursor
	for i := range n {
		if err := appendAll(limit(t), e, id, gen, []string{strconv.Itoa(i)}, nil); err != nil {
			t.Fatal(err)
		}
		events, err := e.Read(limit(t), id, after)
		if err != nil || len(events) != 1 {
			t.Fatalf("read %d gave %q and %v", i, texts(events), err)
		}
		held = append(held, events)
		after = events[0].Cursor
	}
	for i, events := range held {
		if len(events) != 1 || events[0].Text != strconv.Itoa(i) {
			t.Fatalf("read %d has become %q", i, texts(events))
		}
	}
}

func testForeignCursor(t *testing.T, e runnel.Engine) {
	id := newSession()
	last := mustAppend(t, e, id, "0", "1")[1]
	const far = 1 << 40
	for name, c := range map[string]runnel.Cursor{
		"far past the end":                {Epoch: last.Epoch, Seq: last.Seq + far},
		"the greatest of all":             {Epoch: last.Epoch, Seq: 1<<64 - 1},
		"another log, before the end":     {Epoch: "anotherlog", Seq: last.Seq},
		"another log, at its beginning":   {Epoch: "anotherlog", Seq: 0},
		"another log, far past the end":   {Epoch: "anotherlog", Seq: last.Seq + far},
		"an epoch that is only a prefix":  {Epoch: last.Epoch[:len(last.Epoch)-1], Seq: last.Seq},
		"an epoch with something behind":  {Epoch: last.Epoch + "0", Seq: last.Seq},
		"no epoch, but a sequence number": {Seq: last.Seq},
	} {
		for _, session := range []runnel.SessionID{id, newSession()} {
			if intact := wantReset(t, e, session, c); !intact.IsZero() {
				t.Errorf("%s: the reader is told that it agrees on %s, want on nothing", name, intact)
			}
		}
	}
	wantTexts(t, e, id, runnel.Cursor{}, "0", "1")
}
