package session

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

// liveReads is how many records are read at once for a list of generations.
const liveReads = 16

// Live returns the records of generations that have not ended, of all nodes,
// the oldest first, at most limit. It is for operators: it asks nobody who
// they are. Records of prompts that nobody has begun are made up from their ids.
func (s *Service) Live(ctx context.Context, limit int) ([]runnel.Run, error) {
	pending, err := s.engine.Pending(ctx, limit)
	if err != nil {
		return nil, err
	}
	var reading errgroup.Group
	reading.SetLimit(liveReads)
	for i := range pending {
		reading.Go(func() error {
			p := &pending[i]
			run, err := s.engine.Run(ctx, p.Session, p.Generation)
			switch {
			case err == nil:
				*p = run
			case runnel.KindOf(err) != runnel.NotFound:
				return err
			}
			if p.Accepted.IsZero() {
				p.Accepted = acceptedAt(p.Generation)
			}
			return nil
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	live := pending[:0]
	for _, r := range pending {
		if !r.State.Ended() { // else its prompt is about to leave the queue
			live = append(live, r)
		}
	}
	return live, nil
}

// acceptedAt reads the time in a generation's id; zero if it is not one of ours.
func acceptedAt(gen runnel.GenerationID) time.Time {
	id, err := ulid.ParseStrict(string(gen))
	if err != nil {
		return time.Time{}
	}
	return id.Timestamp().UTC()
}

// Progress returns how many fragments each generation that runs on this node has
// got so far in its present attempt, of at most limit of them.
func (s *Service) Progress(limit int) map[runnel.GenerationID]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	fragments := make(map[runnel.GenerationID]int)
	for gen, g := range s.active {
		if out := g.outlet.Load(); out != nil && len(fragments) < limit {
			fragments[gen] = out.fragments()
		}
	}
	return fragments
}
