package memlog

import (
	"context"
	"fmt"
	"slices"
)

// A message is one that all listeners get.
type message struct {
	topic string
	data  []byte
}

// Broadcast implements [runnel.Bus].
func (e *Engine) Broadcast(topic string, data []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.listeners {
		select {
		case c <- message{topic, slices.Clone(data)}:
		default: // it is far behind
		}
	}
	return nil
}

// Listen implements [runnel.Bus].
func (e *Engine) Listen(ctx context.Context, ready func(), f func(topic string, data []byte)) error {
	c := make(chan message, 64<<10) // more than a test broadcasts at once
	if err := e.lock(ctx); err != nil {
		return err
	}
	e.listeners[c] = struct{}{}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.listeners, c)
	}()
	if ready != nil {
		ready()
	}
	for {
		select {
		case m := <-c:
			f(m.topic, m.data)
		case <-ctx.Done():
			return fmt.Errorf("memlog: listen: %w", ctx.Err())
		}
	}
}
