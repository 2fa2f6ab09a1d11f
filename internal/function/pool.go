package function

import (
	"context"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	// waitersPerProcess bounds how many calls wait until a process is free.
	waitersPerProcess = 16
	// finishGrace is how long a call waits for a process that has answered the one
	// before, rather than for another one to start.
	finishGrace = 50 * time.Millisecond
	// A function whose processes do not start is tried again after a while.
	minBackoff, maxBackoff = 100 * time.Millisecond, 30 * time.Second
)

// A pool keeps the processes of one function.
type pool struct {
	cfg   Config
	log   *slog.Logger
	start func(*exec.Cmd) error

	running sync.WaitGroup // the processes

	mu        sync.Mutex
	closed    bool
	size      int // processes, also those that are about to be in all
	all       []*process
	idle      []*process // the one that was used last is at the end
	waiting   []*waiter  // the one that came first is at the front
	starting  int
	finishing int       // processes that have answered, and are about to be idle
	failures  int       // starts in a row
	notUntil  time.Time // the next start
	failure   *Failure  // the last start's
}

// A waiter is a call that waits for a process.
type waiter struct {
	got chan grant // holds one
}

type grant struct {
	process *process
	err     error
}

// call implements [backend].
func (p *pool) call(ctx context.Context, r Request) (*Response, error) {
	for {
		pr, err := p.acquire(ctx)
		if err != nil {
			return nil, err
		}
		inv := &invocation{request: r, answered: make(chan answer, 1)}
		deaf := time.AfterFunc(minInit, func() { pr.kill(newFailure(typeExit, "Error: the runtime does not ask for work any more")) })
		select {
		case pr.work <- inv:
			deaf.Stop()
			return pr.await(ctx, inv)
		case <-pr.exited: // it died in its sleep
			deaf.Stop()
		case <-ctx.Done():
			deaf.Stop()
			p.idled(pr)
			return nil, context.Cause(ctx)
		}
	}
}

// acquire returns a process that is free, starting one if need be.
func (p *pool) acquire(ctx context.Context) (*process, error) {
	w, pr, err := p.enter()
	if pr != nil || err != nil {
		return pr, err
	}
	patience := time.NewTimer(p.initTimeout()) // one may be about to start
	defer patience.Stop()
	select {
	case g := <-w.got:
		return g.process, g.err
	case <-patience.C:
		err = runnel.Errorf(runnel.Limited, "the function %s was busy for too long", p.cfg.Name)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.leave(w)
	return nil, err
}

// enter takes a process that is free, or a place in the queue.
func (p *pool) enter() (*waiter, *process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errStopped()
	}
	if n := len(p.idle); n > 0 {
		pr := p.idle[n-1]
		p.idle = p.idle[:n-1]
		pr.idleTimer.Stop()
		return nil, pr, nil
	}
	if p.size == 0 && time.Now().Before(p.notUntil) {
		return nil, nil, p.failure
	}
	if len(p.waiting) >= waitersPerProcess*p.cfg.Concurrency {
		return nil, nil, runnel.Errorf(runnel.Limited, "the function %s has too many invocations", p.cfg.Name)
	}
	w := &waiter{got: make(chan grant, 1)}
	p.waiting = append(p.waiting, w)
	if p.finishing > 0 {
		time.AfterFunc(finishGrace, p.growAnyway)
	}
	p.grow(p.finishing)
	return w, nil, nil
}

func errStopped() error { return runnel.Errorf(runnel.Unavailable, "the node is stopping") }

// leave takes a waiter out of the queue. What it was given meanwhile is given back.
func (p *pool) leave(w *waiter) {
	p.mu.Lock()
	p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
	p.mu.Unlock()
	select {
	case g := <-w.got:
		if g.process != nil {
			p.idled(g.process)
		}
	default:
	}
}

// growAnyway starts processes for those whom nobody has freed one for in time.
func (p *pool) growAnyway() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow(0)
}

// grow starts processes for those who wait, but for some, to whom others are
// about to come. The pool is locked.
func (p *pool) grow(others int) {
	for p.starting+others < len(p.waiting) && p.size < p.cfg.Concurrency && !p.closed && !time.Now().Before(p.notUntil) {
		p.size++
		p.starting++
		p.running.Go(p.live)
	}
}

// live is the life of one process.
func (p *pool) live() {
	pr, err := startProcess(p)
	p.mu.Lock()
	if err != nil {
		p.size--
		p.starting--
		p.failed(newFailure(typeExit, "Error: the process cannot be started"))
		p.mu.Unlock()
		p.log.Error("a process cannot be started", "err", err)
		return
	}
	p.all = append(p.all, pr)
	closed := p.closed
	p.mu.Unlock()
	if closed {
		pr.kill(newFailure(typeExit, "Error: the node is stopping"))
	}
	pr.run()
}

// failed notes that a start has failed, and tells those who wait in vain. The
// pool is locked.
func (p *pool) failed(f *Failure) {
	p.failure = f
	p.failures++
	p.notUntil = time.Now().Add(min(minBackoff<<min(p.failures-1, 20), maxBackoff))
	n := min(1, len(p.waiting)) // the one for whom it was started
	if p.size == 0 {
		n = len(p.waiting)
	}
	for _, w := range p.waiting[:n] {
		w.got <- grant{err: f}
	}
	p.waiting = p.waiting[n:]
}

// answered notes that a process has answered, and will soon wait for work.
func (p *pool) answered(pr *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !pr.finishing && slices.Contains(p.all, pr) {
		pr.finishing = true
		p.finishing++
	}
}

// finished ends what answered has begun. The pool is locked.
func (p *pool) finished(pr *process) {
	if pr.finishing {
		pr.finishing = false
		p.finishing--
	}
}

// idled takes a process that waits for work.
func (p *pool) idled(pr *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.all, pr) {
		return // it has ended meanwhile
	}
	p.finished(pr)
	if !pr.started {
		pr.started = true
		p.starting--
		p.failures = 0
	}
	switch {
	case p.closed || pr.retired || slices.Contains(p.idle, pr): // or its runtime has asked twice
	case len(p.waiting) > 0:
		p.waiting[0].got <- grant{process: pr}
		p.waiting = p.waiting[1:]
	default:
		p.idle = append(p.idle, pr)
		pr.idleTimer = time.AfterFunc(p.cfg.Idle, func() { p.retire(pr) })
	}
}

// retire ends a process that nobody has needed for long.
func (p *pool) retire(pr *process) {
	p.mu.Lock()
	i := slices.Index(p.idle, pr)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		pr.retired = true
	}
	p.mu.Unlock()
	if i >= 0 {
		pr.stop()
	}
}

// ended is called when a process is gone.
func (p *pool) ended(pr *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := func(other *process) bool { return other == pr }
	p.all = slices.DeleteFunc(p.all, same)
	p.size--
	p.finished(pr)
	if i := slices.Index(p.idle, pr); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		pr.idleTimer.Stop()
	}
	if !pr.started {
		p.starting--
		p.failed(pr.gone)
		p.log.Warn("a process did not start", "err", pr.gone, "failures", p.failures)
	}
	p.grow(p.finishing)
}

// initTimeout is how long a process may take until it asks for work, and a call
// until it has one.
func (p *pool) initTimeout() time.Duration { return max(minInit, p.cfg.Timeout) }

// close ends all processes and returns when they are gone.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	all := slices.Clone(p.all)
	for _, pr := range p.idle {
		pr.idleTimer.Stop()
	}
	for _, w := range p.waiting {
		w.got <- grant{err: errStopped()}
	}
	p.waiting = nil
	p.mu.Unlock()
	var stopping sync.WaitGroup
	for _, pr := range all {
		stopping.Go(pr.stop)
	}
	stopping.Wait()
	p.running.Wait()
}
