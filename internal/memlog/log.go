package memlog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// batch is the most events that one Read returns. It is small, so that readers
// in tests have to come back for more, as they have to with a real engine.
const batch = 256

// A stream is the events of one session.
type stream struct {
	events  []runnel.Event // append only: readers share its memory
	expired runnel.Seq     // the last event that retention has dropped
	changed chan struct{}  // closed and replaced by wake
}

func (s *stream) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// after returns the index of the first event after seq.
func (s *stream) after(seq runnel.Seq) int {
	i, found := slices.BinarySearchFunc(s.events, seq, func(ev runnel.Event, seq runnel.Seq) int {
		return int(int64(ev.Cursor.Seq) - int64(seq))
	})
	if found {
		i++
	}
	return i
}

// truncate forgets the events after last and moves the others to a new epoch.
func (s *stream) truncate(last runnel.Seq, epoch string) {
	s.events = slices.Clone(s.events[:s.after(last)]) // readers hold the old ones
	for i := range s.events {
		s.events[i].Cursor.Epoch = epoch
	}
	s.expired = min(s.expired, last)
}

func (s *stream) expire(upTo runnel.Seq) {
	if n := s.after(upTo); n > 0 {
		s.expired = s.events[n-1].Cursor.Seq
		s.events = s.events[n:]
	}
}

func (e *Engine) stream(id runnel.SessionID) *stream {
	s := e.streams[id]
	if s == nil {
		s = &stream{changed: make(chan struct{})}
		e.streams[id] = s
	}
	return s
}

// Append implements [runnel.Log].
func (e *Engine) Append(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	if err := e.lock(ctx); err != nil {
		return runnel.Cursor{}, err
	}
	defer e.mu.Unlock()
	return e.append(ev)
}

// append stores a copy of ev, made by encoding it and reading it back.
func (e *Engine) append(ev runnel.Event) (runnel.Cursor, error) {
	body, err := wire.Append(nil, &ev)
	stored := runnel.Event{Session: ev.Session, Time: time.Now()}
	if err == nil {
		err = wire.Decode(body, &stored)
	}
	if err != nil {
		return runnel.Cursor{}, fmt.Errorf("memlog: append: %w", runnel.Errorf(runnel.Invalid, "the event cannot be encoded").Because(err))
	}
	e.last++
	stored.Cursor = runnel.Cursor{Epoch: e.epoch().id, Seq: e.last}
	s := e.stream(ev.Session)
	s.events = append(s.events, stored)
	s.wake()
	return stored.Cursor, nil
}

// Read implements [runnel.Log].
func (e *Engine) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	for {
		if err := e.lock(ctx); err != nil {
			return nil, err
		}
		events, changed, err := e.read(id, after)
		e.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("memlog: read %q after %s: %w", id, after, err)
		}
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("memlog: read: %w", ctx.Err())
		}
	}
}

// read returns what there is after the given position now, and a channel that
// is closed when that may have changed.
func (e *Engine) read(id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, <-chan struct{}, error) {
	s := e.stream(id)
	if !after.IsZero() {
		if err := e.check(after); err != nil {
			return nil, nil, err
		}
		if after.Seq < s.expired {
			return nil, nil, runnel.Errorf(runnel.Gone, "the position is older than the log still keeps")
		}
	}
	i := s.after(after.Seq)
	end := min(i+batch, len(s.events))
	return s.events[i:end:end], s.changed, nil
}

// check returns a [*runnel.ResetError] if the log has not given out the cursor,
// or has taken it back. Each start may have lost some; the worst of those since
// the cursor's epoch decides.
func (e *Engine) check(after runnel.Cursor) error {
	i := slices.IndexFunc(e.epochs, func(ep epoch) bool { return ep.id == after.Epoch })
	if i < 0 || i == len(e.epochs)-1 && after.Seq > e.last {
		return &runnel.ResetError{}
	}
	intact := after.Seq
	for _, later := range e.epochs[i+1:] {
		intact = min(intact, later.recovered)
	}
	if intact < after.Seq {
		return &runnel.ResetError{Intact: runnel.Cursor{Epoch: e.epoch().id, Seq: intact}}
	}
	return nil
}

// Empty implements [runnel.Log].
func (e *Engine) Empty(ctx context.Context, id runnel.SessionID) (bool, error) {
	if err := e.lock(ctx); err != nil {
		return false, err
	}
	defer e.mu.Unlock()
	s := e.streams[id]
	return s == nil || len(s.events) == 0, nil
}

// End implements [runnel.Log].
func (e *Engine) End(ctx context.Context, id runnel.SessionID) (runnel.Cursor, error) {
	if err := e.lock(ctx); err != nil {
		return runnel.Cursor{}, err
	}
	defer e.mu.Unlock()
	now := e.epoch()
	end := runnel.Cursor{Epoch: now.id, Seq: now.recovered}
	if s := e.streams[id]; s != nil && len(s.events) > 0 {
		end.Seq = s.events[len(s.events)-1].Cursor.Seq
	}
	return end, nil
}
