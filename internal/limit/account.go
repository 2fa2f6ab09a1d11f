package limit

import (
	"container/list"
	"time"

	"golang.org/x/time/rate"
)

// maxAccounts is how many principals are remembered. To be forgotten is
// harmless by then: the bucket of one that so many others came after is full
// again, or it is one of too many.
const maxAccounts = 1 << 16

// An account is what a node remembers of one principal.
type account struct {
	id string

	// Guarded by the Limiter's mu.
	bucket      *rate.Limiter // nil if its rate was never limited
	connections int
	usedUp      string        // the last day on which its daily limits were reached
	held        int           // connections and admissions that keep it from being forgotten
	idle        *list.Element // its place among those that nobody holds

	// admission has one place, taken by the call of [Limiter.Admit] whose prompt
	// is being stored.
	admission chan struct{}
}

// account returns the principal's account and makes it the last to be forgotten.
// The caller holds mu.
func (l *Limiter) account(id string) *account {
	if a := l.accounts[id]; a != nil {
		if a.idle != nil {
			l.idle.MoveToFront(a.idle)
		}
		return a
	}
	for len(l.accounts) >= maxAccounts && l.idle.Len() > 0 {
		oldest, _ := l.idle.Remove(l.idle.Back()).(*account)
		delete(l.accounts, oldest.id)
	}
	a := &account{id: id, admission: make(chan struct{}, 1)}
	a.idle = l.idle.PushFront(a)
	l.accounts[id] = a
	return a
}

// hold keeps a from being forgotten until drop. The caller holds mu.
func (l *Limiter) hold(a *account) {
	a.held++
	if a.idle != nil {
		l.idle.Remove(a.idle)
		a.idle = nil
	}
}

// drop undoes hold. The caller holds mu.
func (l *Limiter) drop(a *account) {
	a.held--
	if a.held == 0 {
		a.idle = l.idle.PushFront(a)
	}
}

// release undoes hold.
func (l *Limiter) release(a *account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(a)
}

// take takes n requests, one or none, out of the bucket, which it makes or
// adjusts to the limits first. It returns how the principal stands, and how long
// it has to wait if there was not one to be taken.
func (a *account) take(limits Limits, now time.Time, n int) (Quota, time.Duration) {
	every, burst := rate.Limit(limits.Rate), limits.Burst
	if a.bucket == nil {
		a.bucket = rate.NewLimiter(every, burst)
	}
	if a.bucket.Limit() != every {
		a.bucket.SetLimitAt(now, every)
	}
	if a.bucket.Burst() != burst {
		a.bucket.SetBurstAt(now, burst)
	}
	q := Quota{Policy: Requests, Limit: int64(burst), Window: spent(float64(burst), limits.Rate)}
	r := a.bucket.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 || n == 0 {
		r.CancelAt(now)
	}
	if wait > 0 {
		q.Reset = wait
		return q, wait
	}
	tokens := a.bucket.TokensAt(now)
	q.Remaining = int64(tokens)
	q.Reset = spent(float64(q.Remaining+1)-tokens, limits.Rate)
	return q, 0
}

// spent returns how long it takes to earn so many requests.
func spent(requests, perSecond float64) time.Duration {
	const most = float64(100 * 365 * 24 * time.Hour)
	return time.Duration(min(requests/perSecond*float64(time.Second), most))
}
