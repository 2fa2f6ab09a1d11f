package session

import (
	"context"
	"errors"

	"github.com/runnelhq/runnel"
)

// Why a generation's work is interrupted; found by [context.Cause].
var (
	errStopped  = errors.New("stopped by request")
	errHandover = errors.New("handed over to another worker")
	errFenced   = errors.New("taken over by another worker")
	errHeld     = errors.New("another worker still runs it")
)

// casRounds bounds the repetitions of a read and compare-and-swap. Writers of
// one record are its worker and whoever asks to stop it, so a few suffice.
const casRounds = 16

// Cancel implements [runnel.Sessions]. The request is stored before anybody is
// told, so it holds also if the worker dies before it hears of it.
func (s *Service) Cancel(ctx context.Context, gen runnel.GenerationID) (runnel.Generation, error) {
	id, err := s.find(ctx, runnel.Cancel, gen)
	if err != nil {
		return runnel.Generation{}, err
	}
	for range casRounds {
		run, err := s.run(ctx, id, gen)
		if err != nil {
			return runnel.Generation{}, err
		}
		if run.State.Ended() {
			return view(run), nil
		}
		if !run.Cancel {
			run.Cancel = true
			if run, err = s.engine.PutRun(ctx, run); err != nil {
				if runnel.KindOf(err) == runnel.Conflict {
					continue
				}
				return runnel.Generation{}, err
			}
		}
		s.stopLocal(gen)
		if err := s.engine.NotifyCancel(gen); err != nil {
			// The worker finds the request when it next renews its lease.
			s.log.WarnContext(ctx, "stop request not announced", "generation_id", gen, "err", err)
		}
		return view(run), nil
	}
	return runnel.Generation{}, runnel.Errorf(runnel.Unavailable, "the generation's record keeps changing")
}

// stopLocal interrupts a generation if it is worked on here.
func (s *Service) stopLocal(gen runnel.GenerationID) {
	s.mu.Lock()
	g := s.active[gen]
	s.mu.Unlock()
	if g != nil {
		g.interrupt(errStopped)
	}
}
