package session_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// A meter is [session.Limits] that lets each account have some generations, and
// writes down what it is told.
type meter struct {
	generations int

	mu      sync.Mutex
	stored  []bool
	settled []int // output tokens
}

func (m *meter) Limited(p *runnel.Principal) bool { return p.ID != "free" }

func (m *meter) Admit(
	ctx context.Context, _ *runnel.Principal, p *runnel.Prompt, size int, active func(context.Context) (int, error),
) (func(bool), error) {
	n, err := active(ctx)
	if err != nil {
		return nil, err
	}
	if n >= m.generations {
		return nil, runnel.Errorf(runnel.Limited, "%d is too many", n)
	}
	p.Reserved = &runnel.Reservation{ID: "r", Tokens: int64(size)}
	return func(stored bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.stored = append(m.stored, stored)
	}, nil
}

func (m *meter) Settle(_ context.Context, account string, r *runnel.Reservation, t *runnel.Turn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if account == "user:ann" && r.ID == "r" && t.Usage != nil {
		m.settled = append(m.settled, t.Usage.OutputTokens)
	} else {
		m.settled = append(m.settled, -1)
	}
	return nil
}

// told returns what the limits were told of ended generations.
func (m *meter) told() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.settled)
}

// keyedAsk is a submission that may be repeated.
func keyedAsk(id runnel.SessionID, key string) runnel.Submission {
	sub := ask("hi")
	sub.Prompt.Session, sub.IdempotencyKey = id, key
	return sub
}

// TestRefusedByLimit: what is refused leaves nothing behind, and what was
// accepted before is not refused.
func TestRefusedByLimit(t *testing.T) {
	t.Parallel()
	engine, m := memlog.New(), &meter{generations: 1}
	s := session.New(engine, only(hangs()), session.Config{Limits: m}) // nobody works on it
	ann := as(t, "user:ann")
	first, err := s.Submit(ann, keyedAsk("s", "k"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Submit(ann, keyedAsk("new", "other"))
	if runnel.KindOf(err) != runnel.Limited {
		t.Fatalf("got %v", err)
	}
	again, err := s.Submit(ann, keyedAsk("s", "k"))
	if err != nil || !again.Repeated || again.Generation != first.Generation {
		t.Errorf("repeated at the limit: %+v, %v", again, err)
	}
	sub := keyedAsk("s", "k")
	sub.Prompt.Messages[0].Parts[0].Text = "something else"
	if _, err := s.Submit(ann, sub); runnel.KindOf(err) != runnel.Conflict {
		t.Errorf("another prompt with the same key: %v", err)
	}
	// Neither the session nor the key is ann's by what was refused.
	if owner, err := engine.Own(t.Context(), "new", ""); err != nil || owner != "" {
		t.Errorf("the session belongs to %q, %v", owner, err)
	}
	if waiting, err := engine.Waiting(t.Context(), "new"); err != nil || len(waiting) != 0 {
		t.Errorf("%d prompts, %v", len(waiting), err)
	}
	if p, err := engine.Find(t.Context(), "s", first.Generation); err != nil || p.Account != "user:ann" || p.Reserved.Tokens != 2 {
		t.Errorf("stored is %+v, %v", p, err)
	}
	// Others have limits of their own, or none.
	for _, id := range []string{"user:bob", "free", "free"} {
		if _, err := s.Submit(as(t, id), keyedAsk(runnel.SessionID("of "+id), "")); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if diff := cmp.Diff([]bool{true, true}, m.stored); diff != "" {
		t.Errorf("stored (-want +got)\n%s", diff)
	}
}

// TestCountedButNotStored: the limits are told which prompts are certainly not
// stored, and those alone.
func TestCountedButNotStored(t *testing.T) {
	t.Parallel()
	engine, m := &faulty{Engine: memlog.New(), fail: map[string]int{}}, &meter{generations: 100}
	s := session.New(engine, only(hangs()), session.Config{Limits: m, Mode: session.Reject})
	ann, bob := as(t, "user:ann"), as(t, "user:bob")
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		sub    runnel.Submission
		faults int
		kind   runnel.Kind
		stored bool
	}{
		{"accepted", ann, keyedAsk("s", "k"), 0, runnel.Internal, true},
		{"another's session", bob, keyedAsk("s", ""), 0, runnel.NotFound, false},
		{"a busy session", ann, keyedAsk("s", ""), 0, runnel.Conflict, false},
		{"who knows", ann, keyedAsk("t", ""), 1, runnel.Unavailable, true},
	} {
		engine.fail["enqueue"] = tt.faults
		_, err := s.Submit(tt.ctx, tt.sub)
		if runnel.KindOf(err) != tt.kind || (err == nil) != (tt.name == "accepted") {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := m.stored[len(m.stored)-1]; got != tt.stored {
			t.Errorf("%s: told %t", tt.name, got)
		}
	}
}

// clinging is an engine that loses the first removals of prompts.
type clinging struct {
	*memlog.Engine
	losses atomic.Int32
}

func (c *clinging) Dequeue(ctx context.Context) (runnel.Lease, error) {
	l, err := c.Engine.Dequeue(ctx)
	return clingingLease{l, c}, err
}

type clingingLease struct {
	runnel.Lease
	engine *clinging
}

func (l clingingLease) Remove(ctx context.Context) error {
	if l.engine.losses.Add(-1) >= 0 {
		return errFault
	}
	return l.Lease.Remove(ctx)
}

// TestSettled: a generation's usage is told when its turn is stored, whatever
// way it ends, and again when a crash may have come between.
func TestSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine, m := &clinging{Engine: memlog.New()}, &meter{generations: 1}
		n := start(t, engine, only(says(time.Second, "a", "b", "c")), session.Config{Limits: m})
		ann := as(t, "user:ann")
		n.await(t, submitAs(ann, t, n, "s"))
		synctest.Wait()
		if diff := cmp.Diff([]int{3}, m.told()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		// It has ended, so there is room for the next one.
		engine.losses.Store(1)
		n.await(t, submitAs(ann, t, n, "s"))
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]int{3, 3, 3}, m.told()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		r := submitAs(ann, t, n, "s")
		if _, err := n.Cancel(ann, r.Generation); err != nil {
			t.Fatal(err)
		}
		n.await(t, r)
		synctest.Wait()
		if diff := cmp.Diff([]int{3, 3, 3, -1}, m.told()); diff != "" {
			t.Errorf("stopped (-want +got)\n%s", diff)
		}
	})
}

func submitAs(ctx context.Context, t *testing.T, n node, id runnel.SessionID) runnel.Receipt {
	t.Helper()
	r, err := n.Submit(ctx, keyedAsk(id, ""))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
