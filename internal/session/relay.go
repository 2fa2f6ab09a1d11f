package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runnelhq/runnel"
)

// outside is what an answer's model is called if its publisher did not name it,
// and what the metrics call all of them.
const outside = "published"

var (
	errSilent     = runnel.Errorf(runnel.Unavailable, "the publisher was silent for too long")
	errSuperseded = runnel.Errorf(runnel.Conflict, "another answer was begun in the session")
)

// A publishedError is how a publisher said that its answer has failed.
type publishedError struct {
	failure runnel.Failure
	data    json.RawMessage
}

func (e *publishedError) Error() string { return "the publisher says: " + e.failure.Message }

// A relay turns the pieces of an answer that is published into events.
type relay struct {
	g     *generation
	out   *outlet
	after uint64 // the last piece that was read
	// cause is why the generation is to end before its first new piece; nil if
	// it may go on.
	cause error
}

// published returns what the pieces of a published generation say.
func (g *generation) published(ctx context.Context) (source, error) {
	first, err := g.s.pieceAt(ctx, g.prompt.Session, g.prompt.Published)
	if err != nil {
		return source{}, err
	}
	r := &relay{g: g, after: first.Seq - 1}
	if g.run.Attempt >= g.s.cfg.Attempts {
		r.cause = runnel.Errorf(runnel.Unavailable, "given up after %d attempts", g.run.Attempt)
	}
	src := source{model: cmp.Or(first.Model, outside), run: r.run}
	if first.Type == runnel.EventStarted {
		src.data = first.Data
	}
	return src, nil
}

// run adds the pieces to out as they come, until one ends the answer. Everything
// that was acknowledged to a publisher is in the answer, also if a stop, a
// time-out or silence ends it: that end becomes a piece itself, and what lies
// before it is read first.
func (r *relay) run(ctx context.Context, out *outlet) (*runnel.End, error) {
	r.out = out
	if r.cause != nil {
		return r.end(ctx, r.cause)
	}
	for {
		end, err := r.follow(ctx)
		switch {
		case errors.Is(err, errSilent):
			if err := r.close(ctx, errSilent); errors.Is(err, errAgain) {
				continue // the publisher has spoken just in time
			}
			return r.end(ctx, errSilent)
		case errors.Is(err, errStopped), timedOut(ctx, err):
			return r.end(ctx, err)
		case !broken(ctx, err):
			return end, err
		}
		r.g.s.log.WarnContext(ctx, "cannot read what is published; trying again", "generation_id", r.g.prompt.Generation, "err", err)
		pause(ctx, dequeueRetry)
	}
}

// timedOut reports whether err is the time-out that ctx has ended with.
func timedOut(ctx context.Context, err error) bool {
	_, public := errors.AsType[*runnel.Error](err)
	return public && ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
}

// broken reports whether err is the engine's, which may pass.
func broken(ctx context.Context, err error) bool {
	var theirs *publishedError
	return err != nil && ctx.Err() == nil && !errors.As(err, &theirs) && !errors.Is(err, errSuperseded)
}

// follow adds pieces to out until one ends the answer, ctx is done, or the
// publisher is silent.
func (r *relay) follow(ctx context.Context) (*runnel.End, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := r.g.s.cfg.PublishTimeout
	silence := time.AfterFunc(quiet, func() { cancel(errSilent) })
	defer silence.Stop()
	for p, err := range r.g.s.engine.Pieces(ctx, r.g.prompt.Session, r.after) {
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, err
		}
		silence.Reset(quiet)
		end, err := r.take(ctx, &p)
		if end != nil || err != nil {
			return end, err
		}
	}
	return nil, context.Cause(ctx)
}

// take adds one piece. The end or an error is returned for one that ends the
// answer.
func (r *relay) take(ctx context.Context, p *runnel.Piece) (*runnel.End, error) {
	r.after = p.Seq
	if p.Generation != r.g.prompt.Generation {
		return nil, errSuperseded
	}
	switch p.Type {
	case runnel.EventStarted: // it stands in the generation's own
	case runnel.EventDone:
		r.out.endsWith(p.Data)
		return &runnel.End{StopReason: cmp.Or(p.StopReason, runnel.EndTurn), Usage: p.Usage}, nil
	case runnel.EventFailed:
		return nil, &publishedError{*p.Failure, p.Data}
	case runnel.EventCancelled:
		return nil, errStopped
	default:
		r.out.put(ctx, p)
	}
	return nil, nil
}

// end makes cause the answer's end and adds what was published before it.
func (r *relay) end(ctx context.Context, cause error) (*runnel.End, error) {
	if err := r.close(ctx, cause); err != nil && !errors.Is(err, errAgain) {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), callTimeout, cause)
	defer cancel()
	end, err := r.follow(ctx)
	if broken(ctx, err) {
		err = cause
	}
	return end, err
}

// close stores a piece that ends the generation, so that no further one is taken
// for it. If cause is silence and there is a piece that we have not seen, it
// returns errAgain and stores nothing.
func (r *relay) close(ctx context.Context, cause error) error {
	spoke := false
	err := r.g.persist(ctx, func() (err error) {
		spoke, err = r.g.closePieces(ctx, r.after, cause)
		return err
	})
	if err == nil && spoke {
		return errAgain
	}
	return err
}

// closePieces stores a piece that ends the generation unless it has one. For
// silence, seen must be the last piece, else it reports that the publisher spoke.
func (g *generation) closePieces(ctx context.Context, seen uint64, cause error) (spoke bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	last, err := g.s.engine.LastPiece(ctx, g.prompt.Session)
	switch {
	case err != nil:
		return false, err
	case last.Generation != g.prompt.Generation || last.Type.Terminal():
		return false, nil // another piece ends it
	case errors.Is(cause, errSilent) && last.Seq != seen:
		return true, nil
	}
	p := runnel.Piece{
		Generation: last.Generation, Type: runnel.EventCancelled,
		First: cmp.Or(last.First, last.Seq), Chars: last.Chars, Size: last.Size,
	}
	if !errors.Is(cause, errStopped) {
		p.Type = runnel.EventFailed
		p.Failure = &runnel.Failure{Kind: runnel.KindOf(cause).String(), Message: runnel.PublicMessage(cause)}
	}
	_, err = g.s.engine.PutPiece(ctx, g.prompt.Session, p, last.Seq)
	if runnel.KindOf(err) == runnel.Conflict {
		err = errAgain
	}
	return false, err
}

// dropPieces drops what was published into the session before this generation.
// Its own pieces stay until the next one ends, for publishers that repeat theirs.
func (g *generation) dropPieces(ctx context.Context) {
	waiting, err := g.s.engine.Waiting(ctx, g.prompt.Session)
	for _, p := range waiting {
		if p.Published != 0 && p.Published < g.prompt.Published {
			return // it still reads them; who ends next drops them
		}
	}
	if err == nil {
		err = g.s.engine.DropPieces(ctx, g.prompt.Session, g.prompt.Published)
	}
	if err != nil {
		g.s.log.WarnContext(ctx, "cannot drop what was published", "session_id", g.prompt.Session, "err", err)
	}
}
