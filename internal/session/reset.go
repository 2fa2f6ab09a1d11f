package session

import (
	"context"
	"slices"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// A fold is what the log says of one generation, for a reset.
type fold struct {
	queued, started, terminal *runnel.Event
	attempt                   int
	text, reasoning           []byte
	tools                     []runnel.Event
	sealed                    bool // there was reasoning, which nobody may read
	whole                     bool // these are known from their beginning
	attempts                  []runnel.Attempt
}

// apply adds an event. What an attempt has said stands until the reset of the
// next one, which a crash may have taken back, says otherwise.
func (f *fold) apply(ev *runnel.Event) {
	f.attempt = max(f.attempt, ev.Attempt)
	switch ev.Type {
	case runnel.EventQueued:
		f.queued = ev
	case runnel.EventStarted:
		f.started = ev
		f.note(ev.Attempt).Model = ev.Model
		f.whole = f.whole || len(f.text)+len(f.reasoning)+len(f.tools) == 0
	case runnel.EventDelta:
		f.text = append(f.text, ev.Text...)
	case runnel.EventReasoning:
		f.reasoning = append(f.reasoning, ev.Text...)
		f.sealed = f.sealed || ev.Seal != nil
	case runnel.EventReset:
		f.text = append(f.text[:0], ev.Text...)
		f.reasoning = append(f.reasoning[:0], ev.Reasoning...)
		f.tools, f.sealed, f.whole = nil, false, true
		f.note(ev.Attempt).Continued = ev.Text != ""
	case runnel.EventTool:
		f.tools = append(f.tools, *ev)
	case runnel.EventDone, runnel.EventFailed, runnel.EventCancelled:
		f.terminal = ev
	case runnel.EventProgress: // of the moment; not repeated
	}
}

// note returns where it is kept what is known of an attempt, which is the last
// one so far.
func (f *fold) note(attempt int) *runnel.Attempt {
	if n := len(f.attempts); n == 0 || f.attempts[n-1].Attempt != attempt {
		f.attempts = append(f.attempts, runnel.Attempt{Attempt: attempt})
	}
	return &f.attempts[len(f.attempts)-1]
}

// reset builds what a reader needs whose view is void after intact: one reset
// for each generation that had not ended there, with the truth of now. A
// reader that agrees on nothing is first told so by a reset that names no
// generation. Only the last event carries a cursor.
func (s *Service) reset(ctx context.Context, id runnel.SessionID, intact runnel.Cursor) ([]runnel.Event, error) {
	end, err := s.engine.End(ctx, id)
	if err != nil {
		return nil, err
	}
	order, folds, err := s.foldLog(ctx, id, runnel.Cursor{}, end)
	if err != nil {
		return nil, err
	}
	// Prompts that wait to be run again: the crash may have taken back all
	// that the log said of them, but not what the reader has seen.
	prompts, err := s.engine.Waiting(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, p := range prompts {
		if folds[p.Generation] == nil {
			order = append(order, p.Generation)
			folds[p.Generation] = &fold{}
		}
	}

	var out []runnel.Event
	if intact.IsZero() {
		out = append(out, runnel.Event{Type: runnel.EventReset})
	}
	for _, gen := range order {
		f := folds[gen]
		if f.terminal != nil && !intact.IsZero() && f.terminal.Cursor.Seq <= intact.Seq {
			continue // ended where the reader and the log agree
		}
		out = appendFold(out, gen, f)
	}
	if len(out) == 0 {
		return s.engine.Read(ctx, id, end)
	}
	for i := range out {
		ev := &out[i]
		ev.Session, ev.Cursor = id, runnel.Cursor{}
		if ev.Body == nil {
			if ev.Body, err = wire.Append(nil, ev); err != nil {
				return nil, err
			}
		}
	}
	out[len(out)-1].Cursor = end
	return out, nil
}

func appendFold(out []runnel.Event, gen runnel.GenerationID, f *fold) []runnel.Event {
	for _, ev := range []*runnel.Event{f.queued, f.started} {
		if ev != nil {
			out = append(out, *ev)
		}
	}
	out = append(out, runnel.Event{
		Type: runnel.EventReset, Generation: gen, Attempt: f.attempt,
		Text: string(f.text), Reasoning: string(f.reasoning),
	})
	out = append(out, f.tools...)
	if f.terminal != nil {
		out = append(out, *f.terminal)
	}
	return out
}

// foldLog reads a session's log from just after one position up to another.
// It returns the generations in the order in which they appear.
func (s *Service) foldLog(ctx context.Context, id runnel.SessionID, after, end runnel.Cursor) ([]runnel.GenerationID, map[runnel.GenerationID]*fold, error) {
	var order []runnel.GenerationID
	folds := make(map[runnel.GenerationID]*fold)
	// A crash may have taken all that the session had: then there is nothing
	// up to end, and reading would wait for what may never come.
	if empty, err := s.engine.Empty(ctx, id); err != nil || empty {
		return nil, folds, err
	}
	for after.Seq < end.Seq {
		events, err := s.engine.Read(ctx, id, after)
		if err != nil {
			return nil, nil, err
		}
		for i := range events {
			ev := &events[i]
			if ev.Cursor.Seq > end.Seq {
				return order, folds, nil
			}
			f := folds[ev.Generation]
			if f == nil {
				f = &fold{}
				folds[ev.Generation] = f
				order = append(order, ev.Generation)
			}
			f.apply(ev)
		}
		after = events[len(events)-1].Cursor
	}
	return slices.Clip(order), folds, nil
}
