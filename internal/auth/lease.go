package auth

import (
	"context"
	"fmt"
	"reflect"

	"github.com/runnelhq/runnel"
)

// A lease is what principals are recognised by: it ends when that is withdrawn.
type lease struct {
	source any             // the configuration it stands for
	ctx    context.Context //nolint:containedctx // its end is the message; AfterFunc hears it without a goroutine
	end    context.CancelFunc
}

func (l *lease) done() <-chan struct{} { return l.ctx.Done() }

// lease returns the lease for something that is configured, which is the old
// one if nothing about it has changed.
func (st *state) lease(old *state, name string, source any) *lease {
	l, ok := old.leases[name]
	if !ok || !reflect.DeepEqual(l.source, source) {
		ctx, end := context.WithCancel(context.Background())
		l = &lease{source: source, ctx: ctx, end: end}
	}
	st.leases[name] = l
	st.ends[l.done()] = l
	return l
}

// Bind returns a context that carries p, whom Authenticate has returned, and
// ends when p's credentials do; its cause is then of kind Unauthenticated. An
// expiry is the context's deadline. The caller calls release when it is done.
func (s *Service) Bind(ctx context.Context, p *runnel.Principal) (bound context.Context, release context.CancelFunc) {
	ctx = runnel.WithPrincipal(ctx, p)
	stops := [3]func(){}
	if !p.Expires.IsZero() {
		ctx, stops[0] = context.WithDeadlineCause(ctx, p.Expires, fmt.Errorf("auth: %w", errExpired()))
	}
	if p.Revoked != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		stops[1] = func() { cancel(nil) }
		withdraw := func() { cancel(fmt.Errorf("auth: %w", errWithdrawn())) }
		if l, ok := s.state.Load().ends[p.Revoked]; ok {
			stop := context.AfterFunc(l.ctx, withdraw)
			stops[2] = func() { stop() }
		} else { // withdrawn since p was authenticated
			withdraw()
		}
	}
	return ctx, func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
}
