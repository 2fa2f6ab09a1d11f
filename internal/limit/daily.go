package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnelhq/runnel"
)

// A Counter keeps numbers that all nodes share and that survive a crash. Its
// methods may be called concurrently.
type Counter interface {
	// Add adds n, which may be negative or zero, to the number called key, and
	// returns the sum of all that was ever added. A number that nobody has
	// added to within its ttl may be forgotten. A key is any UTF-8 text.
	Add(ctx context.Context, key string, n int64, ttl time.Duration) (total int64, err error)
}

const (
	// counterTTL outlives the day, for what is settled late.
	counterTTL = 48 * time.Hour
	// undoTimeout bounds taking back what was counted for a refused prompt.
	undoTimeout = 2 * time.Second

	dayFormat = "2006-01-02"
	day       = 24 * time.Hour
)

// A Reservation is what a prompt was counted as. Whoever ends the generation
// hands it to [Limiter.Settle], perhaps on another node and after a crash:
// store it with the prompt.
type Reservation struct {
	Principal string `json:"principal"`
	Day       string `json:"day"`              // in UTC
	Prompts   int64  `json:"prompts,omitzero"` // 0 if prompts are not counted
	Metered   bool   `json:"metered,omitzero"` // tokens are counted
	Tokens    int64  `json:"tokens,omitzero"`  // how many were set aside
}

// Prompt counts a prompt of p, and sets aside the tokens that it is thought to
// cost. The error is an [*Error] if they are more than p has left today, and of
// kind Unavailable if the counter does not answer; nothing is counted then.
func (l *Limiter) Prompt(ctx context.Context, p *runnel.Principal, tokens int64) (Reservation, error) {
	limits, now := l.config.Load().of(p), l.now().UTC()
	r := Reservation{Principal: p.ID, Day: now.Format(dayFormat)}
	untilMidnight := now.Truncate(day).Add(day).Sub(now)
	if limits.Prompts > 0 {
		total, err := l.count(ctx, r, Prompts, 1)
		if err != nil {
			return Reservation{}, err
		}
		if r.Prompts = 1; total > limits.Prompts {
			q := Quota{Policy: Prompts, Limit: limits.Prompts, Window: day, Reset: untilMidnight}
			refusal := refuse(q, untilMidnight, "too many prompts: %d a day are allowed", limits.Prompts)
			return Reservation{}, refusal.because(l.undo(ctx, r))
		}
	}
	if limits.Tokens > 0 {
		tokens = max(tokens, 0)
		total, err := l.count(ctx, r, Tokens, tokens)
		if err != nil {
			return Reservation{}, errors.Join(err, l.undo(ctx, r))
		}
		r.Metered, r.Tokens = true, tokens
		// Nothing set aside must not mean that the limit holds for nobody.
		if left := limits.Tokens - (total - tokens); left <= 0 || left < tokens {
			q := Quota{Policy: Tokens, Limit: limits.Tokens, Window: day, Remaining: max(left, 0), Reset: untilMidnight}
			refusal := refuse(q, untilMidnight, "too many tokens: %d a day are allowed", limits.Tokens)
			return Reservation{}, refusal.because(l.undo(ctx, r))
		}
	}
	return r, nil
}

// Settle replaces the tokens that were set aside by those that were used. Call
// it once, after the end of the generation is durable: who repeats it counts
// twice, and who never calls it leaves the estimate in place.
func (l *Limiter) Settle(ctx context.Context, r Reservation, used int64) error {
	if !r.Metered || used == r.Tokens {
		return nil
	}
	_, err := l.count(ctx, r, Tokens, used-r.Tokens)
	return err
}

// Cancel takes back what was counted for a prompt that was not accepted.
func (l *Limiter) Cancel(ctx context.Context, r Reservation) error {
	if r.Prompts != 0 {
		if _, err := l.count(ctx, r, Prompts, -r.Prompts); err != nil {
			return err
		}
	}
	return l.Settle(ctx, r, 0)
}

// undo cancels r, whoever has gone away meanwhile. If that fails the principal
// has a little less today, and the log can say why.
func (l *Limiter) undo(ctx context.Context, r Reservation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	return l.Cancel(ctx, r)
}

func (l *Limiter) count(ctx context.Context, r Reservation, what string, n int64) (int64, error) {
	total, err := l.counter.Add(ctx, what+" "+r.Day+" "+r.Principal, n, counterTTL)
	if err != nil {
		return 0, runnel.Errorf(runnel.Unavailable, "usage cannot be counted").Because(fmt.Errorf("limit: count %s: %w", what, err))
	}
	return total, nil
}
