package auth

import (
	"context"
	"reflect"
	"sync"

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

// Bind returns a context that carries p and ends when p's credentials do; its
// cause is then of kind Unauthenticated. An expiry is the context's deadline.
// The caller calls release when it is done.
func (s *Service) Bind(ctx context.Context, p *runnel.Principal) (bound context.Context, release context.CancelFunc) {
	bound = runnel.WithPrincipal(ctx, p)
	release = func() {}
	if !p.Expires.IsZero() {
		bound, release = context.WithDeadlineCause(bound, p.Expires, errExpired)
	}
	if p.Revoked == nil {
		return bound, release
	}
	bound, cancel := context.WithCancelCause(bound)
	stop := s.whenRevoked(bound, p.Revoked, func() { cancel(errWithdrawn) })
	outer := release
	return bound, func() {
		cancel(nil)
		stop()
		outer()
	}
}

// whenRevoked calls f when the channel is closed, unless ctx is done before.
// Waiting takes a goroutine only where the channel is not that of a lease.
func (s *Service) whenRevoked(ctx context.Context, revoked <-chan struct{}, f func()) (stop func()) {
	if l, ok := s.state.Load().ends[revoked]; ok {
		stop := context.AfterFunc(l.ctx, f)
		return func() { stop() }
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-revoked:
			f()
		case <-ctx.Done():
		}
	})
	return waiting.Wait
}
