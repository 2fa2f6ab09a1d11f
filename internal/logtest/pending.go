package logtest

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

// testPending looks at a queue with prompts of several sessions, of any name.
func testPending(t *testing.T, e runnel.Engine) {
	var want []runnel.Run
	for _, id := range []runnel.SessionID{newSession(), "a session/with.dots *", newSession()} {
		for range 2 {
			p := newPrompt(id)
			p.Account = "somebody"
			if err := e.Enqueue(limit(t), p, false); err != nil {
				t.Fatal(err)
			}
			want = append(want, runnel.Run{Session: id, Generation: p.Generation, State: runnel.Queued})
		}
	}
	slices.SortFunc(want, func(a, b runnel.Run) int { return cmp.Compare(a.Generation, b.Generation) })
	check := func(most int, want []runnel.Run) {
		t.Helper()
		got, err := e.Pending(limit(t), most)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("at most %d (-want +got):\n%s", most, diff)
		}
	}
	check(100, want)
	check(2, want[:2])
	for range len(want) {
		l, err := e.Dequeue(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		check(100, want) // leased ones are in the queue
		mustRemove(t, l)
		want = slices.DeleteFunc(want, func(r runnel.Run) bool { return r.Generation == l.Prompt().Generation })
		check(100, want)
	}
}
