package memlog

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

var _ runnel.Engine = (*Engine)(nil)

// An Engine keeps sessions, prompts and runs in memory. Make one with [New].
type Engine struct {
	// Lease is what [Engine.LeaseTime] returns. Set it before the first use.
	Lease time.Duration

	mu sync.Mutex

	// The log. Sequence numbers count the events of all sessions, as they do
	// in natslog, so those of one session have gaps.
	last    runnel.Seq
	epochs  []epoch // oldest first; the last one is current
	streams map[runnel.SessionID]*stream

	// The queue.
	prompts  []*entry                     // oldest first
	enqueued map[runnel.GenerationID]bool // also the removed ones
	entries  uint64                       // how many prompts were ever stored
	leases   uint64                       // how many leases were ever given
	changed  chan struct{}                // closed and replaced when a prompt may have become free

	// The ledger.
	runs      map[runKey]record
	revisions uint64 // how many changes of runs there were
	located   map[runnel.GenerationID]location
	reserved  map[string]string
	owners    map[runnel.SessionID]string
	counts    map[string]*count
	cancels   map[chan runnel.GenerationID]struct{}

	// What is published.
	published  map[runnel.SessionID]*pieces
	pieceCount uint64 // how many there ever were

	// The nodes.
	peers       map[string]peer
	connections map[runnel.SessionID][]runnel.Connection // in the order of opening
	listeners   map[chan message]struct{}
	notes       map[string][]byte
}

// An epoch is the stretch of the log's life between two starts.
type epoch struct {
	id        string
	recovered runnel.Seq // the log's last sequence at its beginning
}

// New returns an empty engine with leases of two seconds.
func New() *Engine {
	return &Engine{
		Lease:    2 * time.Second,
		epochs:   []epoch{{id: newEpochID()}},
		streams:  make(map[runnel.SessionID]*stream),
		enqueued: make(map[runnel.GenerationID]bool),
		changed:  make(chan struct{}),
		runs:     make(map[runKey]record),
		located:  make(map[runnel.GenerationID]location),
		reserved: make(map[string]string),
		owners:   make(map[runnel.SessionID]string),
		counts:   make(map[string]*count),
		cancels:  make(map[chan runnel.GenerationID]struct{}),

		published: make(map[runnel.SessionID]*pieces),

		peers:       make(map[string]peer),
		connections: make(map[runnel.SessionID][]runnel.Connection),
		listeners:   make(map[chan message]struct{}),
		notes:       make(map[string][]byte),
	}
}

func newEpochID() string { return strings.ToLower(rand.Text()[:8]) }

// Crash does what a crash and a restart do to an engine: the last lose events
// of the log, of whatever sessions, are taken back and their numbers will be
// given out again; so is the whereabouts of each generation that was indexed
// after the first of them. A new epoch begins. All leases and writers are void.
// Prompts, runs, reservations, owners and counters survive, because they were
// synced, but that a prompt was removed is forgotten: it may be enqueued once
// more. Calls that are blocked go on with the engine as it is then.
func (e *Engine) Crash(lose int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last -= min(e.last, runnel.Seq(max(lose, 0)))
	e.epochs = append(e.epochs, epoch{id: newEpochID(), recovered: e.last})
	for _, s := range e.streams {
		s.truncate(e.last, e.epoch().id)
		s.wake()
	}
	for gen, l := range e.located {
		if l.at > e.last {
			delete(e.located, gen)
		}
	}
	clear(e.enqueued)
	for _, p := range e.prompts {
		p.lease, p.until = 0, time.Time{}
		e.enqueued[p.generation] = true
	}
	e.wakeQueue()
}

// Expire drops the events up to and including upTo, of all sessions, as
// retention does, and with them the whereabouts of the generations that were
// indexed before the last of them.
func (e *Engine) Expire(upTo runnel.Seq) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.streams {
		s.expire(upTo)
	}
	for gen, l := range e.located {
		if l.at < upTo {
			delete(e.located, gen)
		}
	}
}

// Durability implements [runnel.Engine].
func (e *Engine) Durability() string { return "nothing survives the process" }

// Check implements [runnel.Engine]. Memory is always ready.
func (e *Engine) Check(ctx context.Context) error { return ctx.Err() }

// lock takes the mutex unless ctx is done. A real engine does nothing for a
// caller whose context has ended, so neither does this one: it is how tests
// notice bookkeeping that runs under the context of a cancelled request.
func (e *Engine) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memlog: %w", err)
	}
	e.mu.Lock()
	return nil
}

func (e *Engine) epoch() epoch { return e.epochs[len(e.epochs)-1] }
