package limit

import (
	"container/list"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
)

// A Limiter holds principals to their limits. Its methods may be called
// concurrently, and those that doors call on a nil Limiter, which has none.
type Limiter struct {
	counter runnel.Counters
	now     func() time.Time
	config  atomic.Pointer[Config]
	trail   trail

	mu       sync.Mutex
	accounts map[string]*account
	idle     list.List // the accounts that nobody holds, last used first
}

// Options are what a limiter needs besides its limits.
type Options struct {
	Counters runnel.Counters // keep what is counted by the day
	// Refused is told of all refusals: of whom, by which limit, and how often
	// since the last time. Nil: nobody wants to know.
	Refused func(p *runnel.Principal, limit string, times int)
	Now     func() time.Time // [time.Now]
}

// New returns a limiter for cfg.
func New(cfg Config, o Options) (*Limiter, error) {
	if o.Refused == nil {
		o.Refused = func(*runnel.Principal, string, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Limiter{counter: o.Counters, now: o.Now, trail: trail{tell: o.Refused}, accounts: make(map[string]*account)}
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

// None reports whether nobody has a limit at present.
func (l *Limiter) None() bool { return l == nil || l.config.Load().none() }

// Request counts a request of p, and says how p stands after it. The error is
// an [*Error] if it came too soon. It does not allocate.
func (l *Limiter) Request(p *runnel.Principal) (Quota, error) { return l.request(p, 1) }

func (l *Limiter) request(p *runnel.Principal, n int) (Quota, error) {
	if l.None() {
		return Quota{}, nil
	}
	limits := l.config.Load().of(p)
	if limits.Rate == 0 {
		return Quota{}, nil
	}
	l.mu.Lock()
	q, wait := l.account(accountOf(p)).take(limits, l.now(), n)
	l.mu.Unlock()
	if wait > 0 {
		return q, l.refuse(p, q, wait, "too many requests: %g a second are allowed", limits.Rate)
	}
	return q, nil
}

// Frame counts a message of size bytes, which p sent on an open connection, as a
// request. The error is an [*Error]: of kind Invalid if the message is too large,
// of kind Limited if it came too soon.
func (l *Limiter) Frame(p *runnel.Principal, size int) (Quota, error) {
	if most := l.Sizes(p).MaxFrame; most > 0 && int64(size) > int64(most) {
		return Quota{}, l.tooLarge(p, Frame, most, "the message has %d bytes; the limit is %d", size, most)
	}
	return l.Request(p)
}

// Sizes returns the limits of p; of interest are those on sizes, which a door
// wants to know before it reads. Zero means no limit.
func (l *Limiter) Sizes(p *runnel.Principal) Limits {
	if l.None() {
		return Limits{}
	}
	return l.config.Load().of(p)
}

// BodyTooLarge notes that a body was refused because it has more than
// [Limits.MaxBody] bytes, and returns the error.
func (l *Limiter) BodyTooLarge(p *runnel.Principal, most Bytes) error {
	return l.tooLarge(p, Body, most, "the body has more than %d bytes", most).because(&http.MaxBytesError{Limit: int64(most)})
}

// Connect counts a connection of p until it is released. The error is an
// [*Error] if p has as many as it may.
func (l *Limiter) Connect(p *runnel.Principal) (*Connection, error) {
	if l.None() {
		return nil, nil
	}
	limits := l.config.Load().of(p)
	l.mu.Lock()
	a := l.account(accountOf(p))
	if limits.Connections > 0 && a.connections >= limits.Connections {
		l.mu.Unlock()
		return nil, l.refuse(p, Quota{Policy: Connections, Limit: int64(limits.Connections)}, 0,
			"too many connections: %d at the same time are allowed", limits.Connections)
	}
	defer l.mu.Unlock()
	l.hold(a)
	a.connections++
	c := &Connection{limiter: l, account: a}
	c.holders.Store(1)
	return c, nil
}

// generation admits one more generation of p. It asks active how many p has
// under way, waiting ones included; it does so for one prompt of p at a time,
// until the caller has stored it, or not, and calls done.
// There is nothing to give back when the generation ends: active then says one
// less. That holds on one node; with n nodes p may get ahead of its limit by
// n-1.
func (l *Limiter) generation(
	ctx context.Context, p *runnel.Principal, limits Limits, active func(context.Context) (int, error),
) (done func(), err error) {
	if limits.Generations == 0 {
		return func() {}, nil
	}
	l.mu.Lock()
	a := l.account(accountOf(p))
	l.hold(a)
	l.mu.Unlock()
	select {
	case a.admission <- struct{}{}:
	case <-ctx.Done():
		l.release(a)
		return nil, ctx.Err()
	}
	done = func() {
		<-a.admission
		l.release(a)
	}
	n, err := active(ctx)
	if err == nil && n >= limits.Generations {
		err = l.refuse(p, Quota{Policy: Generations, Limit: int64(limits.Generations)}, 0,
			"too many generations: %d at the same time are allowed", limits.Generations)
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}
