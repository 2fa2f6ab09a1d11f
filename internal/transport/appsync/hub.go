package appsync

import (
	"context"
	"errors"
	"sync"
)

const (
	// maxRecent and maxRecentSize bound how far a follower may be behind, in
	// events and in bytes. Who follows a session's log has no such bound.
	maxRecent     = 1024
	maxRecentSize = 1 << 20
)

// errBehind ends a follower who is further behind than what is kept.
var errBehind = errors.New("appsync: the subscriber is too far behind")

// A hub hands events of the moment to those who follow a key now, each at its
// own pace: they pull from what was said last.
type hub struct {
	mu     sync.Mutex
	topics map[string]*topic
}

func newHub() *hub { return &hub{topics: make(map[string]*topic)} }

// A topic is a key that somebody follows.
type topic struct {
	followers int // under the hub's mu, too

	mu     sync.Mutex
	first  uint64   // number of recent[0]
	recent []*event // what was said last, oldest first
	size   int      // of recent, in bytes
	behind int      // followers who have not had all of recent
	more   chan struct{}
}

// A follower is used by one goroutine.
type follower struct {
	hub   *hub
	key   string
	topic *topic
	at    uint64 // number of the next event
}

// follow returns a follower of what is said of key from now on.
func (h *hub) follow(key string) *follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[key]
	if t == nil {
		t = &topic{more: make(chan struct{})}
		h.topics[key] = t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.followers++
	return &follower{hub: h, key: key, topic: t, at: t.end()}
}

// close lets go of the key.
func (f *follower) close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	t := f.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.at < t.end() {
		t.behind--
	}
	if t.followers--; t.followers == 0 {
		delete(f.hub.topics, f.key)
	}
}

// say hands an event to those who follow key.
func (h *hub) say(key string, ev *event) {
	h.mu.Lock()
	t := h.topics[key]
	h.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.behind == 0 { // nobody needs what was said before
		t.drop(len(t.recent))
	}
	t.recent = append(t.recent, ev)
	t.size += len(ev.data)
	t.behind = t.followers
	for len(t.recent) > 1 && (len(t.recent) > maxRecent || t.size > maxRecentSize) {
		t.drop(1)
	}
	close(t.more)
	t.more = make(chan struct{})
}

// end returns the number of the event that comes next. The caller holds mu.
func (t *topic) end() uint64 { return t.first + uint64(len(t.recent)) }

// drop forgets the oldest n events. The caller holds mu.
func (t *topic) drop(n int) {
	for _, ev := range t.recent[:n] {
		t.size -= len(ev.data)
	}
	clear(t.recent[:n])
	t.recent = t.recent[n:]
	t.first += uint64(n)
	if len(t.recent) == 0 {
		t.recent = nil
	}
}

// next waits for events that the follower has not had and returns them all, in
// order. They are shared. The error is errBehind or ctx's cause.
func (f *follower) next(ctx context.Context) ([]*event, error) {
	for {
		events, more, err := f.take()
		if len(events) > 0 || err != nil {
			return events, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (f *follower) take() (events []*event, more <-chan struct{}, err error) {
	t := f.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case f.at < t.first:
		return nil, nil, errBehind
	case f.at < t.end():
		events = append(events, t.recent[f.at-t.first:]...)
		f.at = t.end()
		t.behind--
	}
	return events, t.more, nil
}
