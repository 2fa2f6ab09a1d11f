package session

import (
	"context"
	"errors"
	"slices"

	"github.com/runnelhq/runnel"
)

// Read implements [runnel.Sessions].
func (s *Service) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	may, err := s.access(ctx, runnel.Read, id)
	if err != nil {
		return nil, err
	}
	if may == unowned {
		events, err := s.read(ctx, id, after)
		if err != nil || tellsNothing(events) {
			return events, err
		}
		if may, err = s.claim(ctx, id); err != nil {
			return nil, err
		}
		if may == full {
			return events, nil
		}
	}
	if may == hidden {
		events, err := s.read(ctx, nobodys, after)
		for i := range events { // a reset, which nobody else has
			events[i].Session = id
		}
		return events, err
	}
	return s.read(ctx, id, after)
}

// read returns events of a session whoever asks.
func (s *Service) read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	events, err := s.engine.Read(ctx, id, after)
	if err != nil {
		if void, ok := errors.AsType[*runnel.ResetError](err); ok {
			return s.reset(ctx, id, void.Intact)
		}
	}
	return events, err
}

// tellsNothing reports whether events are what a void cursor is answered with
// in any session, also in one that nobody has used.
func tellsNothing(events []runnel.Event) bool {
	return len(events) == 1 && events[0].Type == runnel.EventReset && events[0].Generation == ""
}

// End implements [runnel.Sessions].
func (s *Service) End(ctx context.Context, id runnel.SessionID) (runnel.Cursor, error) {
	may, err := s.access(ctx, runnel.Read, id)
	if err != nil {
		return runnel.Cursor{}, err
	}
	if may == hidden {
		id = nobodys
	}
	return s.engine.End(ctx, id)
}

// Generation implements [runnel.Sessions].
func (s *Service) Generation(ctx context.Context, gen runnel.GenerationID) (runnel.Generation, error) {
	id, err := s.find(ctx, runnel.Read, gen)
	if err != nil {
		return runnel.Generation{}, err
	}
	return s.lookup(ctx, id, gen)
}

// Transcript implements [runnel.Sessions].
func (s *Service) Transcript(ctx context.Context, id runnel.SessionID) (runnel.Transcript, error) {
	return s.shown(ctx, id, s.transcript)
}

// Active implements [runnel.Sessions].
func (s *Service) Active(ctx context.Context, id runnel.SessionID) (runnel.Transcript, error) {
	return s.shown(ctx, id, s.unended)
}

// shown returns as much of what look finds as the caller may see.
func (s *Service) shown(ctx context.Context, id runnel.SessionID, look func(context.Context, runnel.SessionID) (runnel.Transcript, error)) (runnel.Transcript, error) {
	if err := id.Validate(); err != nil {
		return runnel.Transcript{}, err
	}
	may, err := s.access(ctx, runnel.Read, id)
	if err != nil {
		return runnel.Transcript{}, err
	}
	if may == unowned {
		t, err := look(ctx, id)
		if err != nil || len(t.Turns)+len(t.Active) == 0 {
			return t, err
		}
		if may, err = s.claim(ctx, id); err != nil {
			return runnel.Transcript{}, err
		}
		if may == full {
			return t, nil
		}
	}
	if may == hidden {
		t, err := look(ctx, nobodys)
		t.Session = id
		return t, err
	}
	return look(ctx, id)
}

// transcript returns what a session has said so far, whoever asks.
func (s *Service) transcript(ctx context.Context, id runnel.SessionID) (runnel.Transcript, error) {
	// The order matters: what ends between these calls is seen twice, as a
	// turn and as events after the cursor, rather than not at all.
	t, err := s.unended(ctx, id)
	if err != nil {
		return t, err
	}
	if t.Turns, err = s.engine.Turns(ctx, id, 0); err != nil {
		return t, err
	}
	ended := make(map[runnel.GenerationID]bool, len(t.Turns))
	for i := range t.Turns {
		ended[t.Turns[i].Generation] = true
	}
	t.Active = slices.DeleteFunc(t.Active, func(g runnel.Generation) bool { return ended[g.ID] })
	if t.Turns == nil {
		t.Turns = []runnel.Turn{}
	}
	return t, nil
}

// unended returns the end of a session's log and what is still to end there.
func (s *Service) unended(ctx context.Context, id runnel.SessionID) (runnel.Transcript, error) {
	t := runnel.Transcript{Session: id, Turns: []runnel.Turn{}, Active: []runnel.Generation{}}
	var err error
	if t.Cursor, err = s.engine.End(ctx, id); err != nil {
		return t, err
	}
	waiting, err := s.engine.Waiting(ctx, id)
	if err != nil {
		return t, err
	}
	for _, p := range waiting {
		g, err := s.lookup(ctx, id, p.Generation)
		switch {
		case runnel.KindOf(err) == runnel.NotFound: // it has ended
			continue
		case err != nil:
			return t, err
		case !g.State.Ended():
			t.Active = append(t.Active, g)
		}
	}
	return t, nil
}

// lookup returns how a generation stands: by its run record, or, before its
// first attempt, by the queue.
func (s *Service) lookup(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Generation, error) {
	run, err := s.run(ctx, id, gen)
	if err != nil {
		return runnel.Generation{}, err
	}
	return view(run), nil
}

// run returns the record of a generation, or, if nobody has claimed it yet, a
// new one made from its queued prompt.
func (s *Service) run(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Run, error) {
	run, err := s.engine.Run(ctx, id, gen)
	if runnel.KindOf(err) != runnel.NotFound {
		return run, err
	}
	p, err := s.engine.Find(ctx, id, gen)
	if err == nil {
		return newRun(&p), nil
	}
	if runnel.KindOf(err) == runnel.NotFound {
		// It may have been claimed, and even have ended, in between.
		return s.engine.Run(ctx, id, gen)
	}
	return runnel.Run{}, err
}

func newRun(p *runnel.Prompt) runnel.Run {
	return runnel.Run{
		Session: p.Session, Generation: p.Generation, State: runnel.Queued,
		Accepted: p.AcceptedAt, Cursor: p.Cursor,
	}
}

func view(r runnel.Run) runnel.Generation {
	g := runnel.Generation{
		ID: r.Generation, Session: r.Session, State: r.State, Attempt: r.Attempt, Model: r.Model,
		AcceptedAt: r.Accepted, StartedAt: r.Started, Cursor: r.Cursor,
		Cancelling: r.Cancel && !r.State.Ended(),
	}
	if t := r.Turn; t != nil {
		g.Model, g.EndedAt, g.StopReason, g.Usage, g.Failure = t.Model, t.EndedAt, t.StopReason, t.Usage, t.Failure
	}
	return g
}
