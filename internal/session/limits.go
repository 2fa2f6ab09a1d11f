package session

import (
	"context"
	"log/slog"

	"github.com/runnelhq/runnel"
)

// Limits hold callers to what they may use; package limit has them.
type Limits interface {
	// Limited reports whether p's prompts are limited at all. If not, Admit is
	// not called.
	Limited(p *runnel.Principal) bool
	// Admit admits a prompt of p with so many bytes of text. It asks active how
	// many prompts of p's account are in the queue, and sets prompt.Reserved. The
	// caller stores the prompt and calls done; with false if it is certainly not
	// stored, or was before.
	Admit(
		ctx context.Context, p *runnel.Principal, prompt *runnel.Prompt, size int, active func(context.Context) (int, error),
	) (done func(stored bool), err error)
	// Settle says how the generation of a prompt that was counted has ended. It
	// may be told again.
	Settle(ctx context.Context, account string, r *runnel.Reservation, t *runnel.Turn) error
}

type noLimits struct{}

func (noLimits) Limited(*runnel.Principal) bool { return false }

func (noLimits) Admit(context.Context, *runnel.Principal, *runnel.Prompt, int, func(context.Context) (int, error)) (func(bool), error) {
	return func(bool) {}, nil
}

func (noLimits) Settle(context.Context, string, *runnel.Reservation, *runnel.Turn) error { return nil }

// account settles what the generation was counted as. It comes after the turn
// and before the prompt leaves the queue: after a crash in between whoever finds
// the prompt with its turn settles again, which counts once.
func (g *generation) account(ctx context.Context, log *slog.Logger) {
	if g.prompt.Reserved == nil || g.run.Turn == nil {
		return
	}
	if err := g.s.limits.Settle(ctx, g.prompt.Account, g.prompt.Reserved, g.run.Turn); err != nil {
		log.WarnContext(ctx, "cannot settle the usage of a generation; its estimate stays", "err", err)
	}
}
