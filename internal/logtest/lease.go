package logtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func leaseTests() []test {
	return []test{
		{"dequeue waits for a prompt", testDequeueWaits},
		{"a dequeue that gave up takes nothing", testDequeueAbandoned},
		{"each prompt goes to one caller", testDequeueConcurrently},
		{"first", testFirst},
		{"release", testRelease},
		{"leases expire unless renewed", testLeaseExpiry},
	}
}

func testDequeueWaits(t *testing.T, e runnel.Engine) {
	for range size(10, 3) {
		ctx := limit(t)
		got := make(chan runnel.Lease, 1)
		var g errgroup.Group
		g.Go(func() error {
			l, err := e.Dequeue(ctx)
			got <- l
			return err
		})
		wantNoPrompt(t, e) // meanwhile the caller waits too
		p := mustEnqueue(t, e, newSession(), 1)[0]
		if err := g.Wait(); err != nil {
			t.Fatalf("dequeue: %v", err)
		}
		l := <-got
		if l.Prompt().Generation != p.Generation {
			t.Fatalf("the caller woke with %s, want %s", l.Prompt().Generation, p.Generation)
		}
		mustRemove(t, l)
	}
}

// testDequeueAbandoned: whoever stops waiting must leave nothing behind that
// takes the next prompt and lets its lease run out.
// testDequeueAbandoned: a cluster may hear of it too late that a caller has given
// up, and a busy machine is slow at anything; what must not be is that the next
// prompt waits for a lease to run out each time.
func testDequeueAbandoned(t *testing.T, e runnel.Engine) {
	rounds, held := size(10, 4), 0
	for range rounds {
		ctx, cancel := context.WithCancel(limit(t))
		var g errgroup.Group
		for range 5 {
			g.Go(func() error {
				_, err := e.Dequeue(ctx)
				return err
			})
		}
		wantNoPrompt(t, e) // meanwhile they wait too
		cancel()
		if err := g.Wait(); !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled dequeue returned %v", err)
		}
		p := mustEnqueue(t, e, newSession(), 1)[0]
		start := time.Now()
		l := mustDequeue(t, e, p)
		if time.Since(start) > e.LeaseTime()*9/10 {
			held++
		}
		mustRemove(t, l)
	}
	if held > rounds/2 {
		t.Errorf("the next prompt came late %d times out of %d: somebody else held it", held, rounds)
	}
}

func testDequeueConcurrently(t *testing.T, e runnel.Engine) {
	n := size(300, 60)
	var prompts []runnel.Prompt
	for range n {
		prompts = append(prompts, mustEnqueue(t, e, newSession(), 1)...)
	}
	given := leaseAll(t, e, 16, n)
	for _, p := range prompts {
		if given[p.Generation] != 1 {
			t.Errorf("%s was given out %d times", p.Generation, given[p.Generation])
		}
	}
}

func testFirst(t *testing.T, e runnel.Engine) {
	id := newSession()
	other := mustEnqueue(t, e, newSession(), 1)[0]
	prompts := mustEnqueue(t, e, id, 3)
	leases := []runnel.Lease{mustDequeue(t, e, other)}
	for _, p := range prompts {
		leases = append(leases, mustDequeue(t, e, p))
	}
	want := func(want ...bool) {
		t.Helper()
		for i, l := range leases {
			if got, err := l.First(limit(t)); err != nil || got != want[i] {
				t.Errorf("lease %d: first is %t, %v; want %t", i, got, err, want[i])
			}
		}
	}
	want(true, true, false, false)
	mustRemove(t, leases[2])
	leases = append(leases[:2], leases[3])
	want(true, true, false)
	mustRemove(t, leases[1])
	leases = append(leases[:1], leases[2])
	want(true, true)
	mustRemove(t, leases...)
}

func testRelease(t *testing.T, e runnel.Engine) {
	const releases = 5
	prompts := mustEnqueue(t, e, newSession(), 2)
	start := time.Now()
	for range releases {
		l := mustDequeue(t, e, prompts[0])
		if err := l.Release(limit(t)); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	first, second := mustDequeue(t, e, prompts[0]), mustDequeue(t, e, prompts[1])
	if waited := time.Since(start); waited > releases*e.LeaseTime()*9/10 {
		t.Errorf("a released prompt was leased again only when its lease would have run out, after %s", waited)
	}
	wantDepth(t, e, 2)
	mustRemove(t, first, second)
}

// testLeaseExpiry lets one lease of three run out; one is renewed all along,
// and one prompt is removed.
func testLeaseExpiry(t *testing.T, e runnel.Engine) {
	prompts := mustEnqueue(t, e, newSession(), 3)
	start := time.Now()
	mustDequeue(t, e, prompts[0])
	renewed := mustDequeue(t, e, prompts[1])
	mustRemove(t, mustDequeue(t, e, prompts[2]))

	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return keep(ctx, e, renewed) })
	again := mustDequeue(t, e, prompts[0])
	if waited := time.Since(start); waited < e.LeaseTime()*9/10 {
		t.Errorf("the lease was void after %s, want %s", waited, e.LeaseTime())
	}
	g.Go(func() error { return keep(ctx, e, again) })

	quiet, stop := context.WithTimeout(ctx, e.LeaseTime()*3/2)
	defer stop()
	if l, err := e.Dequeue(quiet); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dequeue while every lease is renewed: %v, %v", l, err)
	}
	cancel()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	wantDepth(t, e, 2)
	mustRemove(t, renewed, again)
}

// keep renews a lease until ctx is done.
func keep(ctx context.Context, e runnel.Queue, l runnel.Lease) error {
	tick := time.NewTicker(e.LeaseTime() / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := l.Renew(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
