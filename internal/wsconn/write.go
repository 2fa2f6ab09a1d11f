package wsconn

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/gobwas/ws"
)

const (
	// maxPiece is the most that one write deadline covers.
	maxPiece = 16 << 10
	// window is what may be queued before Write waits.
	window = 16 << 10
	// sendBuffer bounds what the kernel queues for one client: its default
	// grows to megabytes, which a slow client would be behind in, and of which
	// a third must drain before the next write succeeds.
	sendBuffer = 16 << 10
)

// Send queues whole frames, and does not wait for the client. The frames are
// the caller's again when it returns. The error is [ErrSlow] or [ErrClosed]; nil
// does not mean that the client has got them. What is larger than the queue
// itself is taken when the queue is empty.
func (c *Conn) Send(frames []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offer(frames, c.set.cfg.MaxQueue)
}

// SendWait is Send, but gives a client whose queue is full until ctx is done to
// make room.
func (c *Conn) SendWait(ctx context.Context, frames []byte) error {
	for {
		c.mu.Lock()
		err := c.offer(frames, c.set.cfg.MaxQueue)
		room := c.awaitRoom(err)
		c.mu.Unlock()
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return err
		}
	}
}

// Write writes whole frames for a caller who can wait: on the caller's goroutine
// if nobody else writes, else by queueing them once little is queued. The error
// is [ErrClosed], or why ctx is done; then the frames were not taken. A write that
// has begun is not given up for ctx, but for the write time-out.
func (c *Conn) Write(ctx context.Context, frames []byte) error {
	for {
		c.mu.Lock()
		if c.closed == nil && !c.writing {
			return c.writeNow(frames)
		}
		err := c.offer(frames, window)
		room := c.awaitRoom(err)
		c.mu.Unlock()
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// offer queues frames if that makes it no more than limit. The caller holds mu.
func (c *Conn) offer(frames []byte, limit int) error {
	if c.closed != nil {
		return ErrClosed
	}
	if c.queued > 0 && c.queued+len(frames) > limit {
		return ErrSlow
	}
	c.active.Store(int64(c.set.now()))
	c.append(frames)
	c.write()
	return nil
}

// awaitRoom returns what to wait for if err is that there is no room. The caller
// holds mu.
func (c *Conn) awaitRoom(err error) <-chan struct{} {
	if err != ErrSlow { //nolint:errorlint // it is our own
		return nil
	}
	return c.change()
}

// change returns what is closed when there is news: less is queued, or the
// connection has ended. The caller holds mu.
func (c *Conn) change() <-chan struct{} {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// wake tells those who wait. The caller holds mu.
func (c *Conn) wake() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

func (c *Conn) append(frames []byte) {
	if len(frames) == 0 {
		return
	}
	if c.out == nil {
		c.out = c.set.buffer()
	}
	*c.out = append(*c.out, frames...)
	c.queued += len(frames)
}

// drop forgets what is queued, also by whoever writes: only the frame that has
// begun is completed. The caller holds mu.
func (c *Conn) drop() {
	c.pong = nil
	c.dropped = c.writing
	if c.out == nil {
		return
	}
	keep := 0
	if !c.writing {
		keep = c.lead // the answer to the handshake is no frame
	}
	c.queued -= len(*c.out) - keep
	*c.out = (*c.out)[:keep]
}

// answerPing queues a pong. Where much is queued already, a pong that still waits
// is replaced: it is enough then to answer the newest ping.
func (c *Conn) answerPing(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return
	}
	c.pong = payload
	if c.queued <= window {
		c.appendPong()
	}
	c.write()
}

// sendBeat queues a sign of life, unless the client has something to read already.
func (c *Conn) sendBeat() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil || c.queued > 0 {
		return false
	}
	c.append(c.set.cfg.BeatFrames)
	c.write()
	return true
}

// appendClose queues the close frame, and the pong that must not follow it. The
// caller holds mu.
func (c *Conn) appendClose(why *CloseError) {
	c.appendPong()
	reason := why.Reason
	if why.Remote {
		reason = "" // the client knows
	}
	c.append(appendClose(nil, why.Code, reason))
}

func (c *Conn) appendPong() {
	if c.pong != nil {
		c.append(appendControl(nil, ws.OpPong, c.pong))
		c.pong = nil
	}
}

// write sees to it that what is queued is written: by a goroutine that lasts as
// long as there is something. The caller holds mu.
func (c *Conn) write() {
	if c.writing || c.out == nil && c.pong == nil {
		return
	}
	c.writing = true
	c.set.running.Add(1) // the connection still runs, so nobody has waited yet
	go func() {
		defer c.set.running.Done()
		c.pump()
	}()
}

// flush writes what was queued before anybody wrote, on the caller's goroutine.
func (c *Conn) flush() {
	c.mu.Lock()
	if c.writing || c.out == nil {
		c.mu.Unlock()
		return
	}
	_ = c.writeNow(nil) // the connection's end says it
}

// writeNow writes frames behind what waits. The caller holds mu, which it gives up.
func (c *Conn) writeNow(frames []byte) error {
	c.writing = true
	c.active.Store(int64(c.set.now()))
	var batch *[]byte
	if c.out != nil {
		c.append(frames)
		batch = c.take()
		frames = *batch
	} else {
		c.queued += len(frames)
	}
	c.mu.Unlock()
	err := c.transmit(frames)
	if batch != nil {
		c.set.recycle(batch)
	}
	if err != nil {
		c.broken(err)
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest()
	c.write() // others' frames are not this caller's work
	return nil
}

// pump writes what waits until nothing does.
func (c *Conn) pump() {
	for {
		c.mu.Lock()
		batch := c.take()
		if batch == nil {
			c.rest()
			c.mu.Unlock()
			return
		}
		c.dropped = false
		c.mu.Unlock()
		err := c.transmit(*batch)
		c.set.recycle(batch)
		if err != nil {
			c.broken(err)
			return
		}
	}
}

// take returns all that waits. The caller holds mu.
func (c *Conn) take() *[]byte {
	c.appendPong()
	batch := c.out
	c.out = nil
	return batch
}

// rest ends a turn of writing. The caller holds mu.
func (c *Conn) rest() {
	c.writing, c.dropped = false, false
	c.wake()
}

// transmit writes frames, each piece with a deadline of its own.
func (c *Conn) transmit(frames []byte) error {
	for n := 0; n < len(frames); {
		// If no deadline can be set, the write fails too.
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.set.cfg.WriteTimeout))
		m, err := c.nc.Write(frames[n:min(n+maxPiece, len(frames))])
		n += m
		c.mu.Lock()
		c.queued -= m
		if c.dropped && n >= c.lead {
			end := c.lead + frameEnd(frames[c.lead:], n-c.lead)
			c.queued -= len(frames) - end
			frames = frames[:end]
		}
		c.wake()
		c.mu.Unlock()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.tooSlow(frames, n, err)
			}
			return err
		}
	}
	c.lead = 0
	return nil
}

// tooSlow ends a connection whose client does not read: n bytes of frames were
// written. Behind what the kernel has for it there is still room, on request, for
// the rest of the frame and a last word, which the client gets should it ever
// read on.
func (c *Conn) tooSlow(frames []byte, n int, err error) {
	c.mu.Lock()
	if c.closed == nil {
		c.end(&CloseError{Code: TryAgain, Reason: "too slow", Err: err})
	}
	why := c.closed
	c.mu.Unlock()
	if rawConn(c.nc) != c.nc || n < c.lead {
		return // TLS writes nothing more after a time-out
	}
	end := c.lead + frameEnd(frames[c.lead:], n-c.lead)
	last := appendClose(append([]byte(nil), frames[n:end]...), why.Code, why.Reason)
	limitSendBuffer(c.nc, 4*(sendBuffer+len(last))) // the kernel counts its own overhead
	_ = c.nc.SetWriteDeadline(time.Now().Add(lastWords))
	_, _ = c.nc.Write(last)
}

// broken ends the connection after a failed write.
func (c *Conn) broken(err error) {
	c.mu.Lock()
	if c.closed == nil {
		c.end(&CloseError{Code: Abnormal, Err: err})
	}
	c.out, c.pong, c.queued = nil, nil, 0
	c.rest()
	c.mu.Unlock()
	c.cut()
}

func pingFrame() []byte { return appendControl(nil, ws.OpPing, nil) }

func limitSendBuffer(nc net.Conn, size int) {
	if c, ok := rawConn(nc).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = c.SetWriteBuffer(size) // best effort: it is only tuning
	}
}
