package session

import (
	"context"
	"time"

	"github.com/runnelhq/runnel"
)

// A lease may run out although its holder works on: when a cluster elects a new
// leader, or the network drops a second of renewals. To begin such an answer again
// would cost its reader the text and its owner the tokens. So whoever is given a
// prompt that another node runs asks that node first, and if it says so leaves
// the prompt alone: it comes round until its holder is the one that is given it.

// holderTimeout is what the node that runs a generation may take to say so.
const holderTimeout = 500 * time.Millisecond

// stillHeld is the answer of a node that runs the generation it was asked about.
const stillHeld = "held"

// workerName is under which name a node is asked about its generations.
func workerName(node string) string { return "worker " + node }

// tellHeld tells other nodes, until ctx is done, whether this one runs a generation.
func (s *Service) tellHeld(ctx context.Context) error {
	return s.engine.Answer(ctx, workerName(s.cfg.Node), nil, func(_ context.Context, gen []byte) []byte {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active[runnel.GenerationID(gen)] == nil {
			return nil
		}
		return []byte(stillHeld)
	})
}

// heldElsewhere reports whether another node says that it runs the generation.
// One that does not answer is taken for dead: what it may still want to write is
// fenced.
func (g *generation) heldElsewhere(ctx context.Context) bool {
	if g.run.State != runnel.Running || g.run.Owner == g.s.cfg.Node {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	answer, err := g.s.engine.Ask(ctx, workerName(g.run.Owner), []byte(g.prompt.Generation))
	return err == nil && string(answer) == stillHeld
}
