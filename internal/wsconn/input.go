package wsconn

import (
	"errors"
	"io"
	"os"
	"time"
)

const (
	// idleInput is what a connection always has to read into. Most messages of
	// clients fit, and cost one system call and no other buffer.
	idleInput = 256
	inputSize = 4 << 10
)

// input is the connection's bytes on their way in. It is an [io.Reader] for the
// codec; only the connection's goroutine uses it.
type input struct {
	conn   *Conn
	buf    []byte // small, or what was taken from the pool
	r, w   int    // buf[r:w] was received and not yet read
	pooled *[inputSize]byte
	small  [idleInput]byte
}

// init begins with what came together with the request.
func (in *input) init(c *Conn, early []byte) {
	in.conn = c
	in.buf = in.small[:]
	if len(early) > len(in.buf) {
		in.grow()
	}
	in.w = copy(in.buf, early) // net/http's buffer has 4 KiB, like ours
}

func (in *input) grow() {
	if in.pooled != nil {
		return
	}
	p, ok := in.conn.set.inputs.Get().(*[inputSize]byte)
	if !ok {
		p = new([inputSize]byte)
	}
	in.pooled, in.buf = p, p[:]
}

// release gives the pooled buffer back if nothing lies in it.
func (in *input) release() {
	if in.r < in.w {
		return
	}
	in.r, in.w = 0, 0
	if in.pooled != nil {
		in.conn.set.inputs.Put(in.pooled)
		in.pooled, in.buf = nil, in.small[:]
	}
}

func (in *input) buffered() int { return in.w - in.r }

// take returns the next n bytes, which are there. They are valid until more is read.
func (in *input) take(n int) []byte {
	in.r += n
	return in.buf[in.r-n : in.r]
}

// Read implements [io.Reader].
func (in *input) Read(p []byte) (int, error) {
	if in.r == in.w {
		if len(p) >= inputSize {
			return in.conn.receive(p) // past the buffer
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.buf[in.r:in.w])
	in.r += n
	return n, nil
}

// fill reads more when all has been read.
func (in *input) fill() error {
	if in.w == len(in.small) && in.pooled == nil {
		in.grow() // there is probably more than the small one takes
	}
	n, err := in.conn.receive(in.buf)
	in.r, in.w = 0, n
	return err
}

// receive reads from the network, and meanwhile sees to what the time brings.
func (c *Conn) receive(p []byte) (int, error) {
	for {
		c.arm()
		n, err := c.nc.Read(p)
		if n > 0 {
			c.heard = c.set.now()
			return n, nil
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		c.armed = 0
		if err := c.tick(); err != nil {
			return 0, err
		}
	}
}

// arm makes sure that the read is interrupted when something is due. A deadline
// that comes too early only costs a look.
func (c *Conn) arm() {
	if c.closing() {
		return // the cutter looks after the rest
	}
	due := c.due()
	if due == 0 || c.armed > 0 && c.armed <= due {
		return
	}
	c.armed = due
	_ = c.nc.SetReadDeadline(c.set.epoch.Add(due)) // if it fails, so will the read
}

// due returns when something is to be done, as far as is known now; 0: never.
func (c *Conn) due() time.Duration {
	cfg := &c.set.cfg
	var due time.Duration
	earliest := func(from, after time.Duration) {
		if after > 0 && (due == 0 || from+after < due) {
			due = from + after
		}
	}
	earliest(0, c.until)
	earliest(c.opened, cfg.MaxAge)
	earliest(c.beat, cfg.Beat)
	earliest(time.Duration(c.active.Load()), cfg.Idle)
	if c.began > 0 {
		earliest(c.began, cfg.MessageTimeout)
	}
	return due
}

// errDead ends a connection whose client has not answered a ping.
var errDead = errors.New("wsconn: no answer to a ping")

// tick does what is due. An error is why Read has to return.
func (c *Conn) tick() error {
	now, cfg := c.set.now(), &c.set.cfg
	over := func(from, after time.Duration) bool { return after > 0 && from+after <= now }
	if c.closing() {
		_ = c.nc.SetReadDeadline(time.Time{})
		return nil
	}
	switch {
	case over(0, c.until):
		return os.ErrDeadlineExceeded
	case c.began > 0 && over(c.began, cfg.MessageTimeout):
		return failure{Policy, "the message takes too long"}
	case over(c.opened, cfg.MaxAge):
		c.leave(ErrOld)
	case over(time.Duration(c.active.Load()), cfg.Idle):
		c.leave(ErrIdle)
	case over(c.beat, cfg.Beat):
		if c.heard < c.beat && c.pinged {
			return errDead
		}
		c.beat = now
		c.pinged = c.sendBeat() && cfg.pings
	}
	return nil
}
