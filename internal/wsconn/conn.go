package wsconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/runnelhq/runnel"
)

// lastWords is what a client may take to accept what is left for it when its
// credentials have ended.
const lastWords = time.Second

// A Conn is one WebSocket.
type Conn struct {
	set    *Conns
	ctx    context.Context //nolint:containedctx // the connection's life, for what is done on its behalf
	cancel context.CancelCauseFunc
	nc     net.Conn
	opened time.Duration // like all times here: since the set's epoch
	active atomic.Int64  // when the last message came or went

	// Of the goroutine that reads.
	in     input
	head   [ws.MaxHeaderSize - 2]byte // of the frame that is read
	msg    *[]byte                    // the message that was delivered last, or is read; nil: it lies in the input
	over   bool                       // Read has returned an error
	began  time.Duration              // the message that is read; 0: none is
	until  time.Duration              // Read's deadline; 0: none
	armed  time.Duration              // when the pending read is interrupted; 0: never
	beat   time.Duration              // when BeatFrames were sent
	heard  time.Duration              // when anything was received
	pinged bool                       // the last beat was a ping

	mu      sync.Mutex
	out     *[]byte       // frames that wait; nil: none
	queued  int           // bytes in out, and those being written
	pong    []byte        // a pong that waits; nil: none
	lead    int           // how much of the very first write is no frame
	writing bool          // somebody writes, and will look at out again
	dropped bool          // what is being written is to end with the frame
	room    chan struct{} // closed when queued falls or the connection ends; nil: nobody waits
	closed  *CloseError   // set once: no frame may be queued any more
	replied bool          // the client's close frame has come
	cutter  *time.Timer   // bounds how long closing takes
}

// newConn returns the connection on nc. The client has sent early already, and
// is still to be sent head.
func newConn(ctx context.Context, set *Conns, nc net.Conn, early, head []byte) *Conn {
	now := set.now()
	c := &Conn{set: set, nc: nc, opened: now, beat: now, out: &head, queued: len(head), lead: len(head)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.active.Store(int64(now))
	c.in.init(c, early)
	return c
}

// run lets serve have the connection, and ends it. The credentials are good as
// long as ctx lasts.
func (c *Conn) run(ctx context.Context, serve func(*Conn)) {
	stop := context.AfterFunc(ctx, func() { c.withdraw(context.Cause(ctx)) })
	defer stop()
	c.serve(serve)
	c.Close(Normal, "")
	c.linger()
	c.in.release()
}

// serve keeps the fault of one door's function from ending everybody's connections.
func (c *Conn) serve(serve func(*Conn)) {
	defer func() {
		if p := recover(); p != nil {
			c.set.log.ErrorContext(c.ctx, "a connection's door panics", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.Close(Failed, "internal error")
		}
	}()
	serve(c)
}

// Context carries the caller. It ends when the connection begins to close.
func (c *Conn) Context() context.Context { return c.ctx }

// LastActive returns when the last message came or was sent.
func (c *Conn) LastActive() time.Time {
	return c.set.epoch.Add(time.Duration(c.active.Load()))
}

// Close closes the connection, unless that has begun already: after what is
// queued the client gets a close frame, and some time to answer it. It does not
// wait for that.
func (c *Conn) Close(code int, reason string) {
	c.shut(&CloseError{Code: code, Reason: reason}, nil, c.set.cfg.CloseTimeout)
}

// leave closes the connection because of err, as the door has it.
func (c *Conn) leave(err error) {
	if c.closing() {
		return
	}
	frames, code, reason := c.set.cfg.Farewell(c, err)
	c.shut(&CloseError{Code: code, Reason: reason, Err: err}, frames, c.set.cfg.CloseTimeout)
}

// withdraw ends the connection because its credentials are no longer good.
func (c *Conn) withdraw(err error) {
	if _, ok := errors.AsType[*runnel.Error](err); !ok {
		err = runnel.Errorf(runnel.Unauthenticated, "the credentials are no longer good").Because(err)
	}
	frames, code, reason := c.set.cfg.Farewell(c, err)
	c.mu.Lock()
	c.drop() // it may no longer have what it has not read
	if c.cutter != nil {
		c.cutter.Reset(lastWords) // it was about to close anyway
	}
	c.mu.Unlock()
	c.shut(&CloseError{Code: code, Reason: reason, Err: err}, frames, lastWords)
}

// shut queues the last frames. The first call counts.
func (c *Conn) shut(why *CloseError, frames []byte, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return
	}
	c.end(why)
	c.append(frames)
	c.appendClose(why)
	c.cutter = time.AfterFunc(patience, c.cut)
	c.write()
}

// end marks the connection as closed. The caller holds mu.
func (c *Conn) end(why *CloseError) {
	c.closed = why
	c.cancel(why)
	c.wake()
}

func (c *Conn) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed != nil
}

// cut ends the connection at once, whatever is under way on it.
func (c *Conn) cut() { _ = rawConn(c.nc).Close() } // TLS would first wait to say goodbye

func rawConn(nc net.Conn) net.Conn {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return nc
}
