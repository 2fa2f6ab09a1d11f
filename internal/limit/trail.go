package limit

import (
	"context"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	trailInterval = time.Second
	maxTrail      = 1024 // different entries between two reports
)

// A trail collects refusals, so that who comes back and back is one line a
// second in the log and not ten thousand.
type trail struct {
	tell func(p *runnel.Principal, limit string, times int)

	mu      sync.Mutex
	entries map[trailEntry]*refusals // nil: nobody reports, and each is told at once
}

type trailEntry struct{ account, limit string }

type refusals struct {
	of    *runnel.Principal
	times int
}

func (t *trail) add(p *runnel.Principal, limit string) {
	e := trailEntry{accountOf(p), limit}
	t.mu.Lock()
	if r := t.entries[e]; r != nil {
		r.times++
		t.mu.Unlock()
		return
	}
	if t.entries != nil && len(t.entries) < maxTrail {
		t.entries[e] = &refusals{p, 1}
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	t.tell(p, limit, 1)
}

// Report tells [Options.Refused] once a second what has come together, until
// ctx is done and all is told. Without it every refusal is told at once.
func (l *Limiter) Report(ctx context.Context) {
	l.trail.replace(make(map[trailEntry]*refusals))
	tick := time.NewTicker(trailInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.trail.replace(make(map[trailEntry]*refusals))
		case <-ctx.Done():
			l.trail.replace(nil)
			return
		}
	}
}

func (t *trail) replace(next map[trailEntry]*refusals) {
	t.mu.Lock()
	entries := t.entries
	t.entries = next
	t.mu.Unlock()
	for e, r := range entries {
		t.tell(r.of, e.limit, r.times)
	}
}
