package natslog

import (
	"context"
	"errors"

	"github.com/runnelhq/runnel"
)

// A history is a stretch of one session as the stream holds it.
type history struct {
	// from is where the stretch begins: events is all there ever was after it,
	// up to last.
	from   uint64
	last   uint64
	events []runnel.Event
	// lost is set if from lies after the position that was asked for: some of
	// what came in between has expired.
	lost bool
	more bool // the stream may hold more already
}

// history reads the session's next events after pos. If there are none, last
// is zero.
func (e *Engine) history(ctx context.Context, t *tail, pos uint64) (history, error) {
	found, more, err := e.conn.batch(ctx, logStream, query{Seq: pos + 1, NextFor: t.subject})
	if err == nil && len(found) == 0 && e.conn.remote {
		// It may be just that this replica has not got it yet.
		found, err = e.next(ctx, t.subject, pos)
		more = len(found) > 0
	}
	if err != nil {
		return history{}, err
	}
	h := history{from: pos, more: more}
	if len(found) == 0 {
		kept, err := e.kept(ctx, pos)
		h.lost = !kept
		return h, err
	}
	h.last = found[len(found)-1].seq
	e.reached(h.last)
	if h.from, err = e.origin(ctx, found[0], pos); err != nil {
		return history{}, err
	}
	h.lost = h.from > pos
	h.events = make([]runnel.Event, 0, len(found))
	for _, m := range found {
		if ev, ok := t.decode(m.seq, m); ok {
			h.events = append(h.events, ev)
		}
	}
	return h, nil
}

// next asks the stream's leader for the message that follows pos on a subject.
func (e *Engine) next(ctx context.Context, subject string, pos uint64) ([]message, error) {
	m, err := e.conn.get(ctx, logStream, query{Seq: pos + 1, NextFor: subject})
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []message{m}, nil
}

// origin returns the first position, not before pos, after which m was the
// session's next event. Every message names its predecessor; if that is
// later than pos, it has expired. A message without one was either the
// session's first, or all before it had expired by then: the two can be told
// apart as long as the log has everything since pos.
func (e *Engine) origin(ctx context.Context, m message, pos uint64) (uint64, error) {
	if m.prev > 0 || m.seq == pos+1 {
		return max(m.prev, pos), nil
	}
	kept, err := e.kept(ctx, pos)
	if kept {
		return pos, err
	}
	return m.seq - 1, err
}
