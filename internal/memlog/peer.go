package memlog

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

// A peer is a node that can be asked. Its mailbox is nobody's but its own.
type peer struct {
	requests chan request
	ended    chan struct{} // closed when it answers no more
}

type request struct {
	body   []byte
	answer chan<- []byte // has room for one
}

// Answer implements [runnel.Peers].
func (e *Engine) Answer(ctx context.Context, node string, ready func(), f func(context.Context, []byte) []byte) error {
	p := peer{requests: make(chan request), ended: make(chan struct{})}
	if err := e.lock(ctx); err != nil {
		return err
	}
	e.peers[node] = p
	e.mu.Unlock()
	var calls errgroup.Group
	calls.SetLimit(runnel.MaxAnswers)
	defer calls.Wait() //nolint:errcheck // they return none
	defer func() {
		close(p.ended)
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.peers, node)
	}()
	if ready != nil {
		ready()
	}
	for {
		select {
		case r := <-p.requests:
			calls.Go(func() error {
				r.answer <- f(ctx, r.body)
				return nil
			})
		case <-ctx.Done():
			return fmt.Errorf("memlog: answer: %w", ctx.Err())
		}
	}
}

// Ask implements [runnel.Peers].
func (e *Engine) Ask(ctx context.Context, node string, body []byte) ([]byte, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	p, ok := e.peers[node]
	e.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("memlog: ask: %w", runnel.Errorf(runnel.Gone, "there is no such node"))
	}
	answer := make(chan []byte, 1)
	select {
	case p.requests <- request{slices.Clone(body), answer}:
	case <-p.ended:
		return nil, fmt.Errorf("memlog: ask: %w", runnel.Errorf(runnel.Gone, "there is no such node"))
	case <-ctx.Done():
		return nil, fmt.Errorf("memlog: ask: %w", ctx.Err())
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("memlog: ask: %w", ctx.Err())
	}
}

// Connected implements [runnel.Connections].
func (e *Engine) Connected(ctx context.Context, c runnel.Connection) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.forget(c)
	e.connections[c.Session] = append(e.connections[c.Session], c)
	slices.SortStableFunc(e.connections[c.Session], func(a, b runnel.Connection) int { return a.Opened.Compare(b.Opened) })
	return nil
}

// Disconnected implements [runnel.Connections].
func (e *Engine) Disconnected(ctx context.Context, c runnel.Connection) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.forget(c)
	return nil
}

func (e *Engine) forget(c runnel.Connection) {
	e.connections[c.Session] = slices.DeleteFunc(e.connections[c.Session], func(o runnel.Connection) bool { return o.ID == c.ID })
}

// Connections implements [runnel.Connections].
func (e *Engine) Connections(ctx context.Context, id runnel.SessionID) (living []runnel.Connection, err error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	for _, c := range e.connections[id] {
		if _, ok := e.peers[c.Node]; ok {
			living = append(living, c)
		}
	}
	return living, nil
}
