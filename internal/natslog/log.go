package natslog

import (
	"context"
	"errors"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// Append implements [runnel.Log].
func (e *Engine) Append(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	a := appender{engine: e, subject: logPrefix + token(string(ev.Session))}
	err := a.begin(ctx)
	var at runnel.Cursor
	if err == nil {
		at, err = a.append(ctx, &ev, func(*runnel.Event) error { return nil })
	}
	if err != nil {
		return runnel.Cursor{}, fail(err, "append to %s", ev.Session)
	}
	return at, nil
}

// End implements [runnel.Log]. For a session without events it is the mark:
// any position before the session's first event would do, and this one stays
// the same for long, but not for so long that it might expire.
func (e *Engine) End(ctx context.Context, id runnel.SessionID) (runnel.Cursor, error) {
	known, end := e.epochs.Load(), e.mark.Load()
	m, err := e.conn.last(ctx, logStream, logPrefix+token(string(id)))
	if err != nil && !errors.Is(err, errNone) {
		return runnel.Cursor{}, fail(err, "end of %s", id)
	}
	if err == nil {
		end = m.seq
	}
	return known.cursor(runnel.Seq(end)), nil
}

// Empty implements [runnel.Log].
func (e *Engine) Empty(ctx context.Context, id runnel.SessionID) (bool, error) {
	_, err := e.conn.last(ctx, logStream, logPrefix+token(string(id)))
	if errors.Is(err, errNone) {
		return true, nil
	}
	if err != nil {
		return false, fail(err, "look for events of %s", id)
	}
	return false, nil
}

// Read implements [runnel.Log].
func (e *Engine) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	events, err := e.read(ctx, id, after)
	if err != nil {
		return nil, fail(err, "read %s after %s", id, after)
	}
	return events, nil
}

func (e *Engine) read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	for {
		if err := e.checkCursor(ctx, after); err != nil {
			return nil, err
		}
		t, err := e.tails.attach(id)
		if err != nil {
			return nil, err
		}
		events, err := e.readTail(ctx, t, after)
		t.detach()
		if !errors.Is(err, errCut) {
			return events, err
		}
	}
}

// readTail reads from what the tail holds or, behind that, from the stream.
// The error is errCut if the tail has ended meanwhile.
func (e *Engine) readTail(ctx context.Context, t *tail, after runnel.Cursor) ([]runnel.Event, error) {
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	pos := uint64(after.Seq)
	reach := e.conn.reach.Load()
	if reach.cut {
		return nil, errCutOff
	}
	for {
		v := t.view.Load()
		if v.cut {
			return nil, errCut
		}
		if after.IsZero() && v.top {
			pos = max(pos, v.base)
		}
		if pos >= v.base {
			if events := v.after(pos); len(events) > 0 {
				return events, nil
			}
			select {
			case <-v.changed:
				continue
			case <-reach.over:
				return nil, errCutOff
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		e.tails.behind.Add(1)
		h, err := e.history(ctx, t, pos)
		if err != nil {
			return nil, err
		}
		if h.lost && !after.IsZero() {
			return nil, runnel.Errorf(runnel.Gone, "the position is older than the log still keeps")
		}
		if len(h.events) > 0 {
			t.prepend(h)
			return h.events, nil
		}
		if pos = h.last; pos == 0 {
			pos = v.base // nothing is kept between here and there
		}
	}
}

// decode returns the event in a message of the session's subject; false if it
// is of a kind that only a newer version knows.
func (t *tail) decode(seq uint64, m message) (runnel.Event, bool) {
	ev := runnel.Event{
		Cursor:  t.epoch.cursor(runnel.Seq(seq)),
		Session: t.session,
		Time:    m.time,
	}
	if err := wire.Decode(m.data, &ev); err != nil {
		t.tails.dropped.Add(1)
		t.tails.log.Warn("event cannot be decoded", "session_id", t.session, "seq", seq, "err", err)
		return runnel.Event{}, false
	}
	return ev, true
}
