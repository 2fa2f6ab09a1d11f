package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnelhq/runnel"
)

// recoverWindow is how far back before the last committed turn a crash may
// have taken terminal events from the log. Unsynced writes are milliseconds
// old when a process dies, and seconds when the power does.
const recoverWindow = 5 * time.Minute

// Recover makes the log agree with the turns that were committed before the
// last stop: the token log may have lost its end in a crash that the fsynced
// turns and acknowledged prompts survived. Call it once, before Run and before
// readers are served. It may run while other nodes work.
func (s *Service) Recover(ctx context.Context) error {
	restored := 0
	err := s.engine.Ended(ctx, recoverWindow, func(run runnel.Run) error {
		did, err := s.restore(ctx, &run)
		if did {
			restored++
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("session: recover: %w", err)
	}
	if restored > 0 {
		s.log.InfoContext(ctx, "put back the end of generations that a crash had taken from the log", "restored", restored)
	}
	return nil
}

// restore appends what the log lacks of a generation that has its turn: the
// text, if it differs, and the terminal event. It reports whether it did.
func (s *Service) restore(ctx context.Context, run *runnel.Run) (bool, error) {
	// Before the log is read, so that nobody else can end it in between.
	w, err := s.engine.Writer(ctx, run.Session, run.Generation)
	if err != nil {
		return false, err
	}
	f, err := s.foldGeneration(ctx, run)
	if err != nil || f.terminal != nil {
		return false, err
	}
	t := run.Turn
	var missing []runnel.Event
	if string(f.text) != t.Text || string(f.reasoning) != t.Reasoning {
		missing = append(missing, runnel.Event{Type: runnel.EventReset, Text: t.Text, Reasoning: t.Reasoning})
		for i, c := range t.Tools {
			missing = append(missing, runnel.Event{
				Type: runnel.EventTool,
				Tool: &runnel.ToolDelta{Index: i, ID: c.ID, Name: c.Name, Input: string(c.Input)},
			})
		}
	}
	missing = append(missing, terminal(t))
	for _, ev := range missing {
		ev.Session, ev.Generation, ev.Attempt = run.Session, run.Generation, run.Attempt
		if _, err := w.Append(ctx, ev); err != nil {
			if errors.Is(err, runnel.ErrFenced) {
				return false, nil
			}
			return false, err
		}
		s.metrics.Appended()
	}
	return true, nil
}

// foldGeneration reads what the log says of one generation.
func (s *Service) foldGeneration(ctx context.Context, run *runnel.Run) (*fold, error) {
	end, err := s.engine.End(ctx, run.Session)
	if err != nil {
		return nil, err
	}
	return s.foldUntil(ctx, run, end)
}

// foldUntil reads what the log says of one generation up to a position.
func (s *Service) foldUntil(ctx context.Context, run *runnel.Run, end runnel.Cursor) (*fold, error) {
	_, folds, err := s.foldLog(ctx, run.Session, run.Cursor, end)
	if err != nil {
		// The position may be void or expired: look at all there is.
		_, void := errors.AsType[*runnel.ResetError](err)
		if !void && runnel.KindOf(err) != runnel.Gone {
			return nil, err
		}
		if _, folds, err = s.foldLog(ctx, run.Session, runnel.Cursor{}, end); err != nil {
			return nil, err
		}
	}
	if f := folds[run.Generation]; f != nil {
		return f, nil
	}
	return &fold{}, nil
}
