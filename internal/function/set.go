package function

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Options are what all functions share. A zero field means the default beside it.
type Options struct {
	// Retry is how long a failed event waits until it is run again, and the
	// third time twice as long: 1 min.
	Retry  time.Duration
	Logger *slog.Logger // discards
}

// A Set is all functions of a node.
type Set struct {
	functions map[string]*Function
	closers   []func() // of the functions' places
	events    *queue
	launches  chan startRequest
	log       *slog.Logger

	began   chan struct{} // closed when Run has begun
	mu      sync.RWMutex  // held for reading while a process is started
	stopped bool
}

// A startRequest has a process started on the thread that they all belong to.
type startRequest struct {
	cmd *exec.Cmd
	err chan error // holds one
}

// New returns the functions that are configured. Their processes start when they
// are needed, after Run has begun. The configurations are valid.
func New(all []Config, o Options) (*Set, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	log := o.Logger.With("component", "function")
	s := &Set{functions: make(map[string]*Function, len(all)), launches: make(chan startRequest), began: make(chan struct{}), log: log}
	s.events = newQueue(cmp.Or(o.Retry, time.Minute), log)
	for _, c := range all {
		c = c.withDefaults()
		f := &Function{Config: c}
		var err error
		if f.backend, err = s.backend(c, log.With("function", c.Name)); err != nil {
			return nil, err
		}
		s.functions[c.Name] = f
	}
	return s, nil
}

func (s *Set) backend(c Config, log *slog.Logger) (backend, error) {
	switch {
	case c.Invoke != nil:
		r, err := newRemote(c)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, r.http.CloseIdleConnections)
		return r, nil
	case c.HTTP != "":
		w := newWeb(c)
		s.closers = append(s.closers, w.http.CloseIdleConnections)
		return w, nil
	}
	p := &pool{cfg: c, log: log, start: s.start}
	s.closers = append(s.closers, p.close)
	return p, nil
}

// Lookup returns a function by its name.
func (s *Set) Lookup(name string) (*Function, bool) {
	f, ok := s.functions[name]
	return f, ok
}

// All returns the functions in the order of their names.
func (s *Set) All() []*Function {
	var all []*Function
	for _, name := range slices.Sorted(maps.Keys(s.functions)) {
		all = append(all, s.functions[name])
	}
	return all
}

// Enqueue accepts an event that is run some time, up to three times until the
// function does not fail. The queue is in memory: what waits there when the node
// ends is lost. The error is Limited if it is full.
func (s *Set) Enqueue(f *Function, r Request) error { return s.events.add(f, r) }

// Run keeps the functions' processes until ctx is done, and returns when they
// are gone.
func (s *Set) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	close(s.began)
	launched := make(chan struct{})
	go func() { // its own, for it must outlive all that it starts
		defer close(launched)
		launch(s.launches)
	}()
	parts.Go(func() { s.events.run(ctx) })
	<-ctx.Done()
	var closing sync.WaitGroup
	for _, end := range s.closers {
		closing.Go(end)
	}
	closing.Wait()
	parts.Wait()
	s.mu.Lock()
	s.stopped = true
	close(s.launches)
	s.mu.Unlock()
	<-launched
	return nil
}

// start starts a process, once Run has begun.
func (s *Set) start(cmd *exec.Cmd) error {
	<-s.began
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopped {
		return errStopped()
	}
	r := startRequest{cmd: cmd, err: make(chan error, 1)}
	s.launches <- r
	return <-r.err
}
