package appsync

import (
	"container/list"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

const (
	// maxPlaces and maxPlaceSize bound what is remembered of subscriptions that
	// have ended, in number and in bytes of text.
	maxPlaces    = 20_000
	maxPlaceSize = 64 << 20
	// memory is how long after its end a subscription can be gone on with.
	memory = 15 * time.Minute
	// unheard is how long a client may take to answer a ping before it is taken
	// not to have got what was sent before.
	unheard = time.Second
)

// madeUp is what ids look like that no two clients have: UUIDs. Some clients count
// from one.
var madeUp = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// A place is how far a subscriber has got a session.
type place struct {
	version int           // counts what was sent
	after   runnel.Cursor // reading goes on behind it

	// Of the answer that is being shown; none: the next one is.
	generation runnel.GenerationID
	attempt    int
	begun      bool // its start was sent
	outside    bool // by what somebody published
	spoke      bool // some of its text was
	text       answer.Track

	// Where the events of another answer begin that is to be shown after this
	// one, and those that are over already behind that.
	back *runnel.Cursor
	over []runnel.GenerationID
}

func (p *place) copy() place {
	c := *p
	c.text = p.text.Copy()
	c.over = slices.Clone(p.over)
	return c
}

// A keeper remembers the place of one subscription, also after its end.
type keeper struct {
	key   string
	stop  func()        // ends the subscription
	noted chan struct{} // closed when other nodes can know of its end

	mu       sync.Mutex
	reached  place // by the view; not written yet
	written  place
	wanted   place     // when the last ping was sent
	number   uint64    // of that ping
	asking   time.Time // when it was sent; zero: it was answered
	has      place     // the client has got it
	answered bool      // the client answers pings at all
	begun    bool      // the places are set
	ended    time.Time // zero: the subscription lives
	size     int       // of what is kept after the end
}

// begin sets the place at which the subscription begins.
func (k *keeper) begin(p *place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := p.copy()
	k.reached, k.written, k.wanted, k.has, k.begun = at, at, at, at, true
}

// reach notes how far the view has come with what it has appended.
func (k *keeper) reach(p *place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reached = p.copy()
}

// sent notes that all that was appended has been written.
func (k *keeper) sent() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written = k.reached
}

// asked notes that a ping follows what was written.
func (k *keeper) asked(number uint64, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wanted, k.number = k.written, number
	if k.wanted.version != k.has.version {
		k.asking = now
	}
}

// confirm notes that the ping was answered, and reports whether more was written
// since it was sent.
func (k *keeper) confirm(number uint64) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.number == number {
		k.has, k.answered, k.asking = k.wanted, true, time.Time{}
	}
	return k.written.version != k.has.version
}

// place returns where the client goes on. What a ping was sent for long before
// the end, and not answered, has not arrived; of the rest it is taken that it has.
func (k *keeper) place(now time.Time) (at place, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end := k.ended
	if end.IsZero() {
		end = now
	}
	if k.answered && !k.asking.IsZero() && end.Sub(k.asking) > unheard {
		return k.has.copy(), k.begun
	}
	return k.written.copy(), k.begun
}

// places are the keepers of a node, by who has which subscription.
type places struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *keeper, newest first
	size  int       // of what those that have ended keep
}

func newPlaces() *places { return &places{byKey: make(map[string]*list.Element)} }

// keep starts to remember a subscription, and returns the one that it goes on with,
// if any, which is ended if it was not. stop ends the new one.
func (ps *places) keep(key string, stop func(), now time.Time) (k, before *keeper) {
	k = &keeper{key: key, stop: stop, noted: make(chan struct{})}
	ps.mu.Lock()
	old := ps.byKey[key]
	ps.byKey[key] = ps.order.PushFront(k)
	if old != nil {
		before, _ = ps.order.Remove(old).(*keeper)
		ps.size -= before.forget()
	}
	ps.trim(now)
	ps.mu.Unlock()
	if before != nil {
		before.stop()
	}
	return k, before
}

// drop forgets a subscription, and ends it if it lives.
func (ps *places) drop(key string) {
	ps.mu.Lock()
	e := ps.byKey[key]
	if e != nil {
		ps.remove(e)
	}
	ps.mu.Unlock()
	if e != nil {
		e.Value.(*keeper).stop()
	}
}

// forgotten reports whether a keeper was dropped, or has a successor.
func (ps *places) forgotten(k *keeper) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	e := ps.byKey[k.key]
	return e == nil || e.Value != any(k)
}

// trim forgets what is too old or too much. The caller holds mu.
func (ps *places) trim(now time.Time) {
	for ps.order.Len() > 0 {
		oldest := ps.order.Back()
		k, _ := oldest.Value.(*keeper)
		k.mu.Lock()
		gone := ps.order.Len() > maxPlaces || ps.size > maxPlaceSize || !k.ended.IsZero() && now.Sub(k.ended) > memory
		k.mu.Unlock()
		if !gone {
			return
		}
		ps.remove(oldest)
	}
}

// remove forgets a keeper. The caller holds mu.
func (ps *places) remove(e *list.Element) {
	k, _ := ps.order.Remove(e).(*keeper)
	ps.size -= k.forget()
	delete(ps.byKey, k.key)
}

// forget returns the size of what is not kept any more.
func (k *keeper) forget() (size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	size, k.size = k.size, 0
	return size
}

// end notes that a subscription has ended, and returns where it goes on, if it does.
// One that its client has stopped is forgotten.
func (ps *places) end(k *keeper, stopped bool, now time.Time) (at place, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	e := ps.byKey[k.key]
	if e == nil || e.Value != any(k) {
		return at, false // the client goes on elsewhere
	}
	k.mu.Lock()
	k.ended, k.reached = now, place{}
	k.size = k.written.text.Len()
	ps.size += k.size
	k.mu.Unlock()
	at, ok = k.place(now)
	if ok = ok && !stopped; ok {
		ps.order.MoveToFront(e)
	} else {
		ps.remove(e)
	}
	ps.trim(now)
	return at, ok
}
