package memlog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
)

// maxWaiting is the most prompts that Waiting returns.
const maxWaiting = 1000

// An entry is a prompt in the queue.
type entry struct {
	number     uint64 // rises in the order of acceptance
	session    runnel.SessionID
	generation runnel.GenerationID
	account    string
	prompt     []byte    // JSON
	lease      uint64    // the lease that holds it
	until      time.Time // when that lease is void
}

func (p *entry) decode() (runnel.Prompt, error) {
	var prompt runnel.Prompt
	if err := json.Unmarshal(p.prompt, &prompt); err != nil {
		return runnel.Prompt{}, fmt.Errorf("memlog: decode prompt: %w", err)
	}
	return prompt, nil
}

func (e *Engine) wakeQueue() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// Enqueue implements [runnel.Queue].
func (e *Engine) Enqueue(ctx context.Context, p runnel.Prompt, exclusive bool) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("memlog: enqueue: %w", runnel.Errorf(runnel.Invalid, "the prompt cannot be encoded").Because(err))
	}
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if e.enqueued[p.Generation] {
		return nil
	}
	if exclusive && slices.ContainsFunc(e.prompts, func(q *entry) bool { return q.session == p.Session }) {
		return fmt.Errorf("memlog: enqueue: %w", runnel.Errorf(runnel.Conflict, "the session has a prompt already"))
	}
	e.entries++
	e.enqueued[p.Generation] = true
	e.prompts = append(e.prompts, &entry{number: e.entries, session: p.Session, generation: p.Generation, account: p.Account, prompt: data})
	e.wakeQueue()
	return nil
}

// LeaseTime implements [runnel.Queue].
func (e *Engine) LeaseTime() time.Duration { return e.Lease }

// Dequeue implements [runnel.Queue].
func (e *Engine) Dequeue(ctx context.Context) (runnel.Lease, error) {
	for {
		if err := e.lock(ctx); err != nil {
			return nil, err
		}
		l, err := e.lease()
		changed, next := e.changed, e.nextExpiry()
		e.mu.Unlock()
		if l != nil || err != nil {
			return l, err
		}
		if err := wait(ctx, changed, next); err != nil {
			return nil, fmt.Errorf("memlog: dequeue: %w", err)
		}
	}
}

// lease leases the oldest prompt that no one holds; it returns nil if there is none.
func (e *Engine) lease() (runnel.Lease, error) {
	now := time.Now()
	for _, p := range e.prompts {
		if now.Before(p.until) {
			continue
		}
		prompt, err := p.decode()
		if err != nil {
			return nil, err
		}
		e.leases++
		p.lease, p.until = e.leases, now.Add(e.Lease)
		return &lease{engine: e, entry: p, number: p.lease, prompt: prompt}, nil
	}
	return nil, nil
}

// nextExpiry returns when the first lease will be void; zero if there is none.
func (e *Engine) nextExpiry() time.Time {
	var next time.Time
	for _, p := range e.prompts {
		if next.IsZero() || p.until.Before(next) {
			next = p.until
		}
	}
	return next
}

// wait returns nil when changed is closed or the given time has come. A zero
// time never comes.
func wait(ctx context.Context, changed <-chan struct{}, until time.Time) error {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-changed:
	case <-timeout:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Waiting implements [runnel.Queue].
func (e *Engine) Waiting(ctx context.Context, id runnel.SessionID) ([]runnel.Prompt, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	var prompts []runnel.Prompt
	for _, p := range e.prompts {
		if p.session != id {
			continue
		}
		prompt, err := p.decode()
		if err != nil {
			return nil, err
		}
		if prompts = append(prompts, prompt); len(prompts) == maxWaiting {
			break
		}
	}
	return prompts, nil
}

// Find implements [runnel.Queue].
func (e *Engine) Find(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Prompt, error) {
	if err := e.lock(ctx); err != nil {
		return runnel.Prompt{}, err
	}
	defer e.mu.Unlock()
	for _, p := range e.prompts {
		if p.session == id && p.generation == gen {
			return p.decode()
		}
	}
	return runnel.Prompt{}, fmt.Errorf("memlog: find: %w", runnel.Errorf(runnel.NotFound, "no such prompt in the queue"))
}

// Depth implements [runnel.Queue].
func (e *Engine) Depth(ctx context.Context) (int, error) {
	if err := e.lock(ctx); err != nil {
		return 0, err
	}
	defer e.mu.Unlock()
	return len(e.prompts), nil
}

// Active implements [runnel.Queue].
func (e *Engine) Active(ctx context.Context, account string) (int, error) {
	if err := e.lock(ctx); err != nil {
		return 0, err
	}
	defer e.mu.Unlock()
	n := 0
	for _, p := range e.prompts {
		if p.account == account {
			n++
		}
	}
	return n, nil
}
