package natslog

import (
	"context"
	"errors"

	"github.com/runnelhq/runnel"
)

// fewMessages are read one by one.
const fewMessages = 4

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
	top  bool // the session has nothing before from that is kept
}

// history reads the session's next events after pos. If there are none, last
// is zero.
func (e *Engine) history(ctx context.Context, t *tail, pos uint64) (history, error) {
	found, err := e.stretch(ctx, t, pos)
	if err != nil {
		return history{}, err
	}
	h := history{from: pos, top: pos == 0}
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

// stretch reads the messages of the session that follow pos: all up to the
// tail's window, if they are few, or a batch of them. For a batch the server
// first counts what is to come, message by message, which takes it
// milliseconds; most readers lack no more than what was appended since their
// place was determined.
func (e *Engine) stretch(ctx context.Context, t *tail, pos uint64) (found []message, err error) {
	base := t.view.Load().base
	for range fewMessages {
		m, err := e.conn.get(ctx, logStream, query{Seq: pos + 1, NextFor: t.subject})
		if errors.Is(err, errNone) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		found = append(found, m)
		if pos = m.seq; pos >= base {
			return found, nil
		}
	}
	more, _, err := e.conn.following(ctx, logStream, query{Seq: pos + 1, NextFor: t.subject})
	return append(found, more...), err
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
