package natslog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// Token and Untoken are the encoding of ids in subjects.
var (
	Token   = token
	Untoken = untoken
)

// Purge drops the events up to and including upTo, as retention would.
func (e *Engine) Purge(ctx context.Context, upTo runnel.Seq) error {
	s, err := e.js.Stream(ctx, logStream)
	if err != nil {
		return err
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(uint64(upTo)+1)); err != nil {
		return err
	}
	return e.moveMark(ctx) // as it would have been by then
}

// LogEnd returns the last sequence of the log.
func (e *Engine) LogEnd(ctx context.Context) (uint64, error) { return e.logEnd(ctx) }

// StoreUnheard stores ev, and no reader of an embedded engine is told, as if
// live delivery had lost it.
func (e *Engine) StoreUnheard(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	a := appender{engine: e, subject: logPrefix + token(string(ev.Session))}
	if err := a.begin(ctx); err != nil {
		return runnel.Cursor{}, err
	}
	body, err := wire.Append(nil, &ev)
	if err != nil {
		return runnel.Cursor{}, err
	}
	seq, err := e.conn.publish(ctx, a.subject, body, a.last, nil)
	return e.epochs.Load().cursor(runnel.Seq(seq)), err
}

// StoreUnanswered stores ev as w would, and leaves w as if the acknowledgement
// had got lost.
func StoreUnanswered(ctx context.Context, w runnel.Writer, ev runnel.Event) error {
	a := &w.(*writer).appender
	body, err := wire.Append(nil, &ev)
	if err != nil {
		return err
	}
	a.unsure = append(a.unsure, unsure{a.last, body})
	_, err = a.engine.conn.publish(ctx, a.subject, body, a.last, nil)
	return err
}

// StepBack leaves w as if a server that had fallen behind had told it where the
// session ends.
func StepBack(w runnel.Writer, seq runnel.Seq) { w.(*writer).last = uint64(seq) }

// RepairAtOnce has a session's tail mended by many repairers at once.
func (e *Engine) RepairAtOnce(ctx context.Context, id runnel.SessionID) error {
	t := e.tails.get(token(string(id)))
	end, err := e.logEnd(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.stale, t.want = true, end
	t.mu.Unlock()
	var g errgroup.Group
	for range 16 {
		g.Go(func() error { return t.catchUp(ctx) })
	}
	return g.Wait()
}

// Tick advances the clocks of all tails by a second.
func (e *Engine) Tick() { e.tails.tick() }

// Suspect has all tails compared with the stream.
func (e *Engine) Suspect() { e.tails.suspect() }

// Await polls until the condition holds.
func Await(ctx context.Context, cond func() bool) error {
	for !cond() {
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Dir returns the data directory.
func (e *Engine) Dir() string { return e.config.Dir }
