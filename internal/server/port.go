package server

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tlsHandshake is the first byte of every connection that speaks TLS, and
	// of none that speaks HTTP.
	tlsHandshake = 0x16
	// maxSilent is how many connections may be open that have sent nothing yet.
	// The oldest makes room for the next one: a client that means it sends its
	// first byte as soon as it is connected.
	maxSilent = 4096
)

// A port is a listener whose connections have begun to speak, and are encrypted
// if they begin with TLS. A connection costs a goroutine until its first byte
// has come, for which it has some time, and none of the port's after that.
type port struct {
	ln      net.Listener
	tls     *tls.Config   // nil: whatever comes is taken for HTTP
	timeout time.Duration // for the first byte
	max     int64         // connections at once
	refused func()        // told of a connection too many

	open   atomic.Int64 // connections that are not closed yet
	ready  chan accepted
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	silent list.List // of *conn, the oldest first
}

// accepted is what [port.Accept] returns.
type accepted struct {
	conn net.Conn
	err  error
}

// run accepts connections until the port is closed. When it returns, no goroutine of the port's is left.
func (p *port) run() {
	var listening sync.WaitGroup
	defer listening.Wait()
	for {
		raw, err := p.ln.Accept()
		if err != nil {
			p.mu.Lock()
			p.evict() // too many open files, perhaps
			p.mu.Unlock()
			// net/http waits before it asks again, or closes the port.
			if !p.deliver(accepted{err: err}) {
				return
			}
			continue
		}
		c := &conn{Conn: raw, open: &p.open}
		if p.open.Add(1) > p.max && !p.makeRoom() {
			p.refused()
			_ = c.Close()
			continue
		}
		place := p.add(c)
		listening.Go(func() { p.listen(c, place) })
	}
}

// listen waits for a connection's first byte, and hands it on.
func (p *port) listen(c *conn, place *list.Element) {
	var first [1]byte
	_ = c.Conn.SetReadDeadline(time.Now().Add(p.timeout))
	n, err := c.Conn.Read(first[:])
	if !p.remove(place) || n == 0 || err != nil {
		_ = c.Close()
		return
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
	c.first, c.unread = first[0], true
	var spoken net.Conn = c
	if p.tls != nil && first[0] == tlsHandshake {
		spoken = tls.Server(c, p.tls)
	}
	if !p.deliver(accepted{conn: spoken}) {
		_ = c.Close()
	}
}

// deliver reports whether somebody has taken a, which nobody does once the port
// is closed.
func (p *port) deliver(a accepted) bool {
	select {
	case p.ready <- a:
		return true
	case <-p.closed:
		return false
	}
}

// add notes that c is silent.
func (p *port) add(c *conn) *list.Element {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent.Len() >= maxSilent {
		p.evict()
	}
	place := p.silent.PushBack(c)
	select {
	case <-p.closed: // since it was accepted; Close has not seen it
		p.evict()
	default:
	}
	return place
}

// remove reports whether the connection was still among the silent ones.
func (p *port) remove(place *list.Element) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place.Value == nil {
		return false
	}
	p.silent.Remove(place)
	return true
}

// evict cuts off the connection that has been silent for longest, and reports
// whether there was one. The caller holds mu.
func (p *port) evict() bool {
	oldest := p.silent.Front()
	if oldest == nil {
		return false
	}
	c, _ := p.silent.Remove(oldest).(*conn)
	oldest.Value = nil
	_ = c.Close() // does not block: nothing is buffered
	return true
}

func (p *port) makeRoom() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.evict()
}

// Accept implements [net.Listener].
func (p *port) Accept() (net.Conn, error) {
	select {
	case a := <-p.ready:
		return a.conn, a.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. It cuts off those who have said nothing.
func (p *port) Close() error {
	p.once.Do(func() { close(p.closed) })
	err := p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.evict() {
	}
	return err
}

// Addr implements [net.Listener].
func (p *port) Addr() net.Addr { return p.ln.Addr() }

// A conn gives its first byte back, and counts itself.
type conn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
	first  byte
	unread bool // first is still to be read; owned by whoever reads
}

// Read implements [io.Reader].
func (c *conn) Read(p []byte) (int, error) {
	if c.unread && len(p) > 0 {
		c.unread = false
		p[0] = c.first
		return 1, nil
	}
	return c.Conn.Read(p)
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// CloseWrite is for net/http, whose last answer would be lost without it to a
// client that is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetWriteBuffer is for streams, which bound what the kernel queues.
func (c *conn) SetWriteBuffer(bytes int) error {
	if tuned, ok := c.Conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		return tuned.SetWriteBuffer(bytes)
	}
	return errors.ErrUnsupported
}
