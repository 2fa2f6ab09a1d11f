package reply

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
)

// What becomes of a generation whose client disconnects.
const (
	DisconnectAuto     = "auto"     // it is stopped, unless the client has named a session: then it may come back
	DisconnectCancel   = "cancel"   // it is stopped
	DisconnectContinue = "continue" // it goes on
)

// cancelTimeout bounds the stopping of a generation whose client has left.
const cancelTimeout = 5 * time.Second

// Answers are the requests of a door that are being answered, while their
// generations run. Its methods may be called concurrently.
type Answers struct {
	open   atomic.Int64
	ending context.Context //nolint:containedctx // the door's life
	end    context.CancelFunc
}

// NewAnswers returns an empty set.
func NewAnswers() *Answers {
	a := &Answers{}
	a.ending, a.end = context.WithCancel(context.Background())
	return a
}

// Begin returns the context of an answer: the request's, which also ends, with a
// cause to tell the client, when the server stops. Call done at its end.
func (a *Answers) Begin(request context.Context) (ctx context.Context, done func()) {
	a.open.Add(1)
	ctx, cancel := context.WithCancelCause(request)
	stop := context.AfterFunc(a.ending, func() {
		cancel(&runnel.Error{Kind: runnel.Unavailable, Msg: "this server is shutting down"})
	})
	return ctx, func() {
		stop()
		cancel(nil)
		a.open.Add(-1)
	}
}

// Len returns how many there are.
func (a *Answers) Len() int { return int(a.open.Load()) }

// End ends them all, those that are still to come too. It does not wait: they
// are requests, for which the server does.
func (a *Answers) End() { a.end() }

// Left reports whether a request is over because its client has left, and not
// because we have, or because its credentials are no longer good.
func (a *Answers) Left(request context.Context) bool {
	if a.ending.Err() != nil || request.Err() == nil {
		return false
	}
	_, withdrawn := errors.AsType[*runnel.Error](context.Cause(request))
	return !withdrawn
}

// Leave stops the generation of a request whose client has left, if that is
// wanted; named says whether the client has named the session.
func (a *Answers) Leave(r *http.Request, sessions runnel.Sessions, gen runnel.GenerationID, named bool, policy string, log *slog.Logger) {
	if !a.Left(r.Context()) || policy == DisconnectContinue || named && policy != DisconnectCancel {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), cancelTimeout)
	defer cancel()
	if _, err := sessions.Cancel(ctx, gen); err != nil {
		log.WarnContext(ctx, "cannot stop a generation whose client has left", "generation_id", gen, "err", err)
	}
}

// Record logs a failure and tells failed, which may be nil, of what kind it is. It
// reports false, and does nothing, if it is only that the client has left.
func Record(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger, failed func(runnel.Kind)) bool {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return false
	}
	if failed != nil {
		failed(runnel.KindOf(err))
	}
	level := slog.LevelDebug
	switch Status(err) {
	case http.StatusInternalServerError:
		level = slog.LevelError
	case http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path,
		"request_id", w.Header().Get("X-Request-Id"), "generation_id", w.Header().Get("Runnel-Generation"), "err", err)
	return true
}
