package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

// clockSlack is how far the clock by which runs end may be ahead of the one by
// which they are stored.
const clockSlack = time.Minute

// Run implements [runnel.Ledger].
func (e *Engine) Run(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Run, error) {
	m, err := e.conn.last(ctx, turnStream, runSubject(turnPrefix, id, gen))
	if errors.Is(err, errNone) {
		err = runnel.Errorf(runnel.NotFound, "no such generation")
	}
	var r runnel.Run
	if err == nil {
		r, err = decodeRun(m)
	}
	if err != nil {
		return runnel.Run{}, fail(err, "run %s", gen)
	}
	return r, nil
}

func decodeRun(m message) (runnel.Run, error) {
	r := runnel.Run{Revision: m.seq}
	if err := json.Unmarshal(m.data, &r); err != nil {
		return runnel.Run{}, fmt.Errorf("read a run: %w", err)
	}
	return r, nil
}

// PutRun implements [runnel.Ledger].
func (e *Engine) PutRun(ctx context.Context, r runnel.Run) (runnel.Run, error) {
	data, err := json.Marshal(r)
	if err != nil {
		err = runnel.Errorf(runnel.Invalid, "the run cannot be encoded").Because(err)
		return runnel.Run{}, fail(err, "put run %s", r.Generation)
	}
	seq, err := e.conn.put(ctx, turnStream, runSubject(turnPrefix, r.Session, r.Generation), data, r.Revision, nil)
	if errors.Is(err, errConflict) {
		err = runnel.Errorf(runnel.Conflict, "the generation's record has changed")
	}
	if err != nil {
		return runnel.Run{}, fail(err, "put run %s", r.Generation)
	}
	r.Revision = seq
	return r, nil
}

// Ended implements [runnel.Ledger].
func (e *Engine) Ended(ctx context.Context, within time.Duration, f func(runnel.Run) error) error {
	runs, err := e.ended(ctx, within)
	if err != nil {
		return fail(err, "runs that ended last")
	}
	for _, r := range runs {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// ended returns the generation that ended last, and all that ended within the
// given time before it. It looks back from the ledger's last change, in ever
// longer steps.
func (e *Engine) ended(ctx context.Context, within time.Duration) ([]runnel.Run, error) {
	pattern := turnPrefix + "*.*"
	oldest, err := e.conn.get(ctx, turnStream, query{Seq: 1, NextFor: pattern})
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	newest, err := e.conn.last(ctx, turnStream, pattern)
	if err != nil {
		return nil, err
	}
	for back := within + clockSlack; ; back *= 4 {
		since := newest.time.Add(-back)
		runs, latest, err := e.endedSince(ctx, since, pattern)
		if err != nil {
			return nil, err
		}
		from := latest.Add(-within)
		if since.Before(oldest.time) || len(runs) > 0 && since.Before(from.Add(-clockSlack)) {
			return slices.DeleteFunc(runs, func(r runnel.Run) bool { return r.Turn.EndedAt.Before(from) }), nil
		}
	}
}

// endedSince returns the ended runs that were stored since then, and when the
// last of them ended.
func (e *Engine) endedSince(ctx context.Context, since time.Time, pattern string) (runs []runnel.Run, latest time.Time, err error) {
	err = e.conn.each(ctx, turnStream, query{Since: &since, NextFor: pattern}, func(m message) error {
		r, err := decodeRun(m)
		if err == nil && r.State.Ended() && r.Turn != nil {
			runs = append(runs, r)
			if r.Turn.EndedAt.After(latest) {
				latest = r.Turn.EndedAt
			}
		}
		return err
	})
	return runs, latest, err
}

// Locate implements [runnel.Ledger].
func (e *Engine) Locate(ctx context.Context, gen runnel.GenerationID) (runnel.SessionID, error) {
	m, err := e.conn.last(ctx, logStream, indexPrefix+token(string(gen)))
	if errors.Is(err, errNone) {
		err = runnel.Errorf(runnel.NotFound, "no such generation")
	}
	if err != nil {
		return "", fail(err, "locate %s", gen)
	}
	return runnel.SessionID(m.data), nil
}

// Index implements [runnel.Ledger].
func (e *Engine) Index(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) error {
	seq, err := e.conn.put(ctx, logStream, indexPrefix+token(string(gen)), []byte(id), noSequence, nil)
	if err != nil {
		return fail(err, "index %s", gen)
	}
	e.reached(seq)
	return nil
}

// Reserve implements [runnel.Ledger].
func (e *Engine) Reserve(ctx context.Context, key, value string) (stored string, existed bool, err error) {
	subject := keySubject(key)
	if value != "" {
		stored, existed, err = e.create(ctx, keyStream, subject, value)
	} else {
		var m message
		m, err = e.conn.last(ctx, keyStream, subject)
		if errors.Is(err, errNone) {
			return "", false, nil
		}
		stored, existed = string(m.data), true
	}
	if err != nil {
		return "", false, fail(err, "reserve a key")
	}
	return stored, existed, nil
}

// create stores value as the first of its subject, unless there is one; it
// returns what is stored, and whether that was there before.
func (e *Engine) create(ctx context.Context, stream, subject, value string) (stored string, existed bool, err error) {
	for {
		_, err := e.conn.put(ctx, stream, subject, []byte(value), 0, nil)
		if err == nil {
			return value, false, nil
		}
		if !errors.Is(err, errConflict) {
			return "", false, err
		}
		m, err := e.conn.last(ctx, stream, subject)
		if err == nil {
			return string(m.data), true, nil
		}
		if !errors.Is(err, errNone) { // else it has just expired, or is on its way
			return "", false, err
		}
		if err := pause(ctx, retryPause); err != nil {
			return "", false, err
		}
	}
}

// NotifyCancel implements [runnel.Ledger].
func (e *Engine) NotifyCancel(gen runnel.GenerationID) error {
	if err := e.conn.nc.Publish(stopSubject, []byte(gen)); err != nil {
		return fail(err, "notify of the cancelling of %s", gen)
	}
	return nil
}

// Cancels implements [runnel.Ledger].
func (e *Engine) Cancels(ctx context.Context, ready func(), f func(runnel.GenerationID)) error {
	sub, err := e.conn.nc.SubscribeSync(stopSubject)
	if err != nil {
		return fail(err, "subscribe to stops")
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	if err := e.conn.flush(ctx); err != nil {
		return fail(err, "subscribe to stops")
	}
	if ready != nil {
		ready()
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
			f(runnel.GenerationID(m.Data))
		case errors.Is(err, nats.ErrSlowConsumer):
			e.log.Warn("stop notices were lost") // the records tell, too
		default:
			return fail(err, "wait for stops")
		}
	}
}
