package natslog

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

// The bounds of a tail's window. A reader that has fallen behind it reads the
// stream.
const (
	windowLength = 256
	windowBytes  = 1 << 20
	eventBytes   = 300 // of an event, without its body
)

// A tail holds the latest events of one session for its readers on this node.
//
// Readers use view and never take a lock. The dispatcher, the repairers and the
// janitor change the tail under mu.
type tail struct {
	tails   *tails
	session runnel.SessionID
	subject string // of the events in the stream
	epoch   *epochs

	readers atomic.Int32
	opening chan struct{} // a semaphore: who is in it opens the tail
	view    atomic.Pointer[view]

	mu    sync.Mutex
	ended bool // no view will follow
	sub   *nats.Subscription
	last  uint64 // everything up to here is in view, or before it
	bytes int    // of the window's bodies, about
	// While stale is set the tail misses something: live events are not added
	// but only raise want, until a repairer has got the tail up to there.
	stale bool
	want  uint64
	// For the janitor, which counts in its ticks.
	heard  bool // something since the last tick
	quiet  int  // ticks since something was heard
	next   int  // the value of quiet at which to look at the stream
	away   int  // ticks without a reader
	queued bool // waits for a repairer
	doubt  bool // is to be compared with the stream
}

// A view is what readers see of a tail at one time. It is never changed, and
// the slices that readers take from it never are either.
type view struct {
	// base is the position that the window begins at: it holds all that the
	// session has got after it.
	base   uint64
	events []runnel.Event
	top    bool // the session has nothing before the window that is kept
	cut    bool // the tail has ended
	// changed is closed by the tail when it has another view.
	changed chan struct{}
}

// after returns the events after pos, which is not before the window's base.
func (v *view) after(pos uint64) []runnel.Event {
	return slices.Clip(v.events[position(v.events, pos):])
}

// open makes the tail ready unless it is. First it subscribes and then it looks
// where the session ends, so that no event falls in between. The tails of an
// embedded engine need no subscription: see [tails.stored].
func (t *tail) open(ctx context.Context) error {
	if t.view.Load() != nil {
		return nil
	}
	select {
	case t.opening <- struct{}{}:
		defer func() { <-t.opening }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.view.Load() != nil {
		return nil
	}
	e := t.tails.engine
	if t.sub == nil && e.conn.remote {
		sub, err := e.conn.reads.ChanSubscribe(livePrefix+t.subject[len(logPrefix):], t.tails.live)
		if err != nil {
			return err
		}
		t.setSub(sub)
	}
	end := e.mark.Load() // without events, the session has none after this either
	m, err := e.conn.last(ctx, logStream, t.subject)
	if err != nil && !errors.Is(err, errNone) {
		return err
	}
	top := err != nil
	if !top {
		end = m.seq
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return errCut
	}
	t.last = end
	t.show(&view{base: end, top: top})
	if t.stale = t.want > end; t.stale {
		t.tails.repair(t)
	}
	return nil
}

func (t *tail) setSub(sub *nats.Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sub = sub
}

// show replaces the view and wakes whoever waits for that. The caller holds mu.
func (t *tail) show(v *view) {
	v.changed = make(chan struct{})
	if old := t.view.Swap(v); old != nil {
		close(old.changed)
	}
}

// hear takes a live event: the message seq, which followed prev on its subject.
func (t *tail) hear(seq, prev uint64, m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = true
	switch {
	case t.stale:
		t.want = max(t.want, seq)
	case seq <= t.last: // known already
	case prev > t.last:
		t.tails.gaps.Add(1)
		t.miss(seq)
	case prev > 0 && prev < t.last:
		t.end() // the stream is not the one that we have read
	default:
		ev, ok := t.decode(seq, m)
		t.last = seq
		if ok {
			v := t.view.Load()
			t.window(view{base: v.base, top: v.top, events: append(v.events, ev)}, len(ev.Body))
		}
	}
}

// miss notes that the stream has events up to seq which the tail has not. The
// caller holds mu.
func (t *tail) miss(seq uint64) {
	t.stale, t.want = true, max(t.want, seq)
	t.tails.repair(t)
}

// window shows v, without the oldest events if they have become too many. The
// bodies of those that were added have the given size. The caller holds mu.
func (t *tail) window(v view, added int) {
	t.bytes += added
	n, drop := len(v.events), 0
	for drop < n-1 && (n > windowLength && drop < windowLength/4 || t.bytes+(n-drop)*eventBytes > windowBytes) {
		t.bytes -= len(v.events[drop].Body)
		drop++
	}
	if drop > 0 {
		// What is dropped stays in memory until the slice next outgrows its array.
		v.base, v.top = uint64(v.events[drop-1].Cursor.Seq), false
		v.events = v.events[drop:]
	}
	t.show(&v)
}

// extend adds a stretch that the tail had missed. The caller holds mu.
func (t *tail) extend(h history) {
	v := *t.view.Load()
	if h.from > t.last { // in between some have expired
		v, t.bytes = view{base: h.from}, 0
	}
	v.events = append(v.events, h.events...)
	t.last = h.last
	t.window(v, bodies(h.events))
}

// prepend adds a stretch that a reader has read from the stream, if it reaches
// the window and there is room: many readers may be coming back at once.
func (t *tail) prepend(h history) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.view.Load()
	if v.cut || h.from >= v.base || h.last < v.base {
		return
	}
	older := h.events[:position(h.events, v.base)]
	size := bodies(older)
	length := len(older) + len(v.events)
	if length > windowLength || t.bytes+size+length*eventBytes > windowBytes/2 {
		return
	}
	t.bytes += size
	t.show(&view{base: h.from, top: h.top, events: append(slices.Clip(older), v.events...)})
}

// shrink empties the window of a quiet tail, whose readers have long had it
// all: there may be 100,000 of them. The caller holds mu.
func (t *tail) shrink() {
	if len(t.view.Load().events) > 0 {
		t.bytes = 0
		t.show(&view{base: t.last})
	}
}

// end tells the readers that the tail is of no more use. The caller holds mu.
func (t *tail) end() {
	t.ended = true
	t.stale = true // so that it hears no more
	t.show(&view{cut: true})
}

// unsubscribe is called by whoever has taken the tail from the list of all.
func (t *tail) unsubscribe() {
	t.mu.Lock()
	sub := t.sub
	t.mu.Unlock()
	if sub != nil {
		_ = sub.Unsubscribe() // fails only if the connection is closed
	}
}

// detach is what a reader calls when it has finished.
func (t *tail) detach() { t.readers.Add(-1) }

// position returns the index of the first event after pos.
func position(events []runnel.Event, pos uint64) int {
	i, found := slices.BinarySearchFunc(events, runnel.Seq(pos), func(ev runnel.Event, seq runnel.Seq) int {
		return cmp.Compare(ev.Cursor.Seq, seq)
	})
	if found {
		i++
	}
	return i
}

func bodies(events []runnel.Event) (n int) {
	for i := range events {
		n += len(events[i].Body)
	}
	return n
}
