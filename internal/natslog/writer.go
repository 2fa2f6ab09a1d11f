package natslog

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

const (
	// retryPause is what a cluster gets to elect a leader before it is asked again.
	retryPause = 50 * time.Millisecond
	// appendTimeout is longer than a cluster takes to elect a leader twice: an
	// answer that cannot be stored has to be begun again elsewhere.
	appendTimeout = 30 * time.Second
	// bodyBytes is enough for a delta without its text.
	bodyBytes = 128
)

// An appender appends to one session. Every message says which sequence its
// subject must end with, so nothing that others append goes unnoticed.
type appender struct {
	engine  *Engine
	subject string
	last    uint64 // what the subject ended with when we last knew
	before  uint64 // and before that
	// unsure are publications of which no answer says that they were stored, but
	// which may have been. In a cluster a refusal proves nothing: it can be that of
	// a server that was the leader before it was frozen, and does not know yet that it
	// no longer is, while the leader has stored what it refuses.
	unsure []unsure
	// header tells in a cluster what is ours from what others write: two may want to
	// store the same. Nil if nothing is refused in vain.
	header nats.Header
}

// An unsure publication can only be stored right after what it expected the
// subject to end with.
type unsure struct {
	expect uint64
	body   []byte
}

// begin learns what the session ends with.
func (a *appender) begin(ctx context.Context) error {
	m, err := a.engine.conn.last(ctx, logStream, a.subject)
	if errors.Is(err, errNone) {
		err = nil
	}
	a.last = m.seq
	if a.engine.conn.remote {
		a.header = nats.Header{headerWriter: {newWriter()}}
	}
	return err
}

// append stores ev and returns its position. Events that others have appended
// meanwhile go to check first, whose error ends the attempt.
func (a *appender) append(ctx context.Context, ev *runnel.Event, check func(*runnel.Event) error) (runnel.Cursor, error) {
	known := a.engine.epochs.Load()
	body, err := wire.Append(make([]byte, 0, bodyBytes+len(ev.Text)), ev)
	if err != nil {
		return runnel.Cursor{}, runnel.Errorf(runnel.Invalid, "the event cannot be encoded").Because(err)
	}
	for end := time.Now().Add(appendTimeout); ; {
		seq, err := a.try(ctx, body, check)
		if err == nil && seq > 0 {
			a.engine.reached(seq)
			if !a.engine.conn.remote {
				a.engine.tails.stored(a.subject, seq, a.before, body)
			}
			return known.cursor(runnel.Seq(seq)), nil
		}
		switch late := time.Now().After(end); {
		case late && err == nil:
			return runnel.Cursor{}, errNoAnswer
		case err == nil, errors.Is(err, errNoAnswer) && !late:
			continue // the next try shows what has become of this one
		case noLeader(err) && !late && pause(ctx, retryPause) == nil:
			continue
		}
		return runnel.Cursor{}, err
	}
}

// try publishes once. The sequence is zero if others were first.
func (a *appender) try(ctx context.Context, body []byte, check func(*runnel.Event) error) (uint64, error) {
	seq, err := a.engine.conn.publish(ctx, a.subject, body, a.last, a.header)
	if err == nil {
		// Had an unsure one been stored, this would be a conflict; now none
		// ever will be.
		a.before, a.last, a.unsure = a.last, seq, nil
		return seq, nil
	}
	conflict := errors.Is(err, errConflict)
	if u := (unsure{a.last, body}); (!conflict || a.header != nil) && !slices.ContainsFunc(a.unsure, u.equal) {
		a.unsure = append(a.unsure, u)
	}
	if conflict {
		return a.catchUp(ctx, body, check)
	}
	return 0, err
}

func (u unsure) equal(v unsure) bool { return u.expect == v.expect && bytes.Equal(u.body, v.body) }

// pass goes on to the next message of the subject, and reports whether it is one
// that was unsure. Others that expected to come where it stands never will.
func (a *appender) pass(m message) (ours bool) {
	a.unsure = slices.DeleteFunc(a.unsure, func(u unsure) bool {
		ours = ours || u.expect == m.prev && m.writer == a.header.Get(headerWriter) && bytes.Equal(u.body, m.data)
		return u.expect < m.seq
	})
	a.before, a.last = a.last, m.seq
	return ours
}

// catchUp reads what has been appended since last. The sequence is that of
// body, if it turns out to have been stored after all.
func (a *appender) catchUp(ctx context.Context, body []byte, check func(*runnel.Event) error) (uint64, error) {
	found, _, err := a.engine.conn.following(ctx, logStream, query{Seq: a.last + 1, NextFor: a.subject})
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, a.stepBack(ctx)
	}
	for _, m := range found {
		if ours := a.pass(m); ours && bytes.Equal(m.data, body) {
			return m.seq, nil
		}
		var ev runnel.Event
		if wire.Decode(m.data, &ev) != nil {
			continue // a newer version's, so not of our attempt
		}
		if err := check(&ev); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// stepBack finds out why the subject does not end with last although nothing
// follows: what it had has expired, or something is only on its way. What has
// arrived meanwhile is not skipped: it is still to be checked.
func (a *appender) stepBack(ctx context.Context) error {
	m, err := a.engine.conn.last(ctx, logStream, a.subject)
	if err == nil || errors.Is(err, errNone) {
		a.last, err = min(a.last, m.seq), nil
	}
	return err
}

// writer implements [runnel.Writer].
type writer struct {
	appender
	session    runnel.SessionID
	generation runnel.GenerationID
	attempt    int  // the highest that the generation is known to have
	ended      bool // the generation has its terminal event
}

// Writer implements [runnel.Log].
func (e *Engine) Writer(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Writer, error) {
	w := &writer{
		appender:   appender{engine: e, subject: logPrefix + token(string(id))},
		session:    id,
		generation: gen,
	}
	if err := w.begin(ctx); err != nil {
		return nil, fail(err, "write to %s", id)
	}
	return w, nil
}

// Append implements [runnel.Writer].
func (w *writer) Append(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	at, err := w.write(ctx, &ev)
	if err != nil {
		return runnel.Cursor{}, fail(err, "append to %s", w.session)
	}
	w.note(&ev)
	return at, nil
}

func (w *writer) write(ctx context.Context, ev *runnel.Event) (runnel.Cursor, error) {
	fenced := func() error {
		if w.ended || w.attempt > ev.Attempt {
			return runnel.ErrFenced
		}
		return nil
	}
	if err := fenced(); err != nil {
		return runnel.Cursor{}, err
	}
	return w.append(ctx, ev, func(other *runnel.Event) error {
		w.note(other)
		return fenced()
	})
}

// note learns from an event of the session how far the generation is.
func (w *writer) note(ev *runnel.Event) {
	if ev.Generation == w.generation {
		w.attempt = max(w.attempt, ev.Attempt)
		w.ended = w.ended || ev.Type.Terminal()
	}
}

// pause waits, unless ctx is done first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
