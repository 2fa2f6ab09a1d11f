package function

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	maxEvents     = 10_000    // that wait or run
	maxEventBytes = 256 << 20 // of their payloads
	eventTries    = 3
	eventWorkers  = 64 // events that run at once
	// MaxEvent is the most bytes of an event that nobody waits for.
	MaxEvent = 1 << 20
)

// A queue runs events that nobody waits for.
type queue struct {
	retry time.Duration
	log   *slog.Logger
	ready chan *event // holds as many as there may be

	mu     sync.Mutex
	count  int
	bytes  int
	closed bool
}

type event struct {
	f       *Function
	request Request
	tries   int
}

func newQueue(retry time.Duration, log *slog.Logger) *queue {
	return &queue{retry: retry, log: log, ready: make(chan *event, maxEvents)}
}

func (q *queue) add(f *Function, r Request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errStopped()
	case len(r.Payload) > MaxEvent:
		return runnel.Errorf(runnel.Invalid, "the event has %d bytes; the limit is %d", len(r.Payload), MaxEvent)
	case q.count >= maxEvents || q.bytes+len(r.Payload) > maxEventBytes:
		return runnel.Errorf(runnel.Limited, "too many events wait")
	}
	if r.ID == "" {
		r.ID = NewRequestID()
	}
	q.count++
	q.bytes += len(r.Payload)
	q.ready <- &event{f: f, request: r}
	return nil
}

// run runs events until ctx is done. Those that wait then are dropped.
func (q *queue) run(ctx context.Context) {
	var workers sync.WaitGroup
	slots := make(chan struct{}, eventWorkers)
	for {
		select {
		case ev := <-q.ready:
			select {
			case slots <- struct{}{}:
				workers.Go(func() {
					defer func() { <-slots }()
					q.serve(ctx, ev)
				})
			case <-ctx.Done():
			}
		case <-ctx.Done():
			q.mu.Lock()
			q.closed = true
			lost := q.count
			q.mu.Unlock()
			if lost > 0 {
				q.log.Warn("events are lost, for the node stops", "events", lost)
			}
			workers.Wait()
			return
		}
	}
}

// serve runs an event once, and plans the next try if it fails.
func (q *queue) serve(ctx context.Context, ev *event) {
	ev.tries++
	err := ev.f.discard(ctx, ev.request)
	if ctx.Err() != nil {
		return
	}
	if err == nil || ev.tries == eventTries || runnel.KindOf(err) == runnel.Invalid {
		if err != nil {
			q.log.Error("an event is given up", "function", ev.f.Name, "request_id", ev.request.ID, "tries", ev.tries, "err", err)
		}
		q.mu.Lock()
		q.count--
		q.bytes -= len(ev.request.Payload)
		q.mu.Unlock()
		return
	}
	wait := q.retry * time.Duration(ev.tries)
	q.log.Warn("an event failed and will be tried again", "function", ev.f.Name, "request_id", ev.request.ID, "tries", ev.tries, "wait", wait, "err", err)
	time.AfterFunc(wait, func() { q.ready <- ev }) // which has room for all events that there may be
}

// discard runs the function for what it does.
func (f *Function) discard(ctx context.Context, r Request) error {
	res, err := f.Invoke(ctx, r)
	if err == nil && res.Failure != nil && !errors.Is(ctx.Err(), context.Canceled) {
		return res.Failure
	}
	return err
}
