package session

import (
	"context"
	"errors"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	finishRetry    = 100 * time.Millisecond
	finishRetryMax = 2 * time.Second
)

// finish commits how the generation ended and says so in the log. The turn
// comes first: it is fsynced, so nobody can see an end that a crash takes
// back. cause is nil, errStopped, or a failure.
func (g *generation) finish(ctx context.Context, t *runnel.Turn, cause error) (err error) {
	ctx, done := g.s.tracer.Begin(ctx, g.step(runnel.StepCommit))
	defer func() { done(outcome(err)) }()
	t.Generation, t.Attempt, t.Prompt = g.prompt.Generation, g.run.Attempt, g.prompt.Messages
	t.AcceptedAt, t.StartedAt, t.FirstAt, t.EndedAt = g.prompt.AcceptedAt, g.run.Started, g.first.UTC(), time.Now().UTC()
	if g.first.IsZero() {
		t.FirstAt = time.Time{}
	}
	g.sumUp(t)
	switch {
	case cause == nil:
		t.State = runnel.Done
	case errors.Is(cause, errStopped):
		t.State = runnel.Stopped
	default:
		t.State = runnel.Failed
		t.Failure = &runnel.Failure{Kind: runnel.KindOf(cause).String(), Message: runnel.PublicMessage(cause)}
		if theirs, ok := errors.AsType[*publishedError](cause); ok {
			t.Failure, t.Data = &theirs.failure, theirs.data
		}
		g.s.log.WarnContext(ctx, "a generation failed", "session_id", g.prompt.Session, "generation_id", g.prompt.Generation, "model", t.Model, "err", cause)
		g.s.logTold(ctx, g.prompt.Generation, cause)
	}
	if g.prompt.Published != 0 {
		// Before anybody can know of the end: no piece is taken from here on.
		err := g.persist(ctx, func() error {
			_, err := g.closePieces(ctx, 0, cause)
			return err
		})
		if err != nil {
			return err
		}
		defer g.dropPieces(context.WithoutCancel(ctx))
	}
	if err := g.commit(ctx, t); err != nil {
		return err
	}
	g.s.metrics.Ended(g.label(t.Model), t)
	return g.announce(ctx)
}

// finishAsIs ends a generation that does not run again, with what the log says
// of its earlier attempts.
func (g *generation) finishAsIs(ctx context.Context, cause error) error {
	if err := g.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	f, err := g.s.foldGeneration(context.WithoutCancel(ctx), &g.run)
	if err != nil {
		return err
	}
	g.sofar = f
	t := &runnel.Turn{Model: g.run.Model, Text: string(f.text), Reasoning: string(f.reasoning)}
	return g.finish(ctx, t, cause)
}

// commit makes t the generation's turn. Whoever has claimed a newer attempt
// meanwhile wins; a stop request that came too late does not matter.
func (g *generation) commit(ctx context.Context, t *runnel.Turn) error {
	return g.persist(ctx, func() error {
		next := g.run
		next.State, next.Turn = t.State, t
		stored, err := g.s.engine.PutRun(context.WithoutCancel(ctx), next)
		if err == nil {
			g.run = stored
			return nil
		}
		if runnel.KindOf(err) != runnel.Conflict {
			return err
		}
		now, err := g.s.engine.Run(context.WithoutCancel(ctx), g.prompt.Session, g.prompt.Generation)
		switch {
		case err != nil:
			return err
		case now.State.Ended():
			// Ours, stored by a call whose answer was lost, or another's: in
			// either case it is what everybody will be told.
			g.run = now
			return nil
		case now.Attempt != g.run.Attempt:
			return errFenced
		}
		g.run = now
		return errAgain
	})
}

// errAgain asks persist for another round without a pause.
var errAgain = errors.New("again")

// announce appends the terminal event that follows from the run's turn.
func (g *generation) announce(ctx context.Context) error {
	return g.persist(ctx, func() error {
		_, err := g.append(context.WithoutCancel(ctx), g.writer, terminal(g.run.Turn))
		if errors.Is(err, runnel.ErrFenced) {
			return nil // it is there already
		}
		return err
	})
}

// persist repeats f until it succeeds, is fenced, or the work is to be handed
// over: what a model has answered must not be lost to a passing fault.
func (g *generation) persist(ctx context.Context, f func() error) error {
	for wait := finishRetry; ; wait = min(2*wait, finishRetryMax) {
		err := f()
		switch {
		case err == nil || errors.Is(err, errFenced) || errors.Is(err, runnel.ErrFenced):
			return err
		case errors.Is(err, errAgain):
			continue
		case runnel.KindOf(err) == runnel.Invalid:
			return err
		case g.s.isDraining() || errors.Is(context.Cause(ctx), errHandover):
			return errors.Join(errHandover, err)
		}
		g.s.log.WarnContext(ctx, "cannot store a part of a generation; trying again", "generation_id", g.prompt.Generation, "err", err)
		pause(context.WithoutCancel(ctx), wait)
	}
}

// terminal returns the event that ends a generation with this turn.
func terminal(t *runnel.Turn) runnel.Event {
	ev := runnel.Event{Usage: t.Usage, Data: t.Data}
	switch t.State {
	case runnel.Done:
		ev.Type, ev.StopReason = runnel.EventDone, t.StopReason
	case runnel.Stopped:
		ev.Type = runnel.EventCancelled
	default:
		ev.Type, ev.Failure = runnel.EventFailed, t.Failure
	}
	return ev
}
