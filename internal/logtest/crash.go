package logtest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

// A victim is an engine that can be crashed. Its Engine changes when it is.
type victim struct {
	runnel.Engine

	t       *testing.T
	harness Harness
}

// checkpoint returns a function that crashes the engine; what was appended
// since the checkpoint is lost.
func (v *victim) checkpoint() (crash func()) {
	v.t.Helper()
	back := v.harness.Checkpoint(v.t, v.Engine)
	return func() { v.Engine = back(v.Engine) }
}

type crashTest struct {
	name string
	run  func(t *testing.T, v *victim)
}

func crashTests() []crashTest {
	return []crashTest{
		{"nothing was lost", testCrashWithoutLoss},
		{"the last events were lost", testCrashLosesTail},
		{"a whole session was lost", testCrashLosesSession},
		{"two crashes", testCrashTwice},
		{"a second crash takes more", testCrashTwiceTakesMore},
		{"fencing goes on", testCrashAndFence},
		{"prompts and leases", testCrashQueue},
		{"runs and reservations", testCrashLedger},
		{"pieces", testCrashPieces},
		{"owners", testCrashOwner},
		{"counters", testCrashCount},
		{"random operations", testModel},
	}
}

func testCrashWithoutLoss(t *testing.T, v *victim) {
	id := newSession()
	old := mustAppend(t, v, id, "0", "1", "2")
	v.checkpoint()()
	for i, c := range old {
		wantTexts(t, v, id, c, numbers(i+1, 3)...)
	}
	end, err := v.End(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	if end.Seq != old[2].Seq || end.Epoch == old[2].Epoch {
		t.Errorf("the end is %s, and was %s: want the same number in a new epoch", end, old[2])
	}
	mustAppend(t, v, id, "3")
	for i, c := range old {
		wantTexts(t, v, id, c, numbers(i+1, 4)...)
	}
	events, err := readN(limit(t), v, id, runnel.Cursor{}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range events {
		wantTexts(t, v, id, ev.Cursor, numbers(i+1, 4)...)
	}
}

func testCrashLosesTail(t *testing.T, v *victim) {
	id := newSession()
	kept := mustAppend(t, v, id, "0", "1")
	crash := v.checkpoint()
	lost := mustAppend(t, v, id, "lost", "lost too")
	crash()

	after := func(want ...string) {
		t.Helper()
		for _, c := range lost {
			intact := wantReset(t, v, id, c)
			if intact.Seq < kept[1].Seq || intact.Seq >= lost[0].Seq {
				t.Fatalf("the reader is sent back to %s, want %s", intact, kept[1])
			}
			wantTexts(t, v, id, intact, want...)
		}
		wantTexts(t, v, id, kept[1], want...)
		wantTexts(t, v, id, kept[0], append([]string{"1"}, want...)...)
		wantTexts(t, v, id, runnel.Cursor{}, append([]string{"0", "1"}, want...)...)
	}
	after()
	mustAppend(t, v, id, "a")
	after("a")
	mustAppend(t, v, id, "b", "c", "d") // the lost numbers stand for others now
	after("a", "b", "c", "d")
}

func testCrashLosesSession(t *testing.T, v *victim) {
	id := newSession()
	empty, err := v.End(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, v, newSession(), "of another session")
	crash := v.checkpoint()
	lost := mustAppend(t, v, id, "lost")[0]
	crash()

	intact := wantReset(t, v, id, lost)
	if intact.Seq >= lost.Seq {
		t.Fatalf("the reader is sent back from %s to %s", lost, intact)
	}
	for _, c := range []runnel.Cursor{intact, empty, {}} {
		wantBlocked(t, v, id, c)
	}
	mustAppend(t, v, id, "a", "b")
	for _, c := range []runnel.Cursor{wantReset(t, v, id, lost), intact, empty, {}} {
		wantTexts(t, v, id, c, "a", "b")
	}
}

// testCrashTwice: after the second crash the log is longer than what the first
// one left, so the number of a lost event alone looks as if nothing had happened.
func testCrashTwice(t *testing.T, v *victim) {
	id := newSession()
	one := mustAppend(t, v, id, "0", "1")
	crash := v.checkpoint()
	lost := mustAppend(t, v, id, "lost", "lost", "lost")
	crash()
	two := mustAppend(t, v, id, "2", "3", "4", "5", "6", "7")
	crash = v.checkpoint()
	gone := mustAppend(t, v, id, "gone")[0]
	crash()
	mustAppend(t, v, id, "8", "9")

	for _, c := range lost {
		wantTexts(t, v, id, wantReset(t, v, id, c), numbers(2, 10)...)
	}
	wantTexts(t, v, id, wantReset(t, v, id, gone), "8", "9")
	for i, c := range append(one, two...) {
		wantTexts(t, v, id, c, numbers(i+1, 10)...)
	}
}

// testCrashTwiceTakesMore: the second crash goes back behind the first.
func testCrashTwiceTakesMore(t *testing.T, v *victim) {
	id := newSession()
	kept := mustAppend(t, v, id, "0")[0]
	far := v.checkpoint()
	twice := mustAppend(t, v, id, "lost by the second", "lost by the second")
	near := v.checkpoint()
	lost := mustAppend(t, v, id, "lost by the first")
	near()
	lost = append(lost, mustAppend(t, v, id, "lost by the second", "lost by the second")...)
	far()

	for round, want := range [][]string{nil, {"1"}, {"1", "2", "3", "4", "5", "6"}} {
		for _, c := range append(lost, twice...) {
			intact := wantReset(t, v, id, c)
			if intact.Seq < kept.Seq || intact.Seq >= twice[0].Seq {
				t.Fatalf("round %d: the reader at %s is sent back to %s, want %s", round, c, intact, kept)
			}
			wantTexts(t, v, id, intact, want...)
		}
		wantTexts(t, v, id, kept, want...)
		mustAppend(t, v, id, [][]string{{"1"}, {"2", "3", "4", "5", "6"}, nil}[round]...)
	}
}

// testCrashAndFence: the next attempt may well begin after a crash that has
// taken back how the one before began.
func testCrashAndFence(t *testing.T, v *victim) {
	s := newScript(t, v)
	first := s.writer()
	s.write(first, s.event(runnel.EventStarted, 1, ""))
	crash := v.checkpoint()
	if _, err := first.Append(limit(t), s.event(runnel.EventDelta, 1, "lost")); err != nil {
		t.Fatal(err)
	}
	crash()
	second := s.writer()
	s.write(second, s.event(runnel.EventStarted, 2, ""))
	third := s.writer()
	s.write(third, s.event(runnel.EventStarted, 3, ""))
	s.fenced(second, s.event(runnel.EventDelta, 2, "a"))
	s.write(third, s.event(runnel.EventDone, 3, ""))
	s.done()
}

// testCrashQueue: a crash voids all leases. If they survived, the prompts would
// come when those run out, every time; a busy machine is slow once.
func testCrashQueue(t *testing.T, v *victim) {
	var waited time.Duration
	for range 3 {
		if waited = crashQueue(t, v); waited < v.LeaseTime()*9/10 {
			return
		}
	}
	t.Errorf("the prompts came only after %s: the leases had survived the crash", waited)
}

// crashQueue crashes a queue with leases and returns how long its prompts took
// to come again.
func crashQueue(t *testing.T, v *victim) time.Duration {
	t.Helper()
	crash := v.checkpoint()
	id := newSession()
	prompts := mustEnqueue(t, v, id, 5)
	mustDequeue(t, v, prompts[0])
	mustRemove(t, mustDequeue(t, v, prompts[1]))
	mustDequeue(t, v, prompts[2])
	crash()

	start := time.Now()
	left := []runnel.Prompt{prompts[0], prompts[2], prompts[3], prompts[4]}
	for _, p := range left { // a client that got no answer asks again
		if err := v.Enqueue(limit(t), p, false); err != nil {
			t.Fatal(err)
		}
	}
	wantDepth(t, v, len(left))
	wantWaiting(t, v, id, left...)
	for _, p := range left {
		mustRemove(t, mustDequeue(t, v, p))
	}
	wantDepth(t, v, 0)
	return time.Since(start)
}

func testCrashLedger(t *testing.T, v *victim) {
	crash := v.checkpoint()
	id, key := newSession(), string(newSession())
	running := mustPutRun(t, v, runnel.Run{Session: id, Generation: newGeneration(), State: runnel.Running, Attempt: 2})
	ended := mustPutRun(t, v, endedRun(id, "text"))
	if _, _, err := v.Reserve(limit(t), key, "value"); err != nil {
		t.Fatal(err)
	}
	crash()

	for _, want := range []runnel.Run{running, ended} {
		got, err := v.Run(limit(t), id, want.Generation)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("run: %v (-want +got):\n%s", err, diff)
		}
	}
	running.Attempt++
	mustPutRun(t, v, running)
	if turns, err := v.Turns(limit(t), id, 0); err != nil || len(turns) != 1 || turns[0].Text != "text" {
		t.Errorf("turns: %v, %v", turns, err)
	}
	if stored, existed, err := v.Reserve(limit(t), key, "other"); stored != "value" || !existed {
		t.Errorf("reserve: %q, %t, %v", stored, existed, err)
	}
}
