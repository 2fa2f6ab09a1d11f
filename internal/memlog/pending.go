package memlog

import (
	"cmp"
	"context"
	"slices"

	"github.com/runnelhq/runnel"
)

// Pending implements [runnel.Queue].
func (e *Engine) Pending(ctx context.Context, limit int) ([]runnel.Run, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	runs := make([]runnel.Run, 0, len(e.prompts))
	for _, p := range e.prompts {
		runs = append(runs, runnel.Run{Session: p.session, Generation: p.generation, State: runnel.Queued})
	}
	slices.SortFunc(runs, func(a, b runnel.Run) int { return cmp.Compare(a.Generation, b.Generation) })
	return runs[:min(len(runs), limit)], nil
}
