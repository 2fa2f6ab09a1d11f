package logtest

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func ownerTests() []test {
	return []test{
		{"the first owner stays", testOwn},
		{"looking for an owner", testOwnLook},
		{"any session id has an owner", testOwnSessionIDs},
		{"any name can be an owner's", testOwnNames},
		{"sixteen claim a session", testOwnRace},
	}
}

// wantOwner insists on what Own returns.
func wantOwner(t *testing.T, e runnel.Ledger, id runnel.SessionID, owner, want string) {
	t.Helper()
	if got, err := e.Own(limit(t), id, owner); err != nil || got != want {
		t.Errorf("session %q: own as %q gave %q and %v, want %q", id, owner, got, err, want)
	}
}

func testOwn(t *testing.T, e runnel.Engine) {
	id := newSession()
	wantOwner(t, e, id, "ann", "ann")
	wantOwner(t, e, id, "bob", "ann")
	wantOwner(t, e, id, "ann", "ann")
	wantOwner(t, e, id, "", "ann")
	wantOwner(t, e, newSession(), "bob", "bob")
}

func testOwnLook(t *testing.T, e runnel.Engine) {
	id := newSession()
	for range 2 { // it leaves nothing behind
		wantOwner(t, e, id, "", "")
	}
	wantOwner(t, e, id, "ann", "ann")
	wantOwner(t, e, id, "", "ann")
}

func testOwnSessionIDs(t *testing.T, e runnel.Engine) {
	for _, id := range sessionIDs() {
		wantOwner(t, e, id, "the owner of "+string(id), "the owner of "+string(id))
	}
	for _, id := range sessionIDs() {
		wantOwner(t, e, id, "", "the owner of "+string(id))
		wantOwner(t, e, id, "bob", "the owner of "+string(id))
	}
	wantOwner(t, e, "", "", "") // nobody can use this one, but ask they may
}

func testOwnNames(t *testing.T, e runnel.Engine) {
	for _, name := range []string{" ", "\x00", "a\r\nb", "\xff", "日本", `{"a":1}`, "null", "*", ">", strings.Repeat("x", 10_000)} {
		id := newSession()
		wantOwner(t, e, id, name, name)
		wantOwner(t, e, id, "", name)
	}
}

func testOwnRace(t *testing.T, e runnel.Engine) {
	const claimants = 16
	for range size(10, 3) {
		id, ctx := newSession(), limit(t)
		var told, seen [claimants]string
		var g errgroup.Group
		for i := range claimants {
			g.Go(func() (err error) {
				if told[i], err = e.Own(ctx, id, "owner "+strconv.Itoa(i)); err == nil {
					seen[i], err = e.Own(ctx, id, "")
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for i := range claimants {
			if told[i] != told[0] || seen[i] != told[0] || !strings.HasPrefix(told[i], "owner ") {
				t.Fatalf("the owners that the claimants were told are %q, and then they saw %q", told, seen)
			}
		}
	}
}

// testCrashOwner: who owns a session is known at once and for good, also when
// all that the session held is lost.
func testCrashOwner(t *testing.T, v *victim) {
	crash := v.checkpoint()
	id := newSession()
	mustAppend(t, v, id, "lost")
	wantOwner(t, v, id, "ann", "ann")
	crash()
	wantOwner(t, v, id, "", "ann")
	wantOwner(t, v, id, "bob", "ann")
}
