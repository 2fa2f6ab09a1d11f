package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	// backlog is how many prompts beyond those that run a node may hold that
	// wait for their turn. They keep their lease, so that one session's queue
	// does not go round and round between nodes.
	backlog = 4096
	// turnPoll is how often a waiting prompt looks whether its turn has come
	// by the work of another node. On this node it is told at once.
	turnPoll = 500 * time.Millisecond
	// dequeueRetry is the pause after a failure of the queue.
	dequeueRetry = 250 * time.Millisecond
	// callTimeout bounds one exchange with the engine on a generation's behalf.
	callTimeout = 10 * time.Second
)

// dequeue starts a goroutine for every prompt that it can lease until ctx is
// done, then drains. work outlives ctx.
func (s *Service) dequeue(ctx, work context.Context) {
	var wg sync.WaitGroup
	held := make(chan struct{}, s.cfg.MaxGenerations+backlog)
	for ctx.Err() == nil {
		select {
		case held <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		lease, err := s.engine.Dequeue(ctx)
		if err != nil {
			<-held
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot take a prompt from the queue", "err", err)
				pause(ctx, dequeueRetry)
			}
			continue
		}
		g := s.adopt(lease)
		if g == nil {
			<-held
			continue
		}
		wg.Go(func() {
			defer func() { <-held }()
			s.work(work, g)
		})
	}
	s.drain(&wg)
}

// drain waits until every generation has finished; those that have not within
// the drain time-out are handed over.
func (s *Service) drain(wg *sync.WaitGroup) {
	finished := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { wg.Wait(); close(finished) })
	defer waiter.Wait()

	s.mu.Lock()
	s.draining = true
	running := len(s.active)
	for _, gs := range s.waiting { // not begun: somebody else may as well begin them
		for _, g := range gs {
			g.interrupt(errHandover)
		}
	}
	s.mu.Unlock()
	if running > 0 {
		s.log.Info("waiting for running generations", "running", running, "timeout", s.cfg.DrainTimeout)
	}
	timer := time.NewTimer(s.cfg.DrainTimeout)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log.Info("handing over running generations", "running", len(s.active))
		for _, g := range s.active {
			g.interrupt(errHandover)
		}
	}
}

// adopt registers the holder of a lease. A second lease for a generation that
// this node still works on means that the first one has run out, as after a
// long pause of the process: the work goes on under the new one, and adopt
// returns nil.
func (s *Service) adopt(lease runnel.Lease) *generation {
	p := lease.Prompt()
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.active[p.Generation]; g != nil {
		g.setLease(lease)
		return nil
	}
	g := &generation{s: s, prompt: p, lease: lease, nudge: make(chan struct{}, 1)}
	s.active[p.Generation] = g
	return g
}

// holds reports whether this node still works on g.
func (s *Service) holds(g *generation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[g.prompt.Generation] == g
}

// work sees one leased prompt through: its turn, a free slot, the model run.
func (s *Service) work(ctx context.Context, g *generation) {
	ctx, cancel := context.WithCancelCause(runnel.WithTrace(ctx, g.prompt.Trace))
	defer cancel(nil)
	g.onInterrupt(cancel)
	defer s.release(g)

	taken := time.Now()
	err := g.prepare(ctx)
	if err == nil && g.prompt.Published == 0 { // no model of ours is asked
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	g.traceQueue(ctx, taken, err)
	if err == nil || errors.Is(err, errStopped) {
		err = g.attempt(ctx)
	}
	g.settle(ctx, err)
}

// release forgets g and tells those who wait for their turn behind it.
func (s *Service) release(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[g.prompt.Generation] == g {
		delete(s.active, g.prompt.Generation)
	}
	for _, w := range s.waiting[g.prompt.Session] {
		select {
		case w.nudge <- struct{}{}:
		default: // it has one coming
		}
	}
}

// isFirst reports whether the generation's turn has come.
func (g *generation) isFirst(ctx context.Context) (bool, error) {
	if g.s.cfg.Mode == Parallel {
		return true, nil
	}
	return g.currentLease().First(ctx)
}

// awaitTurn waits until no earlier prompt of the session is in the queue.
func (g *generation) awaitTurn(ctx context.Context) error {
	var poll *time.Ticker
	for {
		first, err := g.isFirst(ctx)
		switch {
		case err == nil && first:
			return nil
		case err != nil && ctx.Err() == nil:
			g.s.log.WarnContext(ctx, "cannot ask for a prompt's turn", "generation_id", g.prompt.Generation, "err", err)
		}
		if poll == nil {
			poll = time.NewTicker(turnPoll)
			defer poll.Stop()
			g.s.park(g)
			defer g.s.unpark(g)
			continue // what ended before we were parked did not nudge us
		}
		select {
		case <-g.nudge:
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Service) park(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := g.prompt.Session
	s.waiting[id] = append(s.waiting[id], g)
	if s.draining {
		g.interrupt(errHandover)
	}
}

func (s *Service) unpark(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := g.prompt.Session
	s.waiting[id] = slices.DeleteFunc(s.waiting[id], func(w *generation) bool { return w == g })
	if len(s.waiting[id]) == 0 {
		delete(s.waiting, id)
	}
}

// keepLeases renews the lease of every active generation, and now and then
// looks for stop requests whose announcement was lost. One goroutine does it
// for all: a renewal is a message without an answer.
func (s *Service) keepLeases(ctx context.Context) {
	tick := time.NewTicker(s.engine.LeaseTime() / 4)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		held := make([]*generation, 0, len(s.active))
		for _, g := range s.active {
			held = append(held, g)
		}
		s.mu.Unlock()
		for _, g := range held {
			s.keepLease(ctx, g, round%4 == 0)
		}
	}
}

func (s *Service) keepLease(ctx context.Context, g *generation, look bool) {
	ctx, cancel := context.WithTimeout(ctx, s.engine.LeaseTime()/2)
	defer cancel()
	if err := g.currentLease().Renew(ctx); err != nil && ctx.Err() == nil && s.holds(g) {
		// The prompt comes round again, to us or to another worker.
		s.log.WarnContext(ctx, "cannot renew a lease", "generation_id", g.prompt.Generation, "err", err)
	}
	if !look {
		return
	}
	if run, err := s.engine.Run(ctx, g.prompt.Session, g.prompt.Generation); err == nil && run.Cancel {
		g.interrupt(errStopped)
	}
}
