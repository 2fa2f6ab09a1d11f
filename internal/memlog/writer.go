package memlog

import (
	"context"
	"fmt"

	"github.com/runnelhq/runnel"
)

// Writer implements [runnel.Log].
func (e *Engine) Writer(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Writer, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	return &writer{engine: e, session: id, generation: gen, epoch: e.epoch().id, checked: e.last}, nil
}

type writer struct {
	engine     *Engine
	session    runnel.SessionID
	generation runnel.GenerationID
	epoch      string
	checked    runnel.Seq // nothing up to here fences the writer
}

// Append implements [runnel.Writer].
func (w *writer) Append(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	e := w.engine
	if err := e.lock(ctx); err != nil {
		return runnel.Cursor{}, err
	}
	defer e.mu.Unlock()
	if w.epoch != e.epoch().id {
		return runnel.Cursor{}, fmt.Errorf("memlog: append: %w", runnel.Errorf(runnel.Unavailable, "the log has been restarted"))
	}
	s := e.stream(w.session)
	for _, other := range s.events[s.after(w.checked):] {
		if other.Generation == w.generation && (other.Attempt > ev.Attempt || other.Type.Terminal()) {
			return runnel.Cursor{}, fmt.Errorf("memlog: append: %w", runnel.ErrFenced)
		}
	}
	w.checked = e.last
	return e.append(ev)
}
