package session_test

import (
	"testing"
	"testing/synctest"

	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// TestActive: a viewer who begins with the answer in flight is told where it
// begins, and of nothing that has ended.
func TestActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(hangs("a")), session.Config{})
		active := func() (generations []string, cursor string) {
			t.Helper()
			tr, err := n.Active(t.Context(), "s")
			if err != nil || len(tr.Turns) > 0 {
				t.Fatalf("%v, %v", tr, err)
			}
			for _, g := range tr.Active {
				generations = append(generations, string(g.ID)+" after "+g.Cursor.String())
			}
			return generations, tr.Cursor.String()
		}
		if got, _ := active(); len(got) > 0 {
			t.Errorf("before the first prompt: %v", got)
		}
		r := n.submit(t, ask("hi"))
		n.until(t, r, isDelta)
		if got, _ := active(); len(got) != 1 || got[0] != string(r.Generation)+" after "+r.Cursor.String() {
			t.Errorf("while it runs: %v, want %s", got, r.Generation)
		}
		if _, err := n.Cancel(t.Context(), r.Generation); err != nil {
			t.Fatal(err)
		}
		events := n.await(t, r)
		synctest.Wait()
		got, cursor := active()
		if want := events[len(events)-1].Cursor.String(); len(got) > 0 || cursor != want {
			t.Errorf("after its end: %v at %s, want nothing at %s", got, cursor, want)
		}
	})
}
