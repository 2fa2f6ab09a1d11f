package session

import (
	"context"
	"errors"
	"time"

	"github.com/runnelhq/runnel"
)

// A Tracer records the steps of generations' lives. Its methods are called from
// many goroutines, some times per generation and never per fragment; they must
// not block.
type Tracer interface {
	// Begin begins a step that is a part of what ctx carries, see
	// [runnel.TraceFrom]. The context that it returns carries the step. Call the
	// function, once, when the step has ended.
	Begin(ctx context.Context, step runnel.Step) (context.Context, func(runnel.Outcome))
}

type noTracer struct{}

func (noTracer) Begin(ctx context.Context, _ runnel.Step) (context.Context, func(runnel.Outcome)) {
	return ctx, ignoreOutcome
}

func ignoreOutcome(runnel.Outcome) {}

// step returns a step of this generation.
func (g *generation) step(name runnel.StepName) runnel.Step {
	return runnel.Step{
		Name: name, Session: g.prompt.Session, Generation: g.prompt.Generation, Attempt: g.run.Attempt, Node: g.s.cfg.Node,
	}
}

// traceQueue records how long the prompt waited: since it was accepted or, if it
// comes back from a worker that has died, since it was taken again.
func (g *generation) traceQueue(ctx context.Context, taken time.Time, err error) {
	step := g.step(runnel.StepQueue)
	if step.Begin = taken; g.run.Attempt == 0 {
		step.Begin = g.prompt.AcceptedAt
	}
	_, done := g.s.tracer.Begin(ctx, step)
	done(outcome(err))
}

// traceStream records from when to when this attempt's text was stored.
func (g *generation) traceStream(ctx context.Context, err error) {
	if g.first.IsZero() {
		return
	}
	step := g.step(runnel.StepStream)
	step.Begin = g.first
	_, done := g.s.tracer.Begin(ctx, step)
	done(outcome(err))
}

// outcome says how a step ended that ended with err.
func outcome(err error) runnel.Outcome {
	switch {
	case err == nil:
		return runnel.Outcome{}
	case errors.Is(err, errStopped):
		return runnel.Outcome{Problem: string(runnel.Stopped)}
	case errors.Is(err, errHandover):
		return runnel.Outcome{Problem: "handed_over"}
	case errors.Is(err, errFenced), errors.Is(err, runnel.ErrFenced):
		return runnel.Outcome{Problem: "taken_over"}
	}
	return runnel.Outcome{Problem: runnel.KindOf(err).String()}
}
