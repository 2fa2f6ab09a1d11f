package memlog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
)

type runKey struct {
	session    runnel.SessionID
	generation runnel.GenerationID
}

// A record is a run as it is stored.
type record struct {
	revision uint64
	data     []byte // JSON
}

func (r record) decode() (runnel.Run, error) {
	run := runnel.Run{Revision: r.revision}
	if err := json.Unmarshal(r.data, &run); err != nil {
		return runnel.Run{}, fmt.Errorf("memlog: decode run: %w", err)
	}
	return run, nil
}

// A location says which session a generation belongs to.
type location struct {
	session runnel.SessionID
	at      runnel.Seq // the log's end when it was stored
}

// Run implements [runnel.Ledger].
func (e *Engine) Run(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Run, error) {
	if err := e.lock(ctx); err != nil {
		return runnel.Run{}, err
	}
	defer e.mu.Unlock()
	r, ok := e.runs[runKey{id, gen}]
	if !ok {
		return runnel.Run{}, fmt.Errorf("memlog: run: %w", runnel.Errorf(runnel.NotFound, "no such generation"))
	}
	return r.decode()
}

// PutRun implements [runnel.Ledger].
func (e *Engine) PutRun(ctx context.Context, r runnel.Run) (runnel.Run, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return runnel.Run{}, fmt.Errorf("memlog: put run: %w", runnel.Errorf(runnel.Invalid, "the run cannot be encoded").Because(err))
	}
	if err := e.lock(ctx); err != nil {
		return runnel.Run{}, err
	}
	defer e.mu.Unlock()
	key := runKey{r.Session, r.Generation}
	if e.runs[key].revision != r.Revision {
		return runnel.Run{}, fmt.Errorf("memlog: put run: %w", runnel.Errorf(runnel.Conflict, "the generation's record has changed"))
	}
	e.revisions++ // as in natslog, later changes have higher numbers, of all runs
	r.Revision = e.revisions
	e.runs[key] = record{revision: r.Revision, data: data}
	return r, nil
}

// Turns implements [runnel.Ledger].
func (e *Engine) Turns(ctx context.Context, id runnel.SessionID, limit int) ([]runnel.Turn, error) {
	runs, err := e.ended(ctx, func(k runKey) bool { return k.session == id })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(runs, func(a, b runnel.Run) int { return cmp.Compare(a.Generation, b.Generation) })
	if limit > 0 && len(runs) > limit {
		runs = runs[len(runs)-limit:]
	}
	slices.SortFunc(runs, func(a, b runnel.Run) int { return cmp.Compare(a.Revision, b.Revision) })
	turns := make([]runnel.Turn, len(runs))
	for i, r := range runs {
		turns[i] = *r.Turn
	}
	return turns, nil
}

// Ended implements [runnel.Ledger].
func (e *Engine) Ended(ctx context.Context, within time.Duration, f func(runnel.Run) error) error {
	runs, err := e.ended(ctx, func(runKey) bool { return true })
	if err != nil {
		return err
	}
	var last time.Time
	for _, r := range runs {
		if r.Turn.EndedAt.After(last) {
			last = r.Turn.EndedAt
		}
	}
	for _, r := range runs {
		if r.Turn.EndedAt.Before(last.Add(-within)) {
			continue
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// ended returns the records of the ended generations whose key is wanted.
func (e *Engine) ended(ctx context.Context, want func(runKey) bool) ([]runnel.Run, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	var runs []runnel.Run
	for k, rec := range e.runs {
		if !want(k) {
			continue
		}
		r, err := rec.decode()
		if err != nil {
			return nil, err
		}
		if r.State.Ended() && r.Turn != nil {
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// Locate implements [runnel.Ledger].
func (e *Engine) Locate(ctx context.Context, gen runnel.GenerationID) (runnel.SessionID, error) {
	if err := e.lock(ctx); err != nil {
		return "", err
	}
	defer e.mu.Unlock()
	l, ok := e.located[gen]
	if !ok {
		return "", fmt.Errorf("memlog: locate: %w", runnel.Errorf(runnel.NotFound, "no such generation"))
	}
	return l.session, nil
}

// Index implements [runnel.Ledger].
func (e *Engine) Index(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.located[gen] = location{session: id, at: e.last}
	return nil
}

// Reserve implements [runnel.Ledger]. Here a reservation lasts for ever.
func (e *Engine) Reserve(ctx context.Context, key, value string) (stored string, existed bool, err error) {
	if err := e.lock(ctx); err != nil {
		return "", false, err
	}
	defer e.mu.Unlock()
	if stored, ok := e.reserved[key]; ok {
		return stored, true, nil
	}
	if value == "" {
		return "", false, nil
	}
	e.reserved[key] = value
	return value, false, nil
}

// Own implements [runnel.Ledger].
func (e *Engine) Own(ctx context.Context, id runnel.SessionID, owner string) (string, error) {
	if err := e.lock(ctx); err != nil {
		return "", err
	}
	defer e.mu.Unlock()
	if e.owners[id] == "" && owner != "" {
		e.owners[id] = owner
	}
	return e.owners[id], nil
}

// NotifyCancel implements [runnel.Ledger].
func (e *Engine) NotifyCancel(gen runnel.GenerationID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.cancels {
		select {
		case c <- gen:
		default: // a notice may be lost
		}
	}
	return nil
}

// Cancels implements [runnel.Ledger].
func (e *Engine) Cancels(ctx context.Context, ready func(), f func(runnel.GenerationID)) error {
	c := make(chan runnel.GenerationID, 1024) // more than a test has generations
	if err := e.lock(ctx); err != nil {
		return err
	}
	e.cancels[c] = struct{}{}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.cancels, c)
	}()
	if ready != nil {
		ready()
	}
	for {
		select {
		case gen := <-c:
			f(gen)
		case <-ctx.Done():
			return fmt.Errorf("memlog: cancels: %w", ctx.Err())
		}
	}
}
