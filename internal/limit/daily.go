package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
)

const (
	// undoTimeout bounds taking back what was counted for a refused prompt.
	undoTimeout = 2 * time.Second

	dayFormat = "2006-01-02"
	day       = 24 * time.Hour
)

// reserve counts a prompt of p, and sets aside the tokens that it is thought to
// cost. It returns nil if there is nothing to count.
func (l *Limiter) reserve(ctx context.Context, p *runnel.Principal, limits Limits, tokens int64) (*runnel.Reservation, error) {
	if limits.Prompts == 0 && limits.Tokens == 0 {
		return nil, nil
	}
	now := l.now().UTC()
	who := accountOf(p)
	r := &runnel.Reservation{ID: ulid.Make().String(), Day: now.Format(dayFormat)}
	untilMidnight := now.Truncate(day).Add(day).Sub(now)
	if err := l.usedUp(ctx, p, r.Day, limits, tokens, untilMidnight); err != nil {
		return nil, err
	}
	if limits.Prompts > 0 {
		total, err := l.count(ctx, who, Prompts, r, "", 1)
		if err != nil {
			return nil, err
		}
		if r.Prompts = 1; total > limits.Prompts {
			return nil, l.refuseDay(ctx, p, r, Quota{Policy: Prompts, Limit: limits.Prompts}, untilMidnight)
		}
	}
	if limits.Tokens > 0 {
		total, err := l.count(ctx, who, Tokens, r, "", tokens)
		if err != nil {
			return nil, errors.Join(err, l.undo(ctx, who, r))
		}
		r.Metered, r.Tokens = true, tokens
		if left := limits.Tokens - (total - tokens); left < tokens {
			return nil, l.refuseDay(ctx, p, r, Quota{Policy: Tokens, Limit: limits.Tokens, Remaining: max(left, 0)}, untilMidnight)
		}
	}
	return r, nil
}

// refuseDay takes r back and refuses it.
func (l *Limiter) refuseDay(
	ctx context.Context, p *runnel.Principal, r *runnel.Reservation, q Quota, untilMidnight time.Duration,
) error {
	l.mu.Lock()
	l.account(accountOf(p)).usedUp = r.Day
	l.mu.Unlock()
	q.Window, q.Reset = day, untilMidnight
	return l.refuse(p, q, untilMidnight, "too many %s: %d a day are allowed", q.Policy, q.Limit).because(l.undo(ctx, accountOf(p), r))
}

// usedUp looks before it is counted for who was refused on this day already:
// two writes for each of many refusals would be a way to keep the disk busy.
func (l *Limiter) usedUp(
	ctx context.Context, p *runnel.Principal, today string, limits Limits, tokens int64, untilMidnight time.Duration,
) error {
	who := accountOf(p)
	l.mu.Lock()
	refused := l.account(who).usedUp == today
	l.mu.Unlock()
	if !refused {
		return nil
	}
	for _, d := range [...]struct {
		policy      string
		limit, cost int64
	}{{Prompts, limits.Prompts, 1}, {Tokens, limits.Tokens, tokens}} {
		if d.limit == 0 {
			continue
		}
		total, err := l.count(ctx, who, d.policy, &runnel.Reservation{Day: today}, "", 0)
		if err != nil {
			return err
		}
		if left := d.limit - total; left < d.cost {
			q := Quota{Policy: d.policy, Limit: d.limit, Window: day, Remaining: max(left, 0), Reset: untilMidnight}
			return l.refuse(p, q, untilMidnight, "too many %s: %d a day are allowed", q.Policy, q.Limit)
		}
	}
	return nil
}

// Settle replaces the tokens that were set aside for an account by those that
// the generation used, as its turn says. Call it when the turn is durable. It may
// be repeated within the memory of [runnel.Counters]; who never calls it leaves
// the estimate in place.
func (l *Limiter) Settle(ctx context.Context, account string, r *runnel.Reservation, t *runnel.Turn) error {
	used := usedIn(t)
	if !r.Metered || used == r.Tokens {
		return nil
	}
	_, err := l.count(ctx, account, Tokens, r, "/used", used-r.Tokens)
	return err
}

// undo takes back what was counted for a prompt that was not accepted, whoever
// has gone away meanwhile. If that fails the principal has a little less today.
func (l *Limiter) undo(ctx context.Context, account string, r *runnel.Reservation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if r.Prompts != 0 {
		if _, err := l.count(ctx, account, Prompts, r, "/undone", -r.Prompts); err != nil {
			return err
		}
	}
	if !r.Metered {
		return nil
	}
	_, err := l.count(ctx, account, Tokens, r, "/undone", -r.Tokens)
	return err
}

// count adds n to what the account has used on the day of r. What is done with
// a reservation counts once, however often it is tried.
func (l *Limiter) count(ctx context.Context, account, what string, r *runnel.Reservation, done string, n int64) (int64, error) {
	total, err := l.counter.Count(ctx, what+" "+r.Day+" "+account, r.ID+done, n)
	if err != nil {
		return 0, runnel.Errorf(runnel.Unavailable, "usage cannot be counted").Because(fmt.Errorf("limit: count %s: %w", what, err))
	}
	return total, nil
}
