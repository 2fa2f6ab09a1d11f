package runnel

import (
	"context"
	"time"
)

// A Queue holds accepted prompts until their generation has ended. All methods
// may be called concurrently.
type Queue interface {
	// Enqueue stores p durably: when it returns nil, p survives a crash and a
	// power cut. A prompt of the same generation id is stored once, while it is
	// in the queue and, without a restart, for some minutes after. If
	// exclusive is set and the session already has a prompt in the queue, the
	// error is of kind Conflict.
	Enqueue(ctx context.Context, p Prompt, exclusive bool) error

	// Dequeue waits for a prompt that no one holds, oldest first, and leases
	// it to the caller. A lease that is not renewed within [Queue.LeaseTime]
	// is void, and its prompt is given to the next caller.
	Dequeue(ctx context.Context) (Lease, error)

	// LeaseTime is how long a lease lasts after Dequeue and each renewal.
	LeaseTime() time.Duration

	// Waiting returns the prompts of a session that are in the queue, leased
	// or not, oldest first, at most 1,000.
	Waiting(ctx context.Context, id SessionID) ([]Prompt, error)

	// Find returns the queued prompt of one generation, or a NotFound error.
	Find(ctx context.Context, id SessionID, gen GenerationID) (Prompt, error)

	// Depth returns how many prompts the queue holds, leased or not.
	Depth(ctx context.Context) (int, error)

	// Pending returns whose prompts the queue holds, leased or not: the records
	// of queued generations with no more than their Session and Generation, the
	// oldest ids first, at most limit. What it costs grows with the queue.
	Pending(ctx context.Context, limit int) ([]Run, error)

	// Active returns how many prompts of an account the queue holds, leased or
	// not: all those whose Enqueue has returned, and none whose Remove has. The
	// empty account has those that nobody is held to account for.
	Active(ctx context.Context, account string) (int, error)
}

// A Lease is the temporary right to work on a queued prompt. Its methods may be
// called concurrently.
type Lease interface {
	// Prompt returns the leased prompt.
	Prompt() Prompt
	// First reports whether no earlier prompt of the same session is still in
	// the queue.
	First(ctx context.Context) (bool, error)
	// Renew makes the lease last another [Queue.LeaseTime].
	Renew(ctx context.Context) error
	// Remove takes the prompt off the queue for good, whoever holds it by now:
	// call it when what follows from the prompt is stored.
	Remove(ctx context.Context) error
	// Release gives the prompt back, to be leased again at once.
	Release(ctx context.Context) error
}

// A Ledger keeps one durable record per generation, and from it each session's
// history. All methods may be called concurrently.
type Ledger interface {
	// Run returns the record of a generation, or an [Error] of kind NotFound.
	Run(ctx context.Context, id SessionID, gen GenerationID) (Run, error)

	// PutRun stores r durably in place of the revision it carries (zero: there
	// must be none) and returns it with its new revision. If the record has
	// changed meanwhile the error is of kind Conflict and nothing is stored.
	PutRun(ctx context.Context, r Run) (Run, error)

	// Turns returns the records of a session's ended generations in the order
	// in which they ended: all, or, if limit is not 0, those of the limit
	// newest generation ids.
	Turns(ctx context.Context, id SessionID, limit int) ([]Turn, error)

	// Locate returns the session of a generation that was accepted within the
	// log's retention, or an [Error] of kind NotFound. Index makes it known.
	Locate(ctx context.Context, gen GenerationID) (SessionID, error)
	Index(ctx context.Context, id SessionID, gen GenerationID) error

	// Ended calls f for the records of the generations that ended last: within
	// the given time before the last one that did. The order is not defined;
	// an error of f ends it and is returned.
	Ended(ctx context.Context, within time.Duration, f func(Run) error) error

	// Reserve stores value under an idempotency key for a day, unless there is
	// one; it returns what is stored, and whether that was there before. With
	// an empty value it only looks.
	Reserve(ctx context.Context, key, value string) (stored string, existed bool, err error)

	// Own makes owner the owner of a session unless it has one, durably, and
	// returns the session's owner, who stays its owner for good. With an empty
	// owner it only looks; the answer is empty if the session is nobody's.
	Own(ctx context.Context, id SessionID, owner string) (string, error)

	// NotifyCancel tells every node's [Ledger.Cancels] that a stop was asked
	// for. It may be lost; the record is what counts.
	NotifyCancel(gen GenerationID) error
	// Cancels calls f, one call at a time, for each NotifyCancel on any node,
	// until ctx is done. ready, if not nil, is called once none can be missed.
	Cancels(ctx context.Context, ready func(), f func(GenerationID)) error
}

// An Engine is where everything durable lives.
type Engine interface {
	Log
	Queue
	Ledger
	Pieces
	Counters
	Peers
	Connections
	Notes
	Bus

	// Durability says in words, for the operator, what survives what.
	Durability() string
	// Check returns nil while the engine can accept prompts, and why not otherwise.
	Check(ctx context.Context) error
}
