package session_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// However many sessions a node gets to know, it remembers a bounded number of
// owners, and those of the sessions that are in use among them.
func TestOwnersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 200_000
		engine := &counting{Engine: memlog.New()}
		n := start(t, engine, only(says(0, "a")), session.Config{})
		ann := as(t, "ann")
		n.await(t, mustSubmit(ann, t, n, "hi"))
		time.Sleep(time.Second)
		engine.take()
		for i := range many {
			id := runnel.SessionID(fmt.Sprint(i))
			if _, err := engine.Engine.Own(ann, id, "ann"); err != nil {
				t.Fatal(err)
			}
			if _, err := n.End(ann, id); err != nil {
				t.Fatal(err)
			}
			if i%10_000 == 0 {
				mustRead(ann, t, n, "s")
			}
		}
		owned := func() int {
			return len(slices.DeleteFunc(engine.take(), func(call string) bool { return call != "own" }))
		}
		if got := owned(); got != many {
			t.Errorf("the ledger was asked %d times, want once for each of %d sessions", got, many)
		}
		if _, err := n.End(ann, "0"); err != nil {
			t.Fatal(err)
		}
		if got := owned(); got != 1 {
			t.Errorf("a session that was not used for long costs %d look-ups, want 1", got)
		}
	})
}
