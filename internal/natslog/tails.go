package natslog

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

const (
	// liveBuffer is the live events, of all sessions, that may wait for the
	// dispatcher: half a second of what the server can deliver. What comes when
	// it is full is dropped, and healed from the stream.
	liveBuffer = 1 << 16
	tick       = time.Second
	// lingerTicks is how long a tail stays without a reader: readers come and
	// go between the writes to their clients.
	lingerTicks = 5
	// shrinkTicks is how long a tail is silent before it takes less memory. Slow
	// readers are to find the end of an answer in it.
	shrinkTicks = 8
	// maxQuietTicks bounds how long a lost last message stays unnoticed.
	maxQuietTicks = 60
	repairers     = 8
	// markShare is the part of the retention after which the mark is moved.
	markShare = 8
)

// tails are the tails of all sessions that have readers on this node.
type tails struct {
	engine *Engine
	log    *slog.Logger
	live   chan *nats.Msg // every tail's subscription delivers into it

	behind  atomic.Uint64
	gaps    atomic.Uint64
	dropped atomic.Uint64

	suspicion chan struct{} // buffered: whether to compare everything with the stream
	repairs   repairs

	mu     sync.RWMutex
	all    map[string]*tail // by token
	closed bool
}

func newTails(e *Engine) *tails {
	return &tails{
		engine:    e,
		log:       e.log,
		live:      make(chan *nats.Msg, liveBuffer),
		suspicion: make(chan struct{}, 1),
		repairs:   repairs{wake: make(chan struct{}, repairers)},
		all:       make(map[string]*tail),
	}
}

// start starts the goroutines. They end when ctx is done.
func (ts *tails) start(ctx context.Context, wg *sync.WaitGroup) {
	wg.Go(func() { ts.dispatch(ctx) })
	wg.Go(func() { ts.tend(ctx) })
	for range repairers {
		wg.Go(func() { ts.work(ctx) })
	}
}

// stop ends all tails, and with them the calls of their readers.
func (ts *tails) stop() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
	for _, t := range ts.all {
		t.mu.Lock()
		t.end()
		t.mu.Unlock()
	}
}

// attach returns the session's tail for one reader, who must detach from it.
func (ts *tails) attach(id runnel.SessionID) (*tail, error) {
	tok := token(string(id))
	ts.mu.RLock()
	t := ts.all[tok]
	usable := t != nil && !ts.closed && !t.over()
	if usable {
		t.readers.Add(1)
	}
	ts.mu.RUnlock()
	if usable {
		return t, nil
	}
	return ts.replace(tok, id)
}

// replace makes a tail for a session that has none, or one that has ended.
func (ts *tails) replace(tok string, id runnel.SessionID) (*tail, error) {
	ts.mu.Lock()
	if ts.closed {
		ts.mu.Unlock()
		return nil, errClosed
	}
	old := ts.all[tok]
	if old != nil && !old.over() {
		old.readers.Add(1)
		ts.mu.Unlock()
		return old, nil
	}
	t := &tail{
		tails:   ts,
		session: id,
		subject: logPrefix + tok,
		epoch:   ts.engine.epochs.Load(),
		opening: make(chan struct{}, 1),
		stale:   true,
		next:    1,
	}
	t.readers.Add(1)
	ts.all[tok] = t
	ts.mu.Unlock()
	if old != nil {
		old.unsubscribe()
	}
	return t, nil
}

// over reports whether the tail has ended.
func (t *tail) over() bool {
	v := t.view.Load()
	return v != nil && v.cut
}

// dispatch hands live events to their tails. It does no I/O and waits for
// nobody, so it keeps up.
func (ts *tails) dispatch(ctx context.Context) {
	for {
		select {
		case m := <-ts.live:
			ts.hear(m)
		case <-ctx.Done():
			return
		}
	}
}

// stored hands an event that this process has stored to its tail. Readers of an
// embedded engine get all they get live from here: nobody else stores any.
func (ts *tails) stored(subject string, seq, prev uint64, body []byte) {
	if t := ts.get(subject[len(logPrefix):]); t != nil {
		t.hear(seq, prev, message{time: time.Now(), data: body})
	}
}

// get returns a session's tail; nil if it has no readers here.
func (ts *tails) get(tok string) *tail {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return ts.all[tok]
}

func (ts *tails) hear(m *nats.Msg) {
	t := ts.get(m.Subject[len(livePrefix):])
	if t == nil {
		return // nobody reads this session here
	}
	stored, err := time.Parse(timeFormat, m.Header.Get(headerTime))
	if err != nil {
		ts.log.Warn("live event without a time", "session_id", t.session, "err", err)
		return
	}
	seq := number(m.Header, headerSeq)
	ts.engine.reached(seq)
	// The clone leaves behind the header, which is larger than the body and
	// shares its memory.
	t.hear(seq, number(m.Header, headerLast), message{time: stored, data: bytes.Clone(m.Data)})
}

// tend looks after the tails: it finds those that may have missed their last
// event, and those that nobody reads any more.
func (ts *tails) tend(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	marker := time.NewTicker(max(tick, min(ts.engine.config.Retention/markShare, time.Hour)))
	defer marker.Stop()
	for {
		select {
		case <-ticker.C:
			ts.tick()
		case <-marker.C:
			if err := ts.engine.moveMark(ctx); err != nil {
				ts.log.Warn("the log cannot be looked at", "err", err)
			}
		case <-ts.suspicion:
			ts.checkAll(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (ts *tails) tick() {
	var idle []*tail
	ts.mu.RLock()
	for _, t := range ts.all {
		if t.tick() {
			idle = append(idle, t)
		}
	}
	ts.mu.RUnlock()
	for _, t := range idle {
		ts.sweep(t)
	}
}

// tick advances the tail's clocks. It reports whether the tail has been
// without a reader for long enough to go.
func (t *tail) tick() (idle bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers.Load() > 0 {
		t.away = 0
	} else if t.away++; t.away > lingerTicks || t.ended {
		return true
	}
	if t.view.Load() == nil || t.ended {
		return false
	}
	if t.heard {
		t.heard, t.quiet, t.next = false, 0, 1
	} else if t.quiet++; t.quiet == t.next {
		if t.next >= shrinkTicks {
			t.shrink()
		}
		t.quiet, t.next = 0, min(2*t.next, maxQuietTicks)
		t.doubt = true
	}
	if t.doubt || t.stale {
		t.tails.repair(t)
	}
	return false
}

// sweep forgets a tail unless a reader has come back.
func (ts *tails) sweep(t *tail) {
	tok := t.subject[len(logPrefix):]
	ts.mu.Lock()
	gone := t.readers.Load() == 0 && ts.all[tok] == t
	if gone {
		delete(ts.all, tok)
	}
	ts.mu.Unlock()
	if gone {
		t.unsubscribe()
	}
}

// suspect has all tails compared with the stream, soon. It does not wait.
func (ts *tails) suspect() {
	select {
	case ts.suspicion <- struct{}{}:
	default: // it is to be done already
	}
}

func (ts *tails) stats() Stats {
	s := Stats{Behind: ts.behind.Load(), Gaps: ts.gaps.Load(), Dropped: ts.dropped.Load()}
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	s.Tails = len(ts.all)
	for _, t := range ts.all {
		s.Readers += int(t.readers.Load())
	}
	return s
}
