package appsync

import (
	"container/list"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	// lateness is how long after an answer has begun a subscriber that was slower
	// than the answer still gets it.
	lateness = time.Minute
	// maxSessions is of how many sessions something is remembered.
	maxSessions = 10_000
	// maxSeers is of how many subscribers it is remembered that they have seen an
	// answer.
	maxSeers = 64
)

// recent remembers answers that began a short while ago: a quick one may be over
// before its client has subscribed. It also remembers in which language a session
// was asked. It is this node's alone.
type recent struct {
	mu       sync.Mutex
	sessions map[runnel.SessionID]*list.Element
	order    list.List // of *begun, last used first
}

// begun is what is remembered of a session.
type begun struct {
	session runnel.SessionID
	locale  string
	answers []begunAnswer // oldest first
}

type begunAnswer struct {
	generation runnel.GenerationID
	cursor     runnel.Cursor
	at         time.Time
	seen       []string // who has got it to its end
}

func newRecent() *recent { return &recent{sessions: make(map[runnel.SessionID]*list.Element)} }

// session returns what is remembered of one. The caller holds mu.
func (r *recent) session(id runnel.SessionID) *begun {
	e := r.sessions[id]
	if e == nil {
		e = r.order.PushFront(&begun{session: id})
		r.sessions[id] = e
		if r.order.Len() > maxSessions {
			oldest := r.order.Back()
			r.order.Remove(oldest)
			delete(r.sessions, oldest.Value.(*begun).session)
		}
	}
	r.order.MoveToFront(e)
	return e.Value.(*begun)
}

// speaks remembers the language in which a session is asked.
func (r *recent) speaks(id runnel.SessionID, locale string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session(id).locale = locale
}

// note remembers an answer; one that is known already stays as it is.
func (r *recent) note(receipt runnel.Receipt, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.session(receipt.Session)
	b.expire(at)
	if n := len(b.answers); n > 0 && b.answers[n-1].generation == receipt.Generation {
		return
	}
	b.answers = append(b.answers, begunAnswer{generation: receipt.Generation, cursor: receipt.Cursor, at: at})
}

const maxAnswers = 16 // of one session

func (b *begun) expire(now time.Time) {
	for len(b.answers) > 0 && (now.Sub(b.answers[0].at) > lateness || len(b.answers) > maxAnswers) {
		b.answers = b.answers[1:]
	}
}

// unseen returns where the oldest answer begins that a subscriber has not got.
func (r *recent) unseen(id runnel.SessionID, who string, now time.Time) (at runnel.Cursor, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.sessions[id]
	if e == nil {
		return at, false
	}
	b := e.Value.(*begun)
	b.expire(now)
	for i := len(b.answers) - 1; i >= 0; i-- { // who has got one has got those before
		for _, seer := range b.answers[i].seen {
			if seer == who {
				return at, ok
			}
		}
		at, ok = b.answers[i].cursor, true
	}
	return at, ok
}

// saw notes that a subscriber has got an answer to its end.
func (r *recent) saw(id runnel.SessionID, gen runnel.GenerationID, who string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.sessions[id]
	if e == nil {
		return
	}
	for i := range e.Value.(*begun).answers {
		if a := &e.Value.(*begun).answers[i]; a.generation == gen && len(a.seen) < maxSeers {
			a.seen = append(a.seen, who)
		}
	}
}

// locale returns the language in which a session was asked last; empty if that is
// not known.
func (r *recent) locale(id runnel.SessionID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.sessions[id]; e != nil {
		return e.Value.(*begun).locale
	}
	return ""
}
