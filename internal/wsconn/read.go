package wsconn

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Read returns the next message, which is valid until the next call. At the end
// the error is a [*CloseError], once the client's close frame has come or the
// network is cut; only the deadline of SetReadDeadline gives
// [os.ErrDeadlineExceeded]. After any error the connection can only be closed.
func (c *Conn) Read() ([]byte, error) {
	if c.over {
		return nil, c.ended(net.ErrClosed)
	}
	c.flush()
	for {
		c.recycleMessage()
		c.in.release()
		c.began = 0
		// It is here that connections wait, and not further down: a stack of 8 KiB
		// that is no deeper shrinks to 4 again after whatever a message took.
		var err error
		if c.in.buffered() == 0 {
			err = c.in.fill()
		}
		var msg []byte
		if err == nil {
			msg, err = c.message()
		}
		if err != nil {
			return nil, c.fail(err)
		}
		if c.closing() {
			continue // whoever closes hears no more
		}
		c.active.Store(int64(c.set.now()))
		return msg, nil
	}
}

// SetReadDeadline makes Read give up at t; the zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) {
	c.until = 0
	if !t.IsZero() {
		c.until = max(1, t.Sub(c.set.epoch))
	}
}

// fail takes leave of a client after err, and returns what Read does.
func (c *Conn) fail(err error) error {
	c.over = true
	c.recycleMessage()
	if f, ok := errors.AsType[failure](err); ok {
		c.shut(&CloseError{Code: f.code, Reason: f.text, Err: f}, nil, c.set.cfg.CloseTimeout)
		return c.ended(nil)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return c.ended(err)
}

// ended returns how the connection has ended; if that was not known, because of err.
func (c *Conn) ended(err error) *CloseError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		c.drop() // nobody is left to read it
		c.end(&CloseError{Code: Abnormal, Remote: true, Err: err})
	}
	return c.closed
}

// message reads one message. Its result is in the input's buffer or in c.msg.
func (c *Conn) message() ([]byte, error) {
	text := validator{}
	state := ws.StateServerSide
	for {
		h, err := ws.ReadHeaderBuffer(&c.in, c.head[:])
		if err == nil {
			err = ws.CheckHeader(h, state)
		}
		if err != nil {
			return nil, headerError(err)
		}
		if h.OpCode.IsControl() {
			if err := c.control(h); err != nil {
				return nil, err
			}
			continue
		}
		if err := c.admit(h); err != nil {
			return nil, err
		}
		if h.Fin && !state.Fragmented() && h.Length <= int64(c.in.buffered()) {
			payload := c.in.take(int(h.Length))
			ws.Cipher(payload, h.Mask, 0)
			if !utf8.Valid(payload) {
				return nil, failure{BadData, "the message is not UTF-8"}
			}
			return payload, nil
		}
		if c.began == 0 {
			c.began = c.set.now()
		}
		if err := c.collect(h, &text); err != nil {
			return nil, err
		}
		if h.Fin {
			c.began = 0
			if !text.complete(*c.msg) {
				return nil, failure{BadData, "the message is not UTF-8"}
			}
			return *c.msg, nil
		}
		state = state.Set(ws.StateFragmented)
	}
}

// admit checks a data frame against the limits, before any of it is read.
func (c *Conn) admit(h ws.Header) error {
	if h.OpCode == ws.OpBinary {
		return failure{Unsupported, "binary messages are not supported"}
	}
	had := 0
	if c.msg != nil {
		had = len(*c.msg)
	}
	switch {
	case h.Length > int64(c.set.cfg.MaxFrame):
		return failure{TooBig, "the frame is too big"}
	case h.Length > int64(c.set.cfg.MaxMessage-had):
		return failure{TooBig, "the message is too big"}
	}
	return nil
}

// collect appends a frame's payload to c.msg. Memory is taken for what has
// come, not for what the header claims.
func (c *Conn) collect(h ws.Header, text *validator) error {
	if c.msg == nil {
		c.msg = c.set.buffer()
	}
	for done := 0; done < int(h.Length); {
		msg := *c.msg
		left := int(h.Length) - done
		msg = slices.Grow(msg, min(left, max(inputSize, len(msg))))
		n, err := c.in.Read(msg[len(msg):min(len(msg)+left, cap(msg))])
		if err != nil {
			return noEOF(err)
		}
		*c.msg = msg[:len(msg)+n]
		ws.Cipher((*c.msg)[len(msg):], h.Mask, done)
		if !text.check(*c.msg) {
			return failure{BadData, "the message is not UTF-8"}
		}
		done += n
	}
	return nil
}

func (c *Conn) recycleMessage() {
	if c.msg != nil {
		c.set.recycle(c.msg)
		c.msg = nil
	}
}

// control does what a control frame asks for.
func (c *Conn) control(h ws.Header) error {
	payload := make([]byte, h.Length) // at most 125, and seldom
	if _, err := io.ReadFull(&c.in, payload); err != nil {
		return noEOF(err)
	}
	ws.Cipher(payload, h.Mask, 0)
	if c.set.cfg.ControlCounts {
		c.active.Store(int64(c.set.now()))
	}
	switch h.OpCode {
	case ws.OpPing:
		c.answerPing(payload)
	case ws.OpPong:
		if len(payload) > 0 && c.set.cfg.Pong != nil {
			c.set.cfg.Pong(c, payload)
		}
	case ws.OpClose:
		code, reason, err := parseClose(payload)
		if err != nil {
			return err
		}
		return c.answerClose(code, reason)
	}
	return nil
}

// answerClose replies to the client's close frame, unless it is the reply.
func (c *Conn) answerClose(code int, reason string) error {
	c.mu.Lock()
	c.replied = true
	c.mu.Unlock()
	c.shut(&CloseError{Code: code, Reason: reason, Remote: true}, nil, c.set.cfg.CloseTimeout)
	return io.EOF
}

// linger lets a connection that is closing end in good order: what is queued
// goes out, and the client's close frame comes in. The cutter bounds it.
func (c *Conn) linger() {
	for !c.over {
		_, _ = c.Read() // until the client's close frame
	}
	c.mu.Lock()
	replied, gone := c.replied, c.closed.Code == Abnormal
	c.mu.Unlock()
	if gone {
		c.cut()
	}
	c.settle()
	if !replied && !gone {
		c.halfClose()
	}
	_ = c.nc.Close()
	c.mu.Lock()
	if c.cutter != nil {
		c.cutter.Stop()
	}
	c.mu.Unlock()
}

// halfClose shows a client whose frames make no sense any more that we are done,
// and waits until it is. Closing at once would make the kernel reset the
// connection for what the client still sends, and our close frame might be lost.
func (c *Conn) halfClose() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // the read tells
	}
	_ = c.nc.SetReadDeadline(time.Time{})
	for err := error(nil); err == nil; {
		_, err = c.nc.Read(c.in.small[:])
	}
}

// settle waits until nobody writes.
func (c *Conn) settle() {
	for {
		c.mu.Lock()
		if !c.writing {
			c.mu.Unlock()
			return
		}
		change := c.change()
		c.mu.Unlock()
		<-change
	}
}

// headerError says what is wrong with a frame's header.
func headerError(err error) error {
	if _, ok := errors.AsType[ws.ProtocolError](err); ok || errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
		return failure{Protocol, err.Error()}
	}
	return err
}

// noEOF keeps an end within a frame apart from one between frames.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A validator checks that a growing text is UTF-8, as far as that can be said.
type validator struct{ checked int }

func (v *validator) check(text []byte) bool {
	rest := text[v.checked:]
	whole := len(rest)
	for back := 1; back <= min(utf8.UTFMax-1, len(rest)); back++ {
		i := len(rest) - back
		if utf8.RuneStart(rest[i]) {
			if !utf8.FullRune(rest[i:]) {
				whole = i
			}
			break
		}
	}
	v.checked += whole
	return utf8.Valid(rest[:whole])
}

// complete reports whether text, which has been checked, ends with a whole rune.
func (v *validator) complete(text []byte) bool { return v.checked == len(text) }
