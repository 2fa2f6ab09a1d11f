package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func ledgerTests() []test {
	return []test{
		{"runs survive whole", testRunSurvives},
		{"a run is not found", testRunNotFound},
		{"runs are replaced by revision", testPutRunConflict},
		{"sixteen replace a run", testPutRunRace},
		{"turns", testTurns},
		{"any session id has turns", testTurnsSessionIDs},
		{"ended", testEnded},
		{"locate", testLocate},
		{"reserve", testReserve},
		{"looking for a reservation", testReserveLook},
		{"sixteen reserve a key", testReserveRace},
		{"cancels", testCancels},
	}
}

func mustPutRun(t *testing.T, e runnel.Ledger, r runnel.Run) runnel.Run {
	t.Helper()
	stored, err := e.PutRun(limit(t), r)
	if err != nil {
		t.Fatalf("put run at revision %d: %v", r.Revision, err)
	}
	return stored
}

// endedRun returns the record of a generation that ended now.
func endedRun(id runnel.SessionID, text string) runnel.Run {
	gen, now := newGeneration(), time.Now().UTC()
	return runnel.Run{Session: id, Generation: gen, State: runnel.Done, Attempt: 1, Turn: &runnel.Turn{
		Generation: gen, State: runnel.Done, Attempt: 1, Text: text, AcceptedAt: now, EndedAt: now,
		Prompt: []runnel.Message{runnel.TextMessage(runnel.User, "why?")},
	}}
}

func testRunSurvives(t *testing.T, e runnel.Engine) {
	r := endedRun(newSession(), strings.Repeat("a token \"é\"\n", 100_000)) // more than 1 MiB
	now := time.Now().UTC()
	r.Owner, r.Model, r.Cancel, r.Accepted, r.Started = "node", "echo", true, now, now
	r.Cursor = runnel.Cursor{Epoch: "e", Seq: 7}
	turn := r.Turn
	turn.Model, turn.Reasoning, turn.StopReason = "echo", "hmm", runnel.ToolUse
	turn.Tools = []runnel.ToolCall{{ID: "1", Name: "look", Input: json.RawMessage(`{"x":1}`)}}
	turn.Usage = &runnel.Usage{InputTokens: 1, OutputTokens: 2}
	turn.Failure = &runnel.Failure{Kind: "internal", Message: "oops"}
	turn.StartedAt, turn.FirstAt = now, now

	put := mustPutRun(t, e, r)
	if put.Revision == 0 {
		t.Error("a stored run has no revision")
	}
	r.Revision = put.Revision
	if diff := cmp.Diff(r, put); diff != "" {
		t.Errorf("what put returned (-want +got):\n%s", diff)
	}
	turn.Text += "changed after it was stored"
	got, err := e.Run(limit(t), r.Session, r.Generation)
	if err != nil {
		t.Fatal(err)
	}
	turn.Text = strings.TrimSuffix(turn.Text, "changed after it was stored")
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("what is stored (-want +got):\n%s", diff)
	}
	turns, err := e.Turns(limit(t), r.Session, 0)
	if diff := cmp.Diff([]runnel.Turn{*turn}, turns); err != nil || diff != "" {
		t.Errorf("turns: %v (-want +got):\n%s", err, diff)
	}
}

func testRunNotFound(t *testing.T, e runnel.Engine) {
	r := mustPutRun(t, e, endedRun(newSession(), "a"))
	_, err := e.Run(limit(t), r.Session, newGeneration())
	wantKind(t, err, runnel.NotFound)
	_, err = e.Run(limit(t), newSession(), r.Generation)
	wantKind(t, err, runnel.NotFound)
}

func testPutRunConflict(t *testing.T, e runnel.Engine) {
	r := runnel.Run{Session: newSession(), Generation: newGeneration(), State: runnel.Running, Attempt: 1}
	conflict := func(r runnel.Run) {
		t.Helper()
		r.Owner = "must not be stored"
		_, err := e.PutRun(limit(t), r)
		wantKind(t, err, runnel.Conflict)
	}
	missing := r
	missing.Revision = 1 << 40
	conflict(missing)

	first := mustPutRun(t, e, r)
	conflict(r) // it exists already
	second := first
	second.Attempt = 2
	second = mustPutRun(t, e, second)
	if second.Revision <= first.Revision {
		t.Errorf("revision %d follows %d", second.Revision, first.Revision)
	}
	conflict(first)
	conflict(r)
	got, err := e.Run(limit(t), r.Session, r.Generation)
	if diff := cmp.Diff(second, got); err != nil || diff != "" {
		t.Errorf("after refused writes: %v (-want +got):\n%s", err, diff)
	}
}

func testPutRunRace(t *testing.T, e runnel.Engine) {
	r := runnel.Run{Session: newSession(), Generation: newGeneration(), State: runnel.Running}
	for range size(20, 5) {
		var wins atomic.Int32
		var g errgroup.Group
		ctx := limit(t)
		for i := range 16 {
			mine := r
			mine.Owner = strconv.Itoa(i)
			g.Go(func() error {
				_, err := e.PutRun(ctx, mine)
				if err == nil {
					wins.Add(1)
				} else if runnel.KindOf(err) != runnel.Conflict {
					return err
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := wins.Load(); n != 1 {
			t.Fatalf("%d of 16 replaced revision %d, want 1", n, r.Revision)
		}
		var err error
		if r, err = e.Run(ctx, r.Session, r.Generation); err != nil {
			t.Fatal(err)
		}
	}
}

func testTurns(t *testing.T, e runnel.Engine) {
	id := newSession()
	want := func(limited int, want ...string) {
		t.Helper()
		turns, err := e.Turns(limit(t), id, limited)
		if err != nil {
			t.Fatalf("turns: %v", err)
		}
		var got []string
		for _, turn := range turns {
			got = append(got, turn.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("turns with limit %d (-want +got):\n%s", limited, diff)
		}
	}
	want(0)
	want(5)
	var runs []runnel.Run
	for _, text := range numbers(0, 12) {
		runs = append(runs, endedRun(id, text))
	}
	runs[2].State, runs[2].Turn.State = runnel.Failed, runnel.Failed
	runs[3].State, runs[3].Turn.State = runnel.Stopped, runnel.Stopped
	running := runnel.Run{Session: id, Generation: newGeneration(), State: runnel.Running, Attempt: 1}
	for _, i := range []int{7, 0, 3, 11, 1, 2, 10, 9, 4, 8, 6} { // 5 ends later
		mustPutRun(t, e, runs[i])
	}
	mustPutRun(t, e, running)
	mustPutRun(t, e, endedRun(newSession(), "of another session"))

	late := mustPutRun(t, e, runnel.Run{Session: id, Generation: runs[5].Generation, State: runnel.Running, Attempt: 1})
	want(0, "7", "0", "3", "11", "1", "2", "10", "9", "4", "8", "6")
	runs[5].Revision = late.Revision
	mustPutRun(t, e, runs[5])
	ended := []string{"7", "0", "3", "11", "1", "2", "10", "9", "4", "8", "6", "5"}
	want(0, ended...)
	want(1, "11")
	want(5, "7", "11", "10", "9", "8") // the newest, in the order in which they ended
	want(12, ended...)
	want(100, ended...)
}

func testTurnsSessionIDs(t *testing.T, e runnel.Engine) {
	for _, id := range sessionIDs() {
		mustPutRun(t, e, endedRun(id, "of "+string(id)))
	}
	for _, id := range sessionIDs() {
		turns, err := e.Turns(limit(t), id, 0)
		if err != nil || len(turns) != 1 || turns[0].Text != "of "+string(id) {
			t.Errorf("session %q: %d turns, %v", id, len(turns), err)
		}
	}
}

func testEnded(t *testing.T, e runnel.Engine) {
	id := newSession()
	mustPutRun(t, e, endedRun(id, "early"))
	mustPutRun(t, e, runnel.Run{Session: id, Generation: newGeneration(), State: runnel.Running, Attempt: 1})
	mustPutRun(t, e, endedRun(id, "late"))
	within := func(d time.Duration) []string {
		t.Helper()
		var mine []string
		calls := 0
		err := e.Ended(limit(t), d, func(r runnel.Run) error {
			calls++
			if !r.State.Ended() || r.Turn == nil || r.Revision == 0 {
				t.Errorf("got a run that is %q, with turn %v, at revision %d", r.State, r.Turn, r.Revision)
			} else if r.Session == id {
				mine = append(mine, r.Turn.Text)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("ended: %v", err)
		}
		if calls == 0 {
			t.Errorf("within %s before the last one that ended there is not even that", d)
		}
		slices.Sort(mine)
		return mine
	}
	if diff := cmp.Diff([]string{"early", "late"}, within(time.Hour)); diff != "" {
		t.Errorf("within an hour (-want +got):\n%s", diff)
	}
	if slices.Contains(within(time.Nanosecond), "early") {
		t.Error("within a nanosecond before the last one there is an earlier one")
	}
	stop, calls := errors.New("stop"), 0
	err := e.Ended(limit(t), time.Hour, func(runnel.Run) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("a function that refuses was called %d times, and ended returned %v", calls, err)
	}
}

func testLocate(t *testing.T, e runnel.Engine) {
	ctx, gen := limit(t), newGeneration()
	_, err := e.Locate(ctx, gen)
	wantKind(t, err, runnel.NotFound)
	for _, id := range sessionIDs() {
		gen := newGeneration()
		for range 2 { // a second time changes nothing
			if err := e.Index(ctx, id, gen); err != nil {
				t.Fatalf("index in %q: %v", id, err)
			}
			if got, err := e.Locate(ctx, gen); err != nil || got != id {
				t.Errorf("locate gave %q and %v, want %q", got, err, id)
			}
		}
	}
	_, err = e.Locate(ctx, gen)
	wantKind(t, err, runnel.NotFound)
}

func testReserve(t *testing.T, e runnel.Engine) {
	unique := string(newSession())
	keys := []string{"", ".", " ", "*", ">", "a.b", "é", "é ", "É", "/", "=", "%2e", "$KV", strings.Repeat("k", 200)}
	for round, value := range []string{"first", "second"} {
		for _, key := range keys {
			stored, existed, err := e.Reserve(limit(t), unique+key, value+key)
			if err != nil || stored != "first"+key || existed != (round == 1) {
				t.Errorf("round %d: reserve %q gave %q, %t, %v", round, key, stored, existed, err)
			}
		}
	}
}

func testReserveLook(t *testing.T, e runnel.Engine) {
	key := string(newSession())
	look := func(want string) {
		t.Helper()
		if stored, existed, err := e.Reserve(limit(t), key, ""); err != nil || stored != want || existed != (want != "") {
			t.Errorf("found %q, %t, %v; want %q", stored, existed, err, want)
		}
	}
	look("")
	look("") // it leaves nothing behind
	if _, existed, err := e.Reserve(limit(t), key, "a"); err != nil || existed {
		t.Errorf("reserved before: %t, %v", existed, err)
	}
	look("a")
}

func testReserveRace(t *testing.T, e runnel.Engine) {
	for range size(10, 3) {
		key := string(newSession())
		var (
			g      errgroup.Group
			mu     sync.Mutex
			winner []string
			stored = make(map[string]bool)
		)
		ctx := limit(t)
		for i := range 16 {
			g.Go(func() error {
				got, existed, err := e.Reserve(ctx, key, strconv.Itoa(i))
				mu.Lock()
				defer mu.Unlock()
				if stored[got] = true; err == nil && !existed {
					winner = append(winner, strconv.Itoa(i))
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if len(winner) != 1 || len(stored) != 1 || !stored[winner[0]] {
			t.Fatalf("%q reserved the key, and the callers were told %v", winner, stored)
		}
	}
}

// testCancels has two nodes listen.
func testCancels(t *testing.T, e runnel.Engine) {
	const nodes = 2
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	var (
		g     errgroup.Group
		ready sync.WaitGroup
		heard [nodes]chan runnel.GenerationID
	)
	for i := range nodes {
		heard[i] = make(chan runnel.GenerationID)
		var running atomic.Int32
		ready.Add(1)
		g.Go(func() error {
			return e.Cancels(ctx, ready.Done, func(gen runnel.GenerationID) {
				if running.Add(1) > 1 {
					t.Error("two calls at a time")
				}
				defer running.Add(-1)
				select {
				case heard[i] <- gen: // not received before all are sent
				case <-ctx.Done():
				}
			})
		})
	}
	ready.Wait()
	var want []runnel.GenerationID
	for range 20 {
		want = append(want, newGeneration())
	}
	for _, gen := range want {
		if err := e.NotifyCancel(gen); err != nil {
			t.Errorf("notify: %v", err)
		}
	}
	for i := range nodes {
		var got []runnel.GenerationID
		for len(got) < len(want) {
			select {
			case gen := <-heard[i]:
				if slices.Contains(want, gen) { // not of another case
					got = append(got, gen)
				}
			case <-ctx.Done():
				t.Fatalf("node %d heard of %d cancels, want %d", i, len(got), len(want))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("node %d (-want +got):\n%s", i, diff)
		}
	}
	cancel()
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancels returned %v", err)
	}
}
