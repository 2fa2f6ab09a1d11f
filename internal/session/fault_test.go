package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// deaf is an engine whose leases are never renewed, and whose node does not answer
// others: its worker is taken for dead while it goes on.
type deaf struct{ *memlog.Engine }

func (deaf) Answer(ctx context.Context, _ string, _ func(), _ func(context.Context, []byte) []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (d deaf) Dequeue(ctx context.Context) (runnel.Lease, error) {
	l, err := d.Engine.Dequeue(ctx)
	return deafLease{l}, err
}

// leaseless is an engine whose leases are never renewed, and whose node can be
// asked what it does.
type leaseless struct{ *memlog.Engine }

func (f leaseless) Dequeue(ctx context.Context) (runnel.Lease, error) { return deaf(f).Dequeue(ctx) }

type deafLease struct{ runnel.Lease }

func (deafLease) Renew(context.Context) error { return nil }

// A worker that is taken for dead and comes back must not be able to write.
func TestTakeoverFencesTheOldWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		late := model(func(ctx context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
			yield(runnel.Delta{Text: "old "}, nil)
			time.Sleep(4 * time.Second) // past its lease, and past the new worker's start
			if yield(runnel.Delta{Text: "TOO LATE"}, nil) {
				yield(runnel.Delta{End: &runnel.End{}}, nil)
			}
		})
		old := start(t, deaf{engine}, only(late), session.Config{Node: "old", MaxGenerations: 1})
		r := old.submit(t, ask("hi"))
		old.until(t, r, isDelta)
		stopDequeue(old)
		fresh := start(t, engine, only(says(time.Second, "n", "e", "w")), session.Config{Node: "new"})
		events := fresh.await(t, r)
		if got, want := shape(joined(events)), "queued started1 +old  started2 = +new done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if err := old.stop(); err != nil {
			t.Fatal(err)
		}
		if everything := all(t, engine, "s"); terminals(everything) != 1 || strings.Contains(shape(everything), "LATE") {
			t.Errorf("log: %s", shape(everything))
		}
		run, err := engine.Run(t.Context(), "s", r.Generation)
		if err != nil || run.Turn.Text != "new" || run.Attempt != 2 || run.Owner != "new" {
			t.Errorf("run = %+v, %v", run, err)
		}
		if depth, _ := engine.Depth(t.Context()); depth != 0 {
			t.Errorf("%d prompts are left", depth)
		}
	})
}

// stopDequeue begins a drain without waiting for it, so that the node keeps
// what it has and takes nothing more.
func stopDequeue(n node) {
	go func() { _ = n.stop() }()
}

// The same pause on a single node: the prompt comes round to the node that
// still works on it, which goes on under the new lease.
func TestLeaseComesBackToItsHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, deaf{engine}, only(says(3*time.Second, "a", "b", "c")), session.Config{})
		r := n.submit(t, ask("hi"))
		if got, want := shape(n.await(t, r)), "queued started1 +a +b +c done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		synctest.Wait()
		if depth, _ := engine.Depth(t.Context()); depth != 0 {
			t.Errorf("%d prompts are left", depth)
		}
	})
}

// A worker whose lease has run out, and who says that it works on, is left alone
// by the one that is given the prompt.
func TestHolderWithoutLeaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		old := start(t, leaseless{engine}, only(says(3*time.Second, "a", "b", "c", "d")), session.Config{Node: "old", MaxGenerations: 1})
		r := old.submit(t, ask("hi"))
		old.until(t, r, isDelta)
		start(t, engine, only(says(time.Second, "n", "e", "w")), session.Config{Node: "new"})
		if got, want := shape(old.await(t, r)), "queued started1 +a +b +c +d done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		synctest.Wait()
		if depth, _ := engine.Depth(t.Context()); depth != 0 {
			t.Errorf("%d prompts are left", depth)
		}
	})
}

// lingering is an engine whose leases are given back some time before the caller
// hears of it.
type lingering struct{ *memlog.Engine }

func (l lingering) Dequeue(ctx context.Context) (runnel.Lease, error) {
	lease, err := l.Engine.Dequeue(ctx)
	return lingeringLease{lease}, err
}

type lingeringLease struct{ runnel.Lease }

func (l lingeringLease) Release(ctx context.Context) error {
	err := l.Lease.Release(ctx)
	time.Sleep(100 * time.Millisecond)
	return err
}

// Who is asked as it hands over does not claim what it gives away.
func TestHandoverIsNotHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		old := start(t, lingering{engine}, only(hangs("a")), session.Config{Node: "old", DrainTimeout: time.Second})
		r := old.submit(t, ask("hi"))
		old.until(t, r, isDelta)
		fresh := start(t, engine, only(says(0, "n", "e", "w")), session.Config{Node: "new"})
		if err := old.stop(); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		fresh.await(t, r)
		if took := time.Since(stopped); took > engine.LeaseTime()/2 {
			t.Errorf("the new worker began %v after the old one had stopped", took)
		}
	})
}

func TestGivesUpAfterTooManyAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		front := node{Service: session.New(engine, only(hangs()), session.Config{}), store: engine}
		r := front.submit(t, ask("hi"))
		for range 5 {
			n := start(t, engine, only(hangs("poison")), session.Config{DrainTimeout: time.Millisecond})
			synctest.Wait()
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
		}
		n := start(t, engine, only(hangs("poison")), session.Config{})
		events := n.await(t, r)
		last := events[len(events)-1]
		if last.Type != runnel.EventFailed || last.Attempt != 5 || terminals(events) != 1 {
			t.Errorf("got %s", shape(events))
		}
		if g, _ := n.Generation(t.Context(), r.Generation); g.State != runnel.Failed {
			t.Errorf("generation = %+v", g)
		}
		if tr, _ := n.Transcript(t.Context(), "s"); tr.Turns[0].Text != "poison" {
			t.Errorf("the partial text is not in the turn: %+v", tr.Turns[0])
		}
	})
}

func TestDrainLetsRunningGenerationsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, engine, only(says(time.Second, "a", "b", "c")), session.Config{})
		running, waiting := n.submit(t, ask("1")), n.submit(t, ask("2"))
		n.until(t, running, isDelta)
		done := make(chan error)
		go func() { done <- n.stop() }()
		synctest.Wait()
		if _, err := n.Submit(t.Context(), ask("3")); runnel.KindOf(err) != runnel.Unavailable {
			t.Errorf("submission while draining: %v", err)
		}
		if got := text(n.await(t, running)); got != "abc" {
			t.Errorf("text = %q", got)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		next := start(t, engine, only(says(time.Second, "d")), session.Config{})
		if got, want := shape(next.await(t, waiting)), "queued queued started1 +d done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestDrainHandsOverTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, engine, only(hangs("half")), session.Config{DrainTimeout: 5 * time.Second})
		r := n.submit(t, ask("hi"))
		n.until(t, r, isDelta)
		begin := time.Now()
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("drained in %v", took)
		}
		begin = time.Now()
		next := start(t, engine, only(says(0, "whole")), session.Config{})
		events := next.await(t, r)
		if got, want := shape(events), "queued started1 +half started2 = +whole done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the next worker waited %v for a lease that was given back", took)
		}
	})
}

func TestEngineFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"append", "commit", "terminal"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := &faulty{Engine: memlog.New(), fail: map[string]int{op: 3}}
				n := start(t, engine, only(says(10*time.Millisecond, "a", "b", "c", "d")), session.Config{})
				r := n.submit(t, ask("hi"))
				events := n.await(t, r)
				if got, want := shape(joined(events)), "queued started1 +abcd done"; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				synctest.Wait()
				if depth, _ := engine.Depth(t.Context()); depth != 0 {
					t.Errorf("%d prompts are left", depth)
				}
			})
		})
	}
}

// What a crash may take from the token log must come back from the turn.
func TestRecoverPutsBackTheEnd(t *testing.T) {
	t.Parallel()
	for lose := range 7 {
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			t.Parallel()
			engine := memlog.New()
			n := start(t, engine, only(says(time.Millisecond, "a", "b", "c")), session.Config{FlushInterval: -1})
			r := n.submit(t, ask("hi"))
			before := n.await(t, r) // queued started a b c done
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
			engine.Crash(lose)
			n = start(t, engine, only(says(0, "another answer")), session.Config{})
			after := all(t, engine, "s")
			if text(after) != "abc" || terminals(after) != 1 || after[len(after)-1].Type != runnel.EventDone {
				t.Errorf("log: %s", shape(after))
			}
			seen := before[len(before)-1].Cursor
			if lose == 0 { // nothing is new to a reader who has seen it all
				seen = before[len(before)-2].Cursor
			}
			events, err := n.Read(t.Context(), "s", seen)
			if err != nil {
				t.Fatal(err)
			}
			if last := events[len(events)-1]; last.Type != runnel.EventDone || last.Cursor.IsZero() {
				t.Errorf("the reader got %s", shape(events))
			}
			if lose > 0 && text(events) != "abc" {
				t.Errorf("the reader's text is %q after %s", text(events), shape(events))
			}
			// A second start must not do it again.
			if err := n.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again := all(t, engine, "s"); len(again) != len(after) {
				t.Errorf("a second recovery added %s", shape(again[len(after):]))
			}
		})
	}
}

// A reader follows a session through crashes as a client does: it keeps its
// cursor and what it has, and applies what it gets.
type reader struct {
	after runnel.Cursor
	texts map[runnel.GenerationID]string
	ends  map[runnel.GenerationID]int
}

func newReader() *reader {
	return &reader{texts: map[runnel.GenerationID]string{}, ends: map[runnel.GenerationID]int{}}
}

func (r *reader) apply(ev *runnel.Event) {
	switch {
	case ev.Type == runnel.EventReset && ev.Generation == "":
		clear(r.texts)
		clear(r.ends)
	case ev.Type == runnel.EventReset:
		r.texts[ev.Generation] = ev.Text
		r.ends[ev.Generation] = 0
	case ev.Type == runnel.EventDelta:
		r.texts[ev.Generation] += ev.Text
	case ev.Type.Terminal():
		r.ends[ev.Generation]++
	}
	if !ev.Cursor.IsZero() {
		r.after = ev.Cursor
	}
}

func TestCrashes(t *testing.T) {
	t.Parallel()
	for lose := range 12 {
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { crashOnce(t, lose) })
		})
	}
}

// crashOnce kills a node in the middle of two answers, one waiting and one
// ended, and takes back the last events of the log.
func crashOnce(t *testing.T, lose int) {
	engine := memlog.New()
	answer := says(10*time.Millisecond, strings.Split("one two three four five six", "")...)
	n := start(t, engine, only(answer), session.Config{FlushInterval: -1, DrainTimeout: time.Nanosecond})
	var receipts []runnel.Receipt
	want := map[runnel.GenerationID]string{}
	for _, id := range []runnel.SessionID{"s", "s", "t"} {
		sub := ask("hi")
		sub.Prompt.Session = id
		r := n.submit(t, sub)
		receipts = append(receipts, r)
		if id == "s" {
			want[r.Generation] = "one two three four five six"
		}
	}
	rd := newReader()
	follow := func(until func() bool) {
		for !until() {
			events, err := n.Read(t.Context(), "s", rd.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range events {
				rd.apply(&ev)
			}
		}
	}
	follow(func() bool { return len(rd.texts[receipts[1].Generation]) == 5 })
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	engine.Crash(lose)
	n = start(t, engine, only(answer), session.Config{FlushInterval: -1})
	follow(func() bool { return rd.ends[receipts[0].Generation] > 0 && rd.ends[receipts[1].Generation] > 0 })
	if diff := cmp.Diff(want, rd.texts); diff != "" {
		t.Errorf("the reader's texts (-want +got):\n%s", diff)
	}
	for gen, ends := range rd.ends {
		if ends != 1 {
			t.Errorf("%s ended %d times", gen, ends)
		}
	}
	if got := all(t, engine, "s"); terminals(got) != 2 {
		t.Errorf("log: %s", shape(got))
	}
}

// Two nodes, many sessions, and a node that is stopped and started again and
// again: every prompt is answered once.
func TestManyHandovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		answer := says(30*time.Millisecond, "a", "b", "c", "d", "e")
		steady := start(t, engine, only(answer), session.Config{})
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			for ctx.Err() == nil {
				n := start(t, engine, only(answer), session.Config{DrainTimeout: 20 * time.Millisecond, Attempts: 1000})
				sleep(ctx, 110*time.Millisecond)
				if err := n.stop(); err != nil {
					t.Error(err)
				}
			}
		})
		var receipts []runnel.Receipt
		for i := range 100 {
			sub := ask("hi")
			sub.Prompt.Session = runnel.SessionID(fmt.Sprint(i % 40))
			receipts = append(receipts, steady.submit(t, sub))
			sleep(ctx, 7*time.Millisecond)
		}
		for _, r := range receipts {
			events := steady.await(t, r)
			if text(events) != "abcde" || terminals(events) != 1 {
				t.Errorf("%s: %s", r.Generation, shape(events))
			}
		}
		cancel()
		wg.Wait()
		total := 0
		for i := range 40 {
			total += terminals(all(t, engine, runnel.SessionID(fmt.Sprint(i))))
		}
		if total != 100 {
			t.Errorf("%d terminal events for 100 prompts", total)
		}
	})
}

func TestResetOfAnotherLog(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), only(says(0, "x", "y")), session.Config{})
	r := n.submit(t, ask("hi"))
	n.await(t, r)
	events, err := n.Read(t.Context(), "s", runnel.Cursor{Epoch: "elsewhere", Seq: 7})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shape(events), "reset queued started1 reset done"; strings.ReplaceAll(strings.ReplaceAll(got, "=xy", "reset"), "=", "reset") != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for i, ev := range events {
		if ev.Cursor.IsZero() != (i < len(events)-1) {
			t.Errorf("event %d has the cursor %s", i, ev.Cursor)
		}
		if len(ev.Body) == 0 {
			t.Errorf("event %d has no body", i)
		}
	}
	events, err = n.Read(t.Context(), "never seen", runnel.Cursor{Epoch: "elsewhere", Seq: 7})
	if err != nil || shape(events) != "=" || events[0].Cursor.IsZero() {
		t.Errorf("an empty session gave %s, %v", shape(events), err)
	}
}

// A crash may take everything that the log had of a session whose turn stands,
// while the log goes on further than where the session began. Neither the next
// start nor a reader may wait for events that will never come.
func TestRecoverWhenTheWholeSessionIsLost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	engine := memlog.New()
	if _, err := engine.Append(ctx, runnel.Event{Session: "other", Generation: "g", Type: runnel.EventDelta, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	n := start(t, engine, only(says(0, "abc")), session.Config{})
	before := n.await(t, n.submit(t, ask("hi")))
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	engine.Crash(len(before))
	s := session.New(engine, only(says(0, "another")), session.Config{})

	// A session of which the log has nothing, and a cursor of another log.
	events, err := s.Read(ctx, "never used", runnel.Cursor{Epoch: "elsewhere", Seq: 7})
	if err != nil || shape(events) != "=" {
		t.Errorf("an empty session gave %s, %v", shape(events), err)
	}
	if err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	events, err = s.Read(ctx, "s", before[len(before)-1].Cursor)
	if err != nil || text(events) != "abc" || terminals(events) != 1 {
		t.Errorf("a reader got %s, %v", shape(events), err)
	}
}
