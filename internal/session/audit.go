package session

import (
	"context"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

// An Audit hears what users and services were kept from, and what was done with
// administrative rights.
type Audit interface {
	// Denied says that p was not allowed to do something to a session, and
	// why, in a fixed word; so many times.
	Denied(p *runnel.Principal, action runnel.Action, id runnel.SessionID, reason string, times int)
	// Overrode says that p did something to another user's session.
	Overrode(p *runnel.Principal, action runnel.Action, id runnel.SessionID, times int)
}

// Why callers are kept from sessions.
const (
	byOwner  = "another_owner"
	byGrants = "grants"
)

const (
	trailInterval = time.Second
	maxTrail      = 1024 // different entries between two reports
)

// A trail collects what the audit is to hear, and tells it once a second. Who
// is refused does not wait until that is written: the time it takes would tell
// a session that is another's from one that does not exist. What repeats is
// one entry, so that a reader who comes back and back does not flood it.
type trail struct {
	audit Audit

	mu      sync.Mutex
	entries map[trailEntry]int // how often; nil: nobody reports, and each is told at once
}

type trailEntry struct {
	principal *runnel.Principal
	action    runnel.Action
	session   runnel.SessionID
	reason    string // empty: it was allowed to an administrator
}

func (t *trail) add(e trailEntry) {
	t.mu.Lock()
	if n := t.entries[e]; t.entries != nil && (n > 0 || len(t.entries) < maxTrail) {
		t.entries[e] = n + 1
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	t.tell(e, 1)
}

func (t *trail) tell(e trailEntry, times int) {
	if e.reason == "" {
		t.audit.Overrode(e.principal, e.action, e.session, times)
		return
	}
	t.audit.Denied(e.principal, e.action, e.session, e.reason, times)
}

// report tells the audit what has come together, until ctx is done and all is told.
func (t *trail) report(ctx context.Context) {
	t.replace(make(map[trailEntry]int))
	tick := time.NewTicker(trailInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.replace(make(map[trailEntry]int))
		case <-ctx.Done():
			t.replace(nil)
			return
		}
	}
}

func (t *trail) replace(next map[trailEntry]int) {
	t.mu.Lock()
	entries := t.entries
	t.entries = next
	t.mu.Unlock()
	for e, times := range entries {
		t.tell(e, times)
	}
}

type noAudit struct{}

func (noAudit) Denied(*runnel.Principal, runnel.Action, runnel.SessionID, string, int) {}
func (noAudit) Overrode(*runnel.Principal, runnel.Action, runnel.SessionID, int)       {}
