package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

var _ runnel.Sessions = (*Service)(nil)

// A Service is the core of one node. Its methods may be called concurrently.
type Service struct {
	engine  runnel.Engine
	router  Router
	cfg     Config
	log     *slog.Logger
	metrics Metrics
	tracer  Tracer
	limits  Limits

	slots  chan struct{} // one token per generation that may run
	trail  trail
	owners recent[runnel.SessionID, string]
	// opened are published generations whose prompt is known to be accepted,
	// with the position before their first event.
	opened recent[runnel.GenerationID, runnel.Cursor]

	mu       sync.Mutex
	draining bool
	active   map[runnel.GenerationID]*generation // leased by this node
	waiting  map[runnel.SessionID][]*generation  // those of active that await their turn
}

// New returns a service that can submit and read, but works on prompts only
// while [Service.Run] runs.
func New(engine runnel.Engine, router Router, cfg Config) *Service {
	cfg = cfg.withDefaults()
	return &Service{
		engine:  engine,
		router:  router,
		cfg:     cfg,
		log:     cfg.Logger.With("component", "session"),
		metrics: cfg.Metrics,
		tracer:  cfg.Tracer,
		limits:  cfg.Limits,
		slots:   make(chan struct{}, cfg.MaxGenerations),
		trail:   trail{audit: cfg.Audit},
		active:  make(map[runnel.GenerationID]*generation),
		waiting: make(map[runnel.SessionID][]*generation),
	}
}

// Run works on prompts until ctx is done and then drains: it takes no more
// prompts, refuses submissions, lets running generations finish for up to the
// drain time-out and hands over the rest. When it returns all its goroutines
// have ended. The error is nil after a drain. Call [Service.Recover] first.
func (s *Service) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.draining = true
	})()

	// Generations, their leases and stop requests outlive ctx, until all have
	// finished or been handed over.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	take, stopTaking := context.WithCancel(ctx)
	defer stopTaking()
	listening := make(chan struct{})
	var background errgroup.Group
	background.Go(func() error {
		defer stopTaking() // nothing is begun that could not be stopped
		return s.engine.Cancels(work, func() { close(listening) }, s.stopLocal)
	})
	background.Go(func() error { s.keepLeases(work); return nil })
	background.Go(func() error { s.trail.report(work); return nil })
	if !s.cfg.Idle {
		background.Go(func() error {
			defer stopTaking() // nothing is begun that others would take for abandoned
			return s.tellHeld(work)
		})
	}

	select {
	case <-listening:
		if s.cfg.Idle {
			<-take.Done()
			break
		}
		s.dequeue(take, work)
	case <-take.Done():
	}
	stop(errHandover)
	err := background.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("session: listen to other nodes: %w", err)
}

// Running returns how many generations are leased by this node, running or
// waiting for their turn.
func (s *Service) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active)
}

func (s *Service) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// pause waits for d or until ctx is done, and reports whether d has passed.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
