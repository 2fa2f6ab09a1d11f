package runnel

import (
	"context"
	"time"
)

// Peers lets the nodes that share a log ask each other things. All methods may
// be called concurrently.
type Peers interface {
	// Answer has this node asked under the given name, which no other node has,
	// until ctx is done. It calls f for each request, [MaxAnswers] calls at a
	// time at most, and sends back what f returns. ready, if not nil, is called
	// once no request can be missed. When Answer returns no call is in progress.
	Answer(ctx context.Context, node string, ready func(), f func(ctx context.Context, request []byte) []byte) error

	// Ask returns what the node answers to the request. If there is no such
	// node, or there is none any more, the error is of kind Gone, after two
	// seconds at the latest. One that has the node's silence as its cause is
	// of kind Unavailable: the node may have got the request.
	Ask(ctx context.Context, node string, request []byte) ([]byte, error)
}

// MaxAnswers is how many requests a node works on at once.
const MaxAnswers = 256

// MaxConnectionAge is how long a connection is known at least, if nobody
// mentions it again.
const MaxConnectionAge = 24 * time.Hour

// A Connection says that a client holds a connection on behalf of a session.
type Connection struct {
	ID        string    `json:"id"`
	Session   SessionID `json:"session"`
	Node      string    `json:"node"`                // as in [Peers]
	Principal string    `json:"principal,omitempty"` // the ID of who opened it
	Opened    time.Time `json:"opened"`
}

// Connections know which connections sessions have, on all nodes. All methods
// may be called concurrently.
type Connections interface {
	// Connected notes a connection, or that it is still there.
	Connected(ctx context.Context, c Connection) error
	// Disconnected takes the note back, if there is one.
	Disconnected(ctx context.Context, c Connection) error
	// Connections returns a session's connections in the order in which they
	// were opened. What a node that has died leaves behind is not among them.
	Connections(ctx context.Context, id SessionID) ([]Connection, error)
}
