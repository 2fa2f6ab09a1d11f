package memlog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
)

type lease struct {
	engine *Engine
	entry  *entry
	number uint64
	prompt runnel.Prompt
}

// Prompt implements [runnel.Lease].
func (l *lease) Prompt() runnel.Prompt { return l.prompt }

// First implements [runnel.Lease].
func (l *lease) First(ctx context.Context) (bool, error) {
	e := l.engine
	if err := e.lock(ctx); err != nil {
		return false, err
	}
	defer e.mu.Unlock()
	return !slices.ContainsFunc(e.prompts, func(p *entry) bool {
		return p.session == l.entry.session && p.number < l.entry.number
	}), nil
}

// Renew implements [runnel.Lease].
func (l *lease) Renew(ctx context.Context) error {
	if err := l.hold(ctx); err != nil {
		return err
	}
	defer l.engine.mu.Unlock()
	l.entry.until = time.Now().Add(l.engine.Lease)
	return nil
}

// Remove implements [runnel.Lease].
func (l *lease) Remove(ctx context.Context) error {
	e := l.engine
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.prompts = slices.DeleteFunc(e.prompts, func(p *entry) bool { return p == l.entry })
	return nil
}

// Release implements [runnel.Lease].
func (l *lease) Release(ctx context.Context) error {
	if err := l.hold(ctx); err != nil {
		return err
	}
	e := l.engine
	defer e.mu.Unlock()
	l.entry.lease, l.entry.until = 0, time.Time{}
	e.wakeQueue()
	return nil
}

// hold takes the engine's mutex if the lease still holds its prompt.
func (l *lease) hold(ctx context.Context) error {
	e := l.engine
	if err := e.lock(ctx); err != nil {
		return err
	}
	if l.entry.lease != l.number || !time.Now().Before(l.entry.until) {
		e.mu.Unlock()
		return fmt.Errorf("memlog: %w", runnel.Errorf(runnel.Conflict, "the lease is void"))
	}
	return nil
}
