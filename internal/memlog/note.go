package memlog

import (
	"context"
	"slices"
)

// Note implements [runnel.Notes].
func (e *Engine) Note(ctx context.Context, key string, data []byte) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if delete(e.notes, key); len(data) > 0 {
		e.notes[key] = slices.Clone(data)
	}
	return nil
}

// Noted implements [runnel.Notes].
func (e *Engine) Noted(ctx context.Context, key string) ([]byte, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	return slices.Clone(e.notes[key]), nil
}
