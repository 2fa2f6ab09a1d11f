package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/limit"
)

// newLimits makes the limiter, on the log that it counts in.
func (a *App) newLimits() error {
	audit := auth.NewAudit(a.log)
	l, err := limit.New(a.cfg.Limits, limit.Options{
		Counters: a.engine,
		Refused: func(p *runnel.Principal, what string, times int) {
			audit.Limited(p, what, times)
			a.metrics.Refused(what, times)
		},
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	for _, name := range []string{
		limit.Requests, limit.Connections, limit.Generations, limit.Prompts, limit.Tokens, limit.Body, limit.Frame, limit.Prompt,
	} {
		a.metrics.Refused(name, 0) // shown from the start
	}
	a.access.limits.Store(l)
	return nil
}

// authenticate says who a caller is, for doors that ask for credentials
// themselves.
func (a *access) authenticate(ctx context.Context, c auth.Credentials) (*runnel.Principal, error) {
	if c.Request == nil {
		return a.auth.Authenticate(ctx, c)
	}
	if err := a.limits.Load().Suspect(c.Request); err != nil {
		return nil, err
	}
	p, err := a.auth.Authenticate(ctx, c)
	if err != nil {
		err = a.failed(c.Request, err)
	}
	return p, err
}

// failed counts a caller whose credentials were refused with err, and returns
// what to say: err, or that there were too many of them.
func (a *access) failed(r *http.Request, err error) error {
	if kind := runnel.KindOf(err); kind != runnel.Unauthenticated && kind != runnel.Denied {
		return err
	}
	if over := a.limits.Load().Failed(r); over != nil {
		return over
	}
	return err
}

// limited lets those requests through to a door whose callers are within their
// limits. Each takes up a connection of theirs until it is answered, or until the
// stream has ended that it began.
func (a *access) limited(door http.Handler, fail func(http.ResponseWriter, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := a.limits.Load()
		if l.None() {
			door.ServeHTTP(w, r)
			return
		}
		p := limit.ByAddress(runnel.PrincipalFrom(r.Context()), r)
		quota, err := l.Request(p)
		limit.SetHeaders(w.Header(), quota)
		if err != nil {
			fail(w, err)
			return
		}
		place, err := l.Connect(p)
		if err != nil {
			fail(w, err)
			return
		}
		defer place.Release()
		r = r.WithContext(limit.WithConnection(runnel.WithPrincipal(r.Context(), p), place))
		if most := l.Sizes(p).MaxBody; most > 0 {
			r.Body = &body{ReadCloser: http.MaxBytesReader(w, r.Body, int64(most)), refused: func() { _ = l.BodyTooLarge(p, most) }}
		}
		door.ServeHTTP(w, r)
	})
}

// A body tells when it turns out to be too large. The door answers.
type body struct {
	io.ReadCloser
	refused func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok && b.refused != nil {
		b.refused()
		b.refused = nil
	}
	return n, err
}
