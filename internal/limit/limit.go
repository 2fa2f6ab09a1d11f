package limit

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
)

// A Limiter holds principals to their limits. Its methods may be called
// concurrently. Callers that nobody asked to authenticate count as one.
type Limiter struct {
	counter Counter
	now     func() time.Time
	config  atomic.Pointer[Config]

	mu          sync.Mutex
	accounts    map[string]*account
	idle        list.List // the accounts that nobody holds, last used first
	connections int
}

// New returns a limiter for cfg. The counter keeps the daily counts; now tells
// the time.
func New(cfg Config, counter Counter, now func() time.Time) (*Limiter, error) {
	l := &Limiter{counter: counter, now: now, accounts: make(map[string]*account)}
	if err := l.Reload(cfg); err != nil {
		return nil, err
	}
	return l, nil
}

// Reload replaces the limits, and changes nothing if cfg is not valid. What is
// used already stays counted; what exceeds the new limits may go on.
func (l *Limiter) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	l.config.Store(&cfg)
	return nil
}

// Request counts a request of p, and says how p stands after it. The error is
// an [*Error] if it came too soon.
func (l *Limiter) Request(p *runnel.Principal) (Quota, error) {
	limits := l.config.Load().of(p)
	if limits.Rate == 0 {
		return Quota{}, nil
	}
	l.mu.Lock()
	q, wait := l.account(p.ID).take(limits, l.now())
	l.mu.Unlock()
	if wait > 0 {
		return q, refuse(q, wait, "too many requests: %g a second are allowed", limits.Rate)
	}
	return q, nil
}

// Connect counts a connection of p until release is called, once or more often.
// The error is an [*Error] if p has as many as it may, and of kind Unavailable
// if the node has.
func (l *Limiter) Connect(p *runnel.Principal) (release func(), err error) {
	cfg := l.config.Load()
	limits := cfg.of(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.accounts[p.ID]; a != nil && limits.Connections > 0 && a.connections >= limits.Connections {
		return nil, refuse(Quota{Policy: Connections, Limit: int64(limits.Connections)}, 0,
			"too many connections: %d at the same time are allowed", limits.Connections)
	}
	if cfg.Connections > 0 && l.connections >= cfg.Connections {
		return nil, runnel.Errorf(runnel.Unavailable, "this server has no room for another connection")
	}
	a := l.account(p.ID)
	l.hold(a)
	a.connections++
	l.connections++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.connections--
		l.connections--
		l.drop(a)
	}), nil
}

// Generation admits one more generation of p. It asks active how many p has
// under way, waiting ones included; it does so for one prompt of p at a time,
// until the caller has stored it, or not, and calls done, once or more often.
// There is nothing to give back when the generation ends: active then says one
// less. That holds on one node; with n nodes p may get ahead of its limit by
// n-1.
//
// The error is an [*Error] if p has as many as it may, ctx's if it ended the
// wait, or that of active.
func (l *Limiter) Generation(
	ctx context.Context, p *runnel.Principal, active func(context.Context) (int, error),
) (done func(), err error) {
	limits := l.config.Load().of(p)
	if limits.Generations == 0 {
		return func() {}, nil
	}
	l.mu.Lock()
	a := l.account(p.ID)
	l.hold(a)
	l.mu.Unlock()
	drop := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drop(a)
	}
	select {
	case a.admission <- struct{}{}:
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
	done = sync.OnceFunc(func() {
		<-a.admission
		drop()
	})
	n, err := active(ctx)
	if err == nil && n >= limits.Generations {
		err = refuse(Quota{Policy: Generations, Limit: int64(limits.Generations)}, 0,
			"too many generations: %d at the same time are allowed", limits.Generations)
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}
