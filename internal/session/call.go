package session

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	retryBase = 200 * time.Millisecond // doubled at each repetition
	// maxRetryAfter is the longest wait that a vendor may ask for before it is
	// better to ask another model, or to say so.
	maxRetryAfter = 10 * time.Second
)

// call asks the candidates in turn and adds what comes to out. Until the first
// fragment a failure that may pass is repeated, and then, or if it may not
// pass, falls over to the next candidate. After it, a failure is the end.
//
// What earlier attempts said stands as long as the models that are asked can go
// on with it, and begins anew for good with the first that cannot.
func (g *generation) call(ctx context.Context, p runnel.Prompt, candidates []runnel.Candidate, out *outlet) (*runnel.End, error) {
	s := g.s
	sofar := g.sofar
	for i, c := range candidates {
		if i > 0 {
			out.started(c.Name, nil)
		}
		asked, with, continues := goOn(p, c, sofar)
		switch {
		case !continues && sofar != nil:
			g.tookOver(ctx, c.Name, Restarted, out, "")
			sofar = nil
		case continues && i == 0:
			g.tookOver(ctx, c.Name, Continued, out, string(sofar.text))
		}
		for try := 0; ; try++ {
			end, began, err := g.callTraced(ctx, with, try, asked, out)
			if err == nil || began || ctx.Err() != nil {
				return end, err
			}
			s.metrics.Retried(c.Name, runnel.KindOf(err))
			s.log.WarnContext(ctx, "a model call failed before its first token", "generation_id", p.Generation, "model", c.Name, "try", try+1, "err", err)
			s.logTold(ctx, p.Generation, err)
			if continues && runnel.KindOf(err) == runnel.Invalid { // the beginning, as far as we know
				g.tookOver(ctx, c.Name, Refused, out, "")
				asked, with, continues, sofar = p, c, false, nil
				try = -1
				continue
			}
			wait, again := retryDelay(err, try)
			if !again || try >= s.cfg.Retries {
				if i == len(candidates)-1 || runnel.KindOf(err) == runnel.Invalid {
					return nil, err
				}
				break
			}
			if !pause(ctx, wait) {
				return nil, context.Cause(ctx)
			}
		}
	}
	return nil, errors.New("session: a route without a model")
}

// retryDelay says whether a failed call is worth repeating, and after how long.
func retryDelay(err error, try int) (time.Duration, bool) {
	e, ok := errors.AsType[*runnel.Error](err)
	if !ok || (e.Kind != runnel.Limited && e.Kind != runnel.Unavailable) || e.RetryAfter > maxRetryAfter {
		return 0, false
	}
	backoff := retryBase << min(try, 5)
	return max(e.RetryAfter, backoff/2+rand.N(backoff)), true
}

// callTraced makes one call as a step of its own.
func (g *generation) callTraced(ctx context.Context, c runnel.Candidate, try int, p runnel.Prompt, out *outlet) (*runnel.End, bool, error) {
	begin := time.Now()
	ctx, done := g.s.tracer.Begin(ctx, runnel.Step{
		Name: runnel.StepCall, Begin: begin, Session: p.Session, Generation: p.Generation, Node: g.s.cfg.Node, Try: try + 1, Model: c.Name,
	})
	end, first, err := g.callOnce(ctx, c, p, out)
	o := outcome(err)
	o.End = end
	if !first.IsZero() {
		o.FirstToken = first.Sub(begin)
	}
	done(o)
	return end, !first.IsZero(), err
}

// callOnce makes one call. It returns when the first fragment came, if any did.
func (g *generation) callOnce(ctx context.Context, c runnel.Candidate, p runnel.Prompt, out *outlet) (end *runnel.End, first time.Time, err error) {
	cfg := &g.s.cfg
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(cfg.FirstTokenTimeout, func() {
		cancel(runnel.Errorf(runnel.Unavailable, "the model was silent for too long"))
	})
	defer silence.Stop()

	var last time.Time
	for d, err := range c.Provider.Generate(ctx, p) {
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, first, err
		}
		if d.End != nil {
			return d.End, first, nil
		}
		if d.Usage != nil {
			out.costs(d.Usage)
			continue
		}
		now := time.Now()
		if !first.IsZero() {
			g.s.metrics.TokenGap(c.Name, now.Sub(last))
		} else {
			first = now
			g.s.metrics.FirstToken(c.Name, now.Sub(p.AcceptedAt))
		}
		last = now
		out.add(ctx, &d)
		silence.Reset(cfg.TokenTimeout)
	}
	if ctx.Err() != nil {
		return nil, first, context.Cause(ctx)
	}
	return nil, first, runnel.Errorf(runnel.Unavailable, "the model's stream ended before its answer was complete")
}

// withHistory returns the prompt as the model gets it.
func (g *generation) withHistory(ctx context.Context) (runnel.Prompt, error) {
	p := g.prompt
	if !p.History || g.s.cfg.HistoryTurns <= 0 {
		return p, nil
	}
	turns, err := g.s.engine.Turns(ctx, p.Session, g.s.cfg.HistoryTurns)
	if err != nil {
		return p, err
	}
	var messages []runnel.Message
	for _, t := range turns {
		if t.Text == "" || t.Generation == p.Generation {
			continue // an unanswered question would confuse the roles
		}
		answer := runnel.TextMessage(runnel.Assistant, t.Text)
		switch last := len(messages) - 1; {
		case len(t.Prompt) > 0:
			messages = append(append(messages, t.Prompt...), answer)
		case last >= 0: // published, and its publisher did not say to what question
			messages[last] = joined(messages[last], answer)
		}
	}
	p.Messages = append(messages, p.Messages...)
	return p, nil
}

// joined returns what two messages of one speaker say.
func joined(a, b runnel.Message) runnel.Message {
	a.Parts = append(slices.Clip(a.Parts), b.Parts...)
	return a
}

// toolInput returns joined input fragments as a JSON object. What a model cut
// short is kept as a JSON string.
func toolInput(joined string) json.RawMessage {
	if joined == "" {
		return json.RawMessage("{}")
	}
	if json.Valid([]byte(joined)) {
		return json.RawMessage(joined)
	}
	quoted, _ := json.Marshal(joined) // cannot fail for a string
	return quoted
}

// logTold logs what the model server itself said of a failure. It may quote the
// prompt or the answer, so it is not for a log that others read.
func (s *Service) logTold(ctx context.Context, gen runnel.GenerationID, err error) {
	type teller interface {
		error
		Told() string
	}
	if failure, ok := errors.AsType[teller](err); ok {
		s.log.DebugContext(ctx, "the model server said why", "generation_id", gen, "told", failure.Told())
	}
}
