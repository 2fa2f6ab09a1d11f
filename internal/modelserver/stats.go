package modelserver

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxAborts is how many aborted streams are remembered: enough for a load test
// that stops each of its streams.
const maxAborts = 8192

// Stats are a server's counters.
type Stats struct {
	Requests    int64 `json:"requests"`     // that asked for an answer
	Refused     int64 `json:"refused"`      // answered with an error status
	Continued   int64 `json:"continued"`    // that gave the beginning of the answer
	OpenStreams int64 `json:"open_streams"` // being answered now
	PeakStreams int64 `json:"peak_streams"` // most at one time
	Completed   int64 `json:"completed"`    // streams that ended as they should
	Aborted     int64 `json:"aborted"`      // streams whose client went away first
	Faulted     int64 `json:"faulted"`      // streams that a fault ended
	Tokens      int64 `json:"tokens"`       // written

	// Aborts are the last streams whose client went away, oldest first.
	Aborts []Abort `json:"aborts"`
}

// An Abort is a stream whose client closed the connection before the end.
type Abort struct {
	Tag    string `json:"tag,omitempty"`
	Tokens int    `json:"tokens"` // written before
	At     int64  `json:"at"`     // when the server saw it, in nanoseconds since 1970
}

// counters are what Stats are taken from.
type counters struct {
	requests, refused, continued, completed, aborted, faulted, tokens atomic.Int64

	mu         sync.Mutex
	open, peak int64
	aborts     []Abort // a ring once it is full
	next       int     // where the ring continues
}

func (c *counters) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.peak = max(c.peak, c.open)
}

func (c *counters) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

func (c *counters) abort(tag string, tokens int) {
	a := Abort{Tag: tag, Tokens: tokens, At: time.Now().UnixNano()}
	c.aborted.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.aborts) < maxAborts {
		c.aborts = append(c.aborts, a)
		return
	}
	c.aborts[c.next] = a
	c.next = (c.next + 1) % maxAborts
}

func (c *counters) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	aborts := make([]Abort, 0, len(c.aborts))
	aborts = append(append(aborts, c.aborts[c.next:]...), c.aborts[:c.next]...)
	return Stats{
		Requests: c.requests.Load(), Refused: c.refused.Load(), Continued: c.continued.Load(),
		OpenStreams: c.open, PeakStreams: c.peak,
		Completed: c.completed.Load(), Aborted: c.aborted.Load(), Faulted: c.faulted.Load(),
		Tokens: c.tokens.Load(), Aborts: aborts,
	}
}

// reset sets everything to zero but the streams that are open.
func (c *counters) reset() {
	for _, n := range []*atomic.Int64{&c.requests, &c.refused, &c.continued, &c.completed, &c.aborted, &c.faulted, &c.tokens} {
		n.Store(0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peak, c.aborts, c.next = c.open, nil, 0
}
