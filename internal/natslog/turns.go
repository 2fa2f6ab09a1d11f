package natslog

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/runnelhq/runnel"
)

// Turns implements [runnel.Ledger].
func (e *Engine) Turns(ctx context.Context, id runnel.SessionID, limit int) ([]runnel.Turn, error) {
	var turns []runnel.Turn
	var err error
	if limit > 0 {
		turns, err = e.lastTurns(ctx, id, limit)
	} else {
		turns, err = e.allTurns(ctx, id)
	}
	if err != nil {
		return nil, fail(err, "turns of %s", id)
	}
	return turns, nil
}

// allTurns reads them in the order of their last change, which is their end.
func (e *Engine) allTurns(ctx context.Context, id runnel.SessionID) (turns []runnel.Turn, err error) {
	err = e.conn.each(ctx, turnStream, query{Seq: 1, NextFor: runSubjects(turnPrefix, id)}, func(m message) error {
		r, err := decodeRun(m)
		if err == nil && r.State.Ended() && r.Turn != nil {
			turns = append(turns, *r.Turn)
		}
		return err
	})
	return turns, err
}

// lastTurns lists the session's generations, without reading their runs, and
// then reads from the newest backwards: a session may have thousands.
func (e *Engine) lastTurns(ctx context.Context, id runnel.SessionID, limit int) ([]runnel.Turn, error) {
	if _, err := e.conn.last(ctx, turnStream, runSubjects(turnPrefix, id)); errors.Is(err, errNone) {
		return nil, nil // a new session, which is sooner known than listed
	}
	var runs []runnel.Run
	gens, err := e.generations(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, gen := range slices.Backward(slices.Sorted(slices.Values(gens))) {
		r, err := e.Run(ctx, id, gen)
		if runnel.KindOf(err) == runnel.NotFound {
			continue // past its retention since it was listed
		}
		if err != nil {
			return nil, err
		}
		if !r.State.Ended() || r.Turn == nil {
			continue
		}
		if runs = append(runs, r); len(runs) == limit {
			break
		}
	}
	slices.SortFunc(runs, func(a, b runnel.Run) int { return cmp.Compare(a.Revision, b.Revision) })
	turns := make([]runnel.Turn, len(runs))
	for i, r := range runs {
		turns[i] = *r.Turn
	}
	return turns, nil
}

// generations returns those of a session that have a run, in no order.
func (e *Engine) generations(ctx context.Context, id runnel.SessionID) (gens []runnel.GenerationID, err error) {
	prefix := turnPrefix + token(string(id)) + "."
	for seen, total := 0, 1; seen < total; {
		info, err := e.conn.info(ctx, turnStream, prefix+"*", seen)
		if err != nil {
			return nil, err
		}
		for subject := range info.State.Subjects {
			if gen, ok := untoken(subject[len(prefix):]); ok {
				gens = append(gens, runnel.GenerationID(gen))
			}
		}
		if len(info.State.Subjects) == 0 {
			break
		}
		seen, total = seen+len(info.State.Subjects), info.Total
	}
	return gens, nil
}
