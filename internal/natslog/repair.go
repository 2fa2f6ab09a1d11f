package natslog

import (
	"context"
	"errors"
	"sync"
)

// repairs are the tails that wait to be compared with the stream or to get from
// it what they have missed. Each waits at most once, so there are at most as
// many as there are tails.
type repairs struct {
	wake chan struct{} // has one for each repairer that has something to do

	mu      sync.Mutex
	waiting []*tail
}

func (r *repairs) push(t *tail) {
	r.mu.Lock()
	r.waiting = append(r.waiting, t)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // all repairers are awake
	}
}

func (r *repairs) pop() *tail {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return nil
	}
	t := r.waiting[0]
	r.waiting[0] = nil
	if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return t
}

// repair has the tail repaired, unless it waits for that already. The caller
// holds the tail's mu.
func (ts *tails) repair(t *tail) {
	if !t.queued {
		t.queued = true
		ts.repairs.push(t)
	}
}

// work repairs tails. A tail for which that fails is tried again at the next
// tick.
func (ts *tails) work(ctx context.Context) {
	for {
		select {
		case <-ts.repairs.wake:
		case <-ctx.Done():
			return
		}
		for t := ts.repairs.pop(); t != nil && ctx.Err() == nil; t = ts.repairs.pop() {
			if err := t.mend(ctx); err != nil && ctx.Err() == nil {
				// Not a warning: there may be 100,000, and one for the connection.
				ts.log.Debug("session cannot be compared with the log", "session_id", t.session, "err", err)
			}
		}
	}
}

// mend does what the tail was queued for.
func (t *tail) mend(ctx context.Context) error {
	t.mu.Lock()
	doubt := t.doubt
	t.queued, t.doubt = false, false
	t.mu.Unlock()
	if doubt {
		if err := t.compare(ctx); err != nil {
			t.mu.Lock()
			t.doubt = true
			t.mu.Unlock()
			return err
		}
	}
	return t.catchUp(ctx)
}

// compare finds out whether the stream has later events than the tail: core
// NATS may drop a message, and the loss of the last one shows in no other way.
func (t *tail) compare(ctx context.Context) error {
	t.mu.Lock()
	known := t.last
	t.mu.Unlock()
	m, err := t.tails.engine.conn.last(ctx, logStream, t.subject)
	if errors.Is(err, errNone) {
		return nil // all has expired
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.seq > t.last && !t.stale:
		t.tails.gaps.Add(1)
		t.stale, t.want = true, m.seq
	case m.seq > t.last:
		t.want = max(t.want, m.seq)
	case m.seq < known:
		t.end() // the stream has lost what we have read
	}
	return nil
}

// catchUp reads from the stream until nothing is missing that was live
// meanwhile.
func (t *tail) catchUp(ctx context.Context) error {
	for {
		t.mu.Lock()
		done := !t.stale || t.ended || t.want <= t.last
		if done && !t.ended {
			t.stale = false
		}
		pos := t.last
		t.mu.Unlock()
		if done {
			return nil
		}
		h, err := t.tails.engine.history(ctx, t, pos)
		if err != nil {
			return err
		}
		t.mu.Lock()
		switch {
		case t.ended:
		case t.last != pos: // another repairer was faster: a slow read, and the clock asked again
		case h.last == 0: // what was missing has expired
			t.last = t.want
			t.window(view{base: t.want}, -t.bytes)
		default:
			t.extend(h)
		}
		t.mu.Unlock()
	}
}

// checkAll compares every tail with the stream, after anything may have been
// lost. If it is another stream now, all tails end.
func (ts *tails) checkAll(ctx context.Context) {
	renewed := false
	if e := ts.engine; e.conn.remote {
		before := e.epochs.Load().current
		err := e.prepare(ctx) // the servers may have come back empty
		if err == nil {
			err = e.beginEpoch(ctx)
		}
		if err != nil {
			ts.log.Warn("the log cannot be looked at", "err", err)
		}
		renewed = e.epochs.Load().current != before
	}
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	for _, t := range ts.all {
		t.mu.Lock()
		switch {
		case t.view.Load() == nil:
		case renewed:
			t.end()
		default:
			t.doubt = true
			ts.repair(t)
		}
		t.mu.Unlock()
	}
}
