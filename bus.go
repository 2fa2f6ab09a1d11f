package runnel

import "context"

// A Bus carries messages to all nodes that share a log, now: nobody keeps them,
// and a node that is cut off or far behind misses some. All methods may be called
// concurrently.
type Bus interface {
	// Broadcast sends data on a topic, which is any text of at most 512 bytes,
	// to the Listen of every node, this one's too. What one node broadcasts
	// arrives everywhere in the order of its calls.
	Broadcast(topic string, data []byte) error

	// Listen calls f, one call at a time, for each message, until ctx is done.
	// ready, if not nil, is called once none can be missed. The data is f's.
	Listen(ctx context.Context, ready func(), f func(topic string, data []byte)) error
}
