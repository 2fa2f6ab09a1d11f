package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
)

// A generation is the work of this node on one leased prompt.
type generation struct {
	s      *Service
	prompt runnel.Prompt
	nudge  chan struct{}          // holds one: the turn may have come
	outlet atomic.Pointer[outlet] // nil before an attempt

	// Owned by the goroutine that runs work.
	introduced bool
	writer     runnel.Writer
	run        runnel.Run
	first      time.Time // of the first fragment
	sofar      *fold     // what earlier attempts said; nil in the first
	continued  bool      // this one goes on with it

	mu     sync.Mutex
	lease  runnel.Lease
	cancel context.CancelCauseFunc
	cause  error // an interrupt that came before cancel was known
}

func (g *generation) setLease(l runnel.Lease) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lease = l
}

func (g *generation) currentLease() runnel.Lease {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lease
}

// interrupt ends the work early, for the given reason. The first reason counts.
func (g *generation) interrupt(cause error) {
	g.mu.Lock()
	cancel := g.cancel
	if cancel == nil && g.cause == nil {
		g.cause = cause
	}
	g.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

func (g *generation) onInterrupt(cancel context.CancelCauseFunc) {
	g.mu.Lock()
	g.cancel = cancel
	cause := g.cause
	g.mu.Unlock()
	if cause != nil {
		cancel(cause)
	}
}

// prepare brings the generation to where it may run: its record is known, and
// its turn has come. What stands between a prompt and its model's first token
// is done side by side, or after the call has gone out.
func (g *generation) prepare(ctx context.Context) error {
	var looking sync.WaitGroup
	var first bool
	var firstErr error
	looking.Go(func() { first, firstErr = g.isFirst(ctx) })
	run, err := g.s.engine.Run(ctx, g.prompt.Session, g.prompt.Generation)
	looking.Wait()
	switch {
	case runnel.KindOf(err) == runnel.NotFound:
		run = newRun(&g.prompt)
	case err != nil:
		return err
	}
	g.run = run
	if g.heldElsewhere(ctx) {
		return errHeld
	}
	if g.run.Cancel {
		g.interrupt(errStopped)
	}
	if g.run.State.Ended() || first && firstErr == nil {
		return nil // the turn stands, but what follows from it may not; or it is ours
	}
	if err := g.introduce(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return g.awaitTurn(ctx)
}

// introduce makes the generation known: to viewers, and, if the prompt has
// outlived a crash that may have taken that back, to those who ask for it.
func (g *generation) introduce(ctx context.Context) error {
	if g.introduced {
		return nil
	}
	g.introduced = true
	p := &g.prompt
	if g.run.Attempt == 0 {
		// A crash right after this shows it twice; it says the same twice.
		at, err := g.append(ctx, nil, runnel.Event{Type: runnel.EventQueued, Prompt: p.Text()})
		if err != nil || at.Epoch == p.Cursor.Epoch {
			return err
		}
	}
	return g.s.engine.Index(ctx, p.Session, p.Generation)
}

// A source is where an answer comes from.
type source struct {
	model string
	data  json.RawMessage // what a publisher said when it began
	run   func(context.Context, *outlet) (*runnel.End, error)
}

// attempt claims the generation, runs it, and commits how it ended. The error
// says why it did not get that far.
func (g *generation) attempt(ctx context.Context) error {
	if g.run.State.Ended() {
		_, err := g.s.restore(context.WithoutCancel(ctx), &g.run)
		return err
	}
	if g.prompt.Published != 0 {
		src, err := g.published(context.WithoutCancel(ctx))
		if runnel.KindOf(err) == runnel.Gone {
			return g.finishAsIs(ctx, err)
		}
		if err != nil {
			return err
		}
		return g.runFrom(ctx, src)
	}
	candidates, err := g.s.router.Lookup(g.prompt.Model)
	switch {
	case errors.Is(context.Cause(ctx), errStopped):
		return g.finishAsIs(ctx, errStopped)
	case g.run.Attempt >= g.s.cfg.Attempts:
		return g.finishAsIs(ctx, runnel.Errorf(runnel.Unavailable, "given up after %d attempts", g.run.Attempt))
	case err != nil: // the configuration has changed since the prompt was accepted
		return g.finishAsIs(ctx, err)
	}
	p, err := g.withHistory(ctx)
	if err != nil {
		return err
	}
	return g.runFrom(ctx, source{model: candidates[0].Name, run: func(ctx context.Context, out *outlet) (*runnel.End, error) {
		return g.call(ctx, p, candidates, out)
	}})
}

// runFrom stores what comes from src. In a first attempt the call goes out while
// the claim is being stored; what comes back is held until that has succeeded.
func (g *generation) runFrom(ctx context.Context, src source) (err error) {
	s := g.s
	step := g.step(runnel.StepAttempt)
	step.Attempt, step.Model = g.run.Attempt+1, g.label(src.model)
	ctx, done := s.tracer.Begin(ctx, step)
	var failed error // why the answer is not complete
	defer func() { done(outcome(cmp.Or(err, failed))) }()
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.TotalTimeout,
		runnel.Errorf(runnel.Unavailable, "the answer was not complete after %v", s.cfg.TotalTimeout))
	defer cancel()
	out := newOutlet(s.cfg)
	g.outlet.Store(out)
	var caller sync.WaitGroup
	ask := func() { caller.Go(func() { out.close(src.run(ctx, out)) }) }
	defer caller.Wait()
	defer cancel() // before waiting for the caller

	first := g.run.Attempt == 0
	if first {
		out.started(src.model, src.data)
		ask()
	}
	if err := g.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := g.claim(ctx, src.model); err != nil {
		return err
	}
	if !first {
		if err := g.takeOver(ctx, &src, out); err != nil {
			return err
		}
		ask()
	}
	s.metrics.Started(g.label(src.model))
	var turn *runnel.Turn
	turn, failed = g.drainOutlet(ctx, out)
	g.traceStream(ctx, failed)
	switch {
	case errors.Is(failed, runnel.ErrFenced):
		return failed
	case errors.Is(failed, errHandover):
		g.handOver(ctx, turn, out.cost())
		return failed
	}
	cancel()
	caller.Wait()
	return g.finish(ctx, turn, failed)
}

// label is what the metrics know a model by: publishers call theirs what they
// like, and names must be few.
func (g *generation) label(model string) string {
	if g.prompt.Published != 0 {
		return outside
	}
	return model
}

// begin opens the log for writing. From here on it tells us of a newer attempt,
// so this comes before the claim: see [runnel.Log.Writer].
func (g *generation) begin(ctx context.Context) error {
	err := g.introduce(ctx)
	if err == nil {
		g.writer, err = g.s.engine.Writer(ctx, g.prompt.Session, g.prompt.Generation)
	}
	return err
}

// claim makes the next attempt ours. A stop request that comes between is kept
// and honoured; anything else means that another worker was faster.
func (g *generation) claim(ctx context.Context, model string) error {
	next := g.run
	for range casRounds {
		next.Attempts = before(&next)
		next.State, next.Attempt, next.Model = runnel.Running, g.run.Attempt+1, model
		next.Owner, next.Started = g.s.cfg.Node, time.Now().UTC()
		stored, err := g.s.engine.PutRun(context.WithoutCancel(ctx), next)
		if err == nil {
			g.run = stored
			if g.run.Cancel {
				g.interrupt(errStopped)
			}
			return nil
		}
		if runnel.KindOf(err) != runnel.Conflict {
			return err
		}
		now, err := g.s.engine.Run(ctx, g.prompt.Session, g.prompt.Generation)
		if err != nil {
			return err
		}
		switch {
		case now.Attempt == next.Attempt && now.Owner == next.Owner && next.Owner != "" && !now.State.Ended():
			g.run = now // the claim was stored, and the answer to it lost
			if g.run.Cancel {
				g.interrupt(errStopped)
			}
			return nil
		case now.State.Ended() || now.Attempt != g.run.Attempt:
			return errFenced
		}
		next = now
	}
	return errFenced
}

// settle does with the lease what the outcome asks for.
func (g *generation) settle(ctx context.Context, err error) {
	s := g.s
	log := s.log.With("session_id", g.prompt.Session, "generation_id", g.prompt.Generation, "attempt", g.run.Attempt)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	switch {
	case err == nil:
		g.account(ctx, log)
		err = g.currentLease().Remove(ctx)
		if err != nil {
			// The prompt comes back after its lease, and finds its turn.
			log.WarnContext(ctx, "cannot remove an answered prompt", "err", err)
		}
		return
	case errors.Is(err, runnel.ErrFenced) || errors.Is(err, errFenced):
		log.InfoContext(ctx, "another worker has taken over")
		return
	case errors.Is(err, errHeld):
		log.InfoContext(ctx, "the worker that runs it has lost its lease and works on", "worker", g.run.Owner)
		return
	case errors.Is(err, errHandover):
		s.release(g) // first: whoever is given it asks us whether we still run it
		log.InfoContext(ctx, "handed over")
	default:
		log.ErrorContext(ctx, "cannot work on a prompt", "err", err)
		// Most likely the engine is in trouble. Let the lease run out rather
		// than come round at once.
		return
	}
	if err := g.currentLease().Release(ctx); err != nil {
		log.WarnContext(ctx, "cannot give a prompt back; it comes back after its lease", "err", err)
	}
}

// append stores an event of this attempt, with w or, if w is nil, without
// being fenced. Callers pass a context that no interrupt cuts short: an append
// whose outcome is unknown is worse than a late stop.
func (g *generation) append(ctx context.Context, w runnel.Writer, ev runnel.Event) (at runnel.Cursor, err error) {
	ev.Session, ev.Generation, ev.Attempt = g.prompt.Session, g.prompt.Generation, g.run.Attempt
	if w == nil {
		at, err = g.s.engine.Append(ctx, ev)
	} else {
		at, err = w.Append(ctx, ev)
	}
	if err != nil {
		return at, fmt.Errorf("session: append %s: %w", ev.Type, err)
	}
	g.s.metrics.Appended()
	return at, nil
}
