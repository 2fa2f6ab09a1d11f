package natslog

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	probePause = time.Second
	// patience is how long the log may be out of reach before the node takes
	// itself for cut off. A cluster that has lost a leader elects another in
	// less than ten seconds, and clients had better wait for that.
	patience = 10 * time.Second
	// blind is the same for a node without any server.
	blind = 3 * time.Second
)

// A reach says whether the node reaches its log. While it does not, readers are
// told instead of left waiting, and calls fail at once.
type reach struct{ atomic.Pointer[reachState] }

// A reachState is never changed, but for its channel, which is closed when the
// state is over.
type reachState struct {
	cut  bool // the node is cut off
	over chan struct{}
}

func newReach() *reach {
	r := new(reach)
	r.Store(&reachState{over: make(chan struct{})})
	return r
}

// lost reports whether the node is cut off.
func (r *reach) lost() bool { return r.Load().cut }

// set notes whether the node is cut off, and reports whether that is news. Only
// one goroutine calls it.
func (r *reach) set(cut bool) (news bool) {
	old := r.Load()
	if old.cut == cut {
		return false
	}
	r.Store(&reachState{cut: cut, over: make(chan struct{})})
	close(old.over)
	return true
}

// watch finds out when the node is cut off, and when no longer, until ctx is
// done. Only a node whose servers run elsewhere can be.
func (e *Engine) watch(ctx context.Context) {
	ticker := time.NewTicker(probePause)
	defer ticker.Stop()
	for reached := time.Now(); ; {
		err := e.probe(ctx)
		switch away := time.Since(reached); {
		case ctx.Err() != nil:
			return
		case err == nil:
			reached = time.Now()
			if e.conn.reach.set(false) {
				e.log.Info("the log can be reached again")
				e.tails.suspect()
			}
		case away > patience || away > blind && !e.conn.nc.IsConnected():
			if e.conn.reach.set(true) {
				e.log.Warn("cut off from the log", "for", away.Round(time.Second), "err", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// probe asks the leaders of the streams that accept prompts and events for
// something that is not there.
func (e *Engine) probe(ctx context.Context) error {
	for _, at := range []struct{ stream, subject string }{
		{promptStream, promptPrefix + "check"}, // a prompt's subject has five tokens
		{logStream, logPrefix + "check.check"}, // a session's has three
	} {
		if err := e.conn.alive(ctx, at.stream, at.subject); err != nil {
			return err
		}
	}
	return nil
}

// alive asks once for a message that is not there.
func (c *conn) alive(ctx context.Context, stream, subject string) error {
	var r apiAnswer
	err := c.askOnce(ctx, apiGet+stream, query{LastFor: subject}, &r)
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}
