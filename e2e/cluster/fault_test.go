//go:build linux && cluster

package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnelhq/runnel/e2e/cluster"
)

const (
	sessions = 50
	rate     = 10 // tokens a second, of each
)

// A fault is something that is done to a cluster while it streams.
type fault struct {
	name   string
	tokens int // of each answer: it must still run when the fault has passed
	// first says that the fault is among those of a -short run.
	first bool
	// do does it, and mends it; the cluster must be whole again when it returns.
	do func(ctx context.Context, r *rig) error
}

func faults() []fault {
	const gateway, worker = 0, 1
	kill := func(pick func(context.Context, *rig) (*cluster.Process, error)) func(context.Context, *rig) error {
		return func(ctx context.Context, r *rig) error {
			p, err := pick(ctx, r)
			if err != nil {
				return err
			}
			p.Kill()
			if err := wait(ctx, 2*time.Second); err != nil {
				return err
			}
			return p.Start(ctx)
		}
	}
	node := func(i int) func(context.Context, *rig) (*cluster.Process, error) {
		return func(_ context.Context, r *rig) (*cluster.Process, error) { return r.Nodes[i], nil }
	}
	leads := func(want bool) func(context.Context, *rig) (*cluster.Process, error) {
		return func(ctx context.Context, r *rig) (*cluster.Process, error) {
			i, err := r.Leader(ctx, "RUNNEL_LOG")
			if !want {
				i = (i + 1) % len(r.NATS)
			}
			return r.NATS[i], err
		}
	}
	freeze := func(pick func(context.Context, *rig) (*cluster.Process, error)) func(context.Context, *rig) error {
		return func(ctx context.Context, r *rig) error {
			p, err := pick(ctx, r)
			if err != nil {
				return err
			}
			if err := p.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			err = wait(ctx, 20*time.Second)
			if err := p.Signal(syscall.SIGCONT); err != nil {
				return err
			}
			if err == nil {
				err = p.Await(ctx)
			}
			return err
		}
	}
	cut := func(pick func(context.Context, *rig) (*cluster.Process, error), d cluster.Direction) func(context.Context, *rig) error {
		return func(ctx context.Context, r *rig) error {
			p, err := pick(ctx, r)
			if err != nil {
				return err
			}
			heal, err := p.Partition(d)
			if err != nil {
				return err
			}
			err = wait(ctx, 15*time.Second)
			if err := heal(); err != nil {
				return err
			}
			if err == nil {
				err = p.Await(ctx)
			}
			return err
		}
	}
	const short, middle, long = 15 * rate, 22 * rate, 35 * rate
	return []fault{
		{"kill -9 a gateway", short, true, kill(node(gateway))},
		{"kill -9 a worker", short, true, kill(node(worker))},
		{"kill -9 a NATS server", short, false, kill(leads(false))},
		{"kill -9 the stream leader", short, true, kill(leads(true))},
		{"a gateway cannot send to the cluster", middle, false, cut(node(gateway), cluster.Outgoing)},
		{"a gateway cannot hear the cluster", middle, false, cut(node(gateway), cluster.Incoming)},
		{"a worker cannot send to the cluster", middle, false, cut(node(worker), cluster.Outgoing)},
		{"a worker cannot hear the cluster", middle, false, cut(node(worker), cluster.Incoming)},
		{"a worker is cut off", middle, true, cut(node(worker), cluster.Both)},
		{"the stream leader is cut off", middle, false, cut(leads(true), cluster.Both)},
		{"freeze a gateway for 20 s", long, false, freeze(node(gateway))},
		{"freeze a worker for 20 s", long, false, freeze(node(worker))},
		{"freeze the stream leader for 20 s", long, false, freeze(leads(true))},
		{"fill the disk of the stream leader", middle, false, fillLeader},
		{"restart all six, one after the other", long, false, restartAll},
	}
}

func restartAll(ctx context.Context, r *rig) error {
	for _, p := range r.Processes() {
		if err := p.Terminate(); err != nil {
			return err
		}
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestFaults does everything to a cluster that happens to one, each time while
// sessions stream, and holds what clients got to what was to be said.
func TestFaults(t *testing.T) {
	r := newRig(t, rate, "gateway", "worker", "all")
	var table []string
	for _, f := range faults() {
		if testing.Short() && !f.first {
			continue
		}
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			table = append(table, r.suffer(t, f))
		})
	}
	if *report != "" && !t.Failed() {
		writeReport(t, table)
	}
}

// suffer has sessions stream through a fault and returns a row of the table.
func (r *rig) suffer(t *testing.T, f fault) string {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	all := ask(t, r.gw, strings.ReplaceAll(f.name, " ", "-"), sessions, f.tokens)
	var following sync.WaitGroup
	for _, c := range all {
		following.Go(func() {
			if err := c.follow(ctx, r.gw); err != nil {
				t.Errorf("%s: %v", c.session, err)
			}
		})
	}
	for _, c := range all {
		for c.length() < 20 && ctx.Err() == nil {
			_ = wait(ctx, 5*time.Millisecond)
		}
	}
	if err := f.do(ctx, r); err != nil {
		t.Errorf("the fault could not be made or mended: %v", err)
	}
	following.Wait()
	whole, twice, ends, taken, anew := 0, 0, 0, 0, 0
	pauses := make([]time.Duration, 0, len(all))
	for _, c := range all {
		c.check(ctx, t, r.gw)
		twice += c.twice
		ends += c.ends
		if c.answer.Text() == c.want {
			whole++
		}
		if c.answer.Attempt > 1 {
			taken++
		}
		if c.anew > 0 {
			anew++
		}
		pauses = append(pauses, c.longest)
	}
	slices.Sort(pauses)
	row := fmt.Sprintf("| %s | %d of %d | %d | %d | %d | %d | %.1f s | %.1f s |",
		f.name, whole, len(all), twice, ends, taken, anew, pauses[len(pauses)/2].Seconds(), pauses[len(pauses)-1].Seconds())
	t.Log(row)
	return row
}
