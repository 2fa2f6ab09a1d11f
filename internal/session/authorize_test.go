package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// as returns the context of a user's calls.
func as(t testing.TB, user string) context.Context {
	return runnel.WithPrincipal(t.Context(), &runnel.Principal{ID: user})
}

func asService(t testing.TB, grants ...runnel.Grant) context.Context {
	return runnel.WithPrincipal(t.Context(), &runnel.Principal{ID: "backend", Service: true, Grants: grants})
}

func mustSubmit(ctx context.Context, t *testing.T, n node, text string) runnel.Receipt {
	t.Helper()
	r, err := n.Submit(ctx, ask(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantKind(t *testing.T, what string, err error, want runnel.Kind) {
	t.Helper()
	if err == nil || runnel.KindOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// wantSilence insists that a read returns nothing for a while, of a bubble.
func wantSilence(ctx context.Context, t *testing.T, n node, id runnel.SessionID, after runnel.Cursor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if events, err := n.Read(ctx, id, after); len(events) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read of %q after %s: %s, %v; want nothing", id, after, shape(events), err)
	}
}

func mustRead(ctx context.Context, t *testing.T, n node, id runnel.SessionID) {
	t.Helper()
	if events, err := n.Read(ctx, id, runnel.Cursor{}); len(events) == 0 || err != nil {
		t.Errorf("read of %q: %s, %v; want events", id, shape(events), err)
	}
}

func wantOwner(t *testing.T, n node, id runnel.SessionID, want string) {
	t.Helper()
	if got, err := n.engine().Own(t.Context(), id, ""); got != want || err != nil {
		t.Errorf("the owner of %q is %q, %v; want %q", id, got, err, want)
	}
}

func transcript(ctx context.Context, t *testing.T, n node, id runnel.SessionID) runnel.Transcript {
	t.Helper()
	tr, err := n.Transcript(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestForeignSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "secret")), session.Config{})
		ann, bob := as(t, "ann"), as(t, "bob")
		ended := mustSubmit(ann, t, n, "1")
		end := n.await(t, ended)
		active := mustSubmit(ann, t, n, "2")

		wantSilence(bob, t, n, "s", runnel.Cursor{})
		wantSilence(bob, t, n, "s", ended.Cursor)
		wantSilence(bob, t, n, "s", end[0].Cursor)
		_, err := n.Submit(bob, ask("mine"))
		wantKind(t, "submit", err, runnel.NotFound)
		for _, gen := range []runnel.GenerationID{ended.Generation, active.Generation} {
			_, err = n.Generation(bob, gen)
			wantKind(t, "generation", err, runnel.NotFound)
			_, err = n.Cancel(bob, gen)
			wantKind(t, "cancel", err, runnel.NotFound)
		}
		n.await(t, active)
		if tr := transcript(ann, t, n, "s"); len(tr.Turns) != 2 || tr.Turns[1].State != runnel.Done {
			t.Errorf("the owner sees %d turns: %+v", len(tr.Turns), tr.Turns)
		}
		mustRead(ann, t, n, "s")
		mustRead(asService(t), t, n, "s")
		wantOwner(t, n, "s", "ann")
	})
}

// Whoever waits on a session before it exists waits for ever if it becomes
// somebody else's.
func TestReaderComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "secret")), session.Config{})
		var readers sync.WaitGroup
		readers.Go(func() { wantSilence(as(t, "bob"), t, n, "s", runnel.Cursor{}) })
		readers.Go(func() { mustRead(as(t, "ann"), t, n, "s") })
		synctest.Wait()
		n.await(t, mustSubmit(as(t, "ann"), t, n, "hi"))
		readers.Wait()
		wantOwner(t, n, "s", "ann")
	})
}

func TestUnownedSessionGoesToItsFirstUser(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(ctx context.Context, n node, r runnel.Receipt) error{
		"read": func(ctx context.Context, n node, r runnel.Receipt) error {
			_, err := n.Read(ctx, r.Session, runnel.Cursor{})
			return err
		},
		"transcript": func(ctx context.Context, n node, r runnel.Receipt) error {
			_, err := n.Transcript(ctx, r.Session)
			return err
		},
		"generation": func(ctx context.Context, n node, r runnel.Receipt) error {
			_, err := n.Generation(ctx, r.Generation)
			return err
		},
		"cancel": func(ctx context.Context, n node, r runnel.Receipt) error {
			_, err := n.Cancel(ctx, r.Generation)
			return err
		},
		"submit": func(ctx context.Context, n node, _ runnel.Receipt) error {
			_, err := n.Submit(ctx, ask("mine"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := start(t, memlog.New(), only(says(time.Second, "a")), session.Config{})
				r := mustSubmit(asService(t), t, n, "hi")
				n.until(t, r, isDelta)
				wantOwner(t, n, "s", "")
				if err := use(as(t, "ann"), n, r); err != nil {
					t.Fatal(err)
				}
				wantOwner(t, n, "s", "ann")
				wantSilence(as(t, "bob"), t, n, "s", runnel.Cursor{})
			})
		})
	}
}

// Of all who wait for what a service will say, one gets it.
func TestOneReaderGetsAnUnownedSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a")), session.Config{})
		var got [8]bool
		var readers sync.WaitGroup
		for i := range got {
			readers.Go(func() {
				ctx, cancel := context.WithTimeout(as(t, fmt.Sprint("user ", i)), time.Hour)
				defer cancel()
				events, err := n.Read(ctx, "s", runnel.Cursor{})
				got[i] = len(events) > 0
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		n.await(t, mustSubmit(asService(t), t, n, "hi"))
		readers.Wait()
		owner, err := n.engine().Own(t.Context(), "s", "")
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if want := owner == fmt.Sprint("user ", i); g != want {
				t.Errorf("user %d saw something: %t; the owner is %s", i, g, owner)
			}
		}
	})
}

// Looking at what is empty must not take the name away from anybody.
func TestLookingOwnsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(0, "a")), session.Config{})
		bob := as(t, "bob")
		transcript(bob, t, n, "s")
		if _, err := n.End(bob, "s"); err != nil {
			t.Fatal(err)
		}
		wantSilence(bob, t, n, "s", runnel.Cursor{})
		if events, err := n.Read(bob, "s", runnel.Cursor{Epoch: "void", Seq: 1}); shape(events) != "=" || err != nil {
			t.Errorf("a void cursor: %s, %v; want a reset", shape(events), err)
		}
		wantOwner(t, n, "s", "")
		n.await(t, mustSubmit(as(t, "ann"), t, n, "hi"))
	})
}

func TestOwnerSurvivesARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, engine, only(says(0, "a")), session.Config{})
		n.await(t, mustSubmit(as(t, "ann"), t, n, "hi"))
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		engine.Crash(100) // all that the log says of the session is lost
		n = start(t, engine, only(says(0, "a")), session.Config{})
		_, err := n.Submit(as(t, "bob"), ask("mine"))
		wantKind(t, "submit", err, runnel.NotFound)
		wantSilence(as(t, "bob"), t, n, "s", runnel.Cursor{})
		n.await(t, mustSubmit(as(t, "ann"), t, n, "again"))
	})
}

// The owner is stored before the prompt: a submission that dies in between
// must not leave a prompt that anybody may see.
func TestOwnedBeforeStored(t *testing.T) {
	t.Parallel()
	engine := &faulty{Engine: memlog.New(), fail: map[string]int{"enqueue": 1}}
	n := node{Service: session.New(engine, only(says(0)), session.Config{}), store: engine}
	_, err := n.Submit(as(t, "ann"), ask("hi"))
	wantKind(t, "submit", err, runnel.Unavailable)
	wantOwner(t, n, "s", "ann")
	if _, err := n.Submit(as(t, "bob"), ask("hi")); runnel.KindOf(err) != runnel.NotFound {
		t.Errorf("somebody else: %v", err)
	}
	if waiting, err := engine.Waiting(t.Context(), "s"); len(waiting) > 0 || err != nil {
		t.Errorf("%d prompts are stored, %v", len(waiting), err)
	}
	_, err = n.Submit(asService(t), runnel.Submission{Prompt: runnel.Prompt{Session: "t", Messages: ask("hi").Prompt.Messages}})
	if err != nil {
		t.Fatal(err)
	}
	wantOwner(t, n, "t", "")
}

// An ownership that cannot be found out must not be taken for none.
func TestOwnerUnknown(t *testing.T) {
	t.Parallel()
	engine := &forgetful{Engine: memlog.New()}
	n := node{Service: session.New(engine, only(says(0)), session.Config{}), store: engine}
	r := mustSubmit(asService(t), t, n, "hi")
	ann := as(t, "ann")
	_, err := n.Submit(ann, ask("hi"))
	wantKind(t, "submit", err, runnel.Unavailable)
	_, err = n.Read(ann, "s", runnel.Cursor{})
	wantKind(t, "read", err, runnel.Unavailable)
	_, err = n.End(ann, "s")
	wantKind(t, "end", err, runnel.Unavailable)
	_, err = n.Transcript(ann, "s")
	wantKind(t, "transcript", err, runnel.Unavailable)
	_, err = n.Generation(ann, r.Generation)
	wantKind(t, "generation", err, runnel.Unavailable)
	_, err = n.Cancel(ann, r.Generation)
	wantKind(t, "cancel", err, runnel.Unavailable)
	_, err = n.Cancel(ann, "01JZ0000000000000000000000")
	wantKind(t, "cancel of a missing one", err, runnel.Unavailable)
}

// A forgetful engine does not know whose sessions are.
type forgetful struct{ *memlog.Engine }

func (*forgetful) Own(context.Context, runnel.SessionID, string) (string, error) { return "", errFault }

func TestGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(hangs("a")), session.Config{})
		team := ask("hi")
		team.Prompt.Session = "team-1"
		writer := asService(t, runnel.Grant{Actions: []runnel.Action{runnel.Submit}, Sessions: []string{"team-*"}})
		reader := asService(t, runnel.Grant{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"team-*"}})
		stopper := asService(t, runnel.Grant{Actions: []runnel.Action{runnel.Cancel}})

		_, err := n.Submit(writer, ask("hi"))
		wantKind(t, "submit elsewhere", err, runnel.Denied)
		_, err = n.Submit(reader, team)
		wantKind(t, "submit without the grant", err, runnel.Denied)
		r, err := n.Submit(writer, team)
		if err != nil {
			t.Fatal(err)
		}
		n.until(t, r, isDelta)

		wantSilence(writer, t, n, "team-1", runnel.Cursor{})
		if tr := transcript(writer, t, n, "team-1"); len(tr.Active) > 0 {
			t.Errorf("a transcript without the grant: %+v", tr)
		}
		_, err = n.Generation(writer, r.Generation)
		wantKind(t, "generation without the grant", err, runnel.NotFound)
		_, err = n.Cancel(reader, r.Generation)
		wantKind(t, "cancel without the grant", err, runnel.NotFound)

		mustRead(reader, t, n, "team-1")
		if tr := transcript(reader, t, n, "team-1"); len(tr.Active) != 1 {
			t.Errorf("a transcript with the grant: %+v", tr)
		}
		if _, err := n.Generation(reader, r.Generation); err != nil {
			t.Error(err)
		}
		if _, err := n.Cancel(stopper, r.Generation); err != nil {
			t.Error(err)
		}
		n.await(t, r)

		user := runnel.WithPrincipal(t.Context(), &runnel.Principal{ID: "ann", Grants: []runnel.Grant{
			{Actions: []runnel.Action{runnel.Submit, runnel.Read}, Sessions: []string{"ann-*"}},
		}})
		_, err = n.Submit(user, team)
		wantKind(t, "a user's submit elsewhere", err, runnel.Denied)
		wantSilence(user, t, n, "team-1", runnel.Cursor{})
		wantOwner(t, n, "team-1", "")
	})
}

// Two callers with one key never learn of each other's generations.
func TestIdempotencyOfAnother(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), only(says(0, "a")), session.Config{})
	sub := ask("hi")
	sub.IdempotencyKey = "key"
	first, err := n.Submit(as(t, "ann"), sub)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = n.Submit(as(t, "bob"), sub)
		wantKind(t, "another's submit", err, runnel.NotFound)
	}
	if again, err := n.Submit(as(t, "ann"), sub); err != nil || again.Generation != first.Generation {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	n.await(t, first)
}

// BenchmarkReadAsOwner is what ownership adds to each read of events.
func BenchmarkReadAsOwner(b *testing.B) {
	engine := memlog.New()
	s := session.New(engine, only(says(0)), session.Config{})
	if _, err := engine.Append(b.Context(), runnel.Event{Session: "s", Type: runnel.EventDelta}); err != nil {
		b.Fatal(err)
	}
	granted := runnel.WithPrincipal(b.Context(), &runnel.Principal{ID: "ann", Grants: []runnel.Grant{
		{Actions: []runnel.Action{runnel.Submit}}, {Actions: []runnel.Action{runnel.Read}, Sessions: []string{"s*"}},
	}})
	for _, c := range []struct {
		name string
		ctx  context.Context
	}{{"nobody", b.Context()}, {"owner", as(b, "ann")}, {"owner with grants", granted}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Read(c.ctx, "s", runnel.Cursor{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
