package sse

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxWrite is the most that one write deadline covers. With the default time-out
// of 30 s it cuts clients behind a line of less than half a kilobyte a second.
// A client that reads so slowly by itself may be cut at a higher rate, because
// its kernel asks for more in large steps; it comes back, and misses nothing.
const maxWrite = 16 << 10

// sendBuffer bounds what the kernel queues for one client. The default grows to
// megabytes, of which a third must drain before the next write succeeds: a
// slow client would miss every deadline.
const sendBuffer = 16 << 10

// A Writer writes a streamed response from within its handler: each write is
// on its way to the client when it returns. A client that does not take 16 KiB
// within the time-out is an error.
type Writer struct {
	deadlines
	w  http.ResponseWriter
	rc *http.ResponseController
}

// NewWriter returns a writer on w. The header is the caller's business.
func NewWriter(w http.ResponseWriter, timeout time.Duration) *Writer {
	rc := http.NewResponseController(w)
	return &Writer{deadlines: deadlines{timeout: timeout, set: rc.SetWriteDeadline}, w: w, rc: rc}
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	// A deadline that is left standing would cut an HTTP/2 stream that is
	// merely quiet, and the next response on an HTTP/1.1 connection.
	defer func() { _ = w.rc.SetWriteDeadline(time.Time{}) }()
	return w.writeSlices(p, func(part []byte) (int, error) {
		n, err := w.w.Write(part)
		if err == nil {
			err = w.rc.Flush()
		}
		return n, err
	})
}

// A hijacked connection is written without net/http.
type hijacked struct {
	net.Conn
	deadlines
}

func (h *hijacked) Write(p []byte) (int, error) { return h.writeSlices(p, h.Conn.Write) }

// deadlines gives each piece of a write its time, until a last moment is set.
type deadlines struct {
	timeout time.Duration
	set     func(time.Time) error

	mu      sync.Mutex
	last    time.Time // of any write; zero: none is known yet
	writing bool
}

// endBy sets the last moment, also for a write that has begun.
func (d *deadlines) endBy(last time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = last
	if d.writing {
		_ = d.set(last) // the write had one before, so this cannot be unsupported
	}
}

func (d *deadlines) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = true
	if !d.last.IsZero() {
		return d.set(d.last)
	}
	return d.set(time.Now().Add(d.timeout))
}

func (d *deadlines) done() {
	d.mu.Lock()
	d.writing = false
	d.mu.Unlock()
}

// writeSlices writes p in pieces that each have a deadline of their own.
func (d *deadlines) writeSlices(p []byte, write func([]byte) (int, error)) (n int, err error) {
	defer d.done()
	for n < len(p) {
		if err := d.begin(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return n, fmt.Errorf("sse: set write deadline: %w", err)
		}
		m, err := write(p[n:min(n+maxWrite, len(p))])
		n += m
		if err != nil {
			return n, fmt.Errorf("sse: write: %w", err)
		}
	}
	return n, nil
}

// hijack takes the connection off net/http and starts the response on it. The
// body ends with the connection: every client understands that, and a stream
// that is cut needs no other mark, for its frames say where they end.
func hijack(w http.ResponseWriter, timeout time.Duration) (*hijacked, error) {
	// The buffers that come with the connection hold nothing that matters: a
	// client that has asked for a stream sends no more on this connection.
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	limitSendBuffer(conn)
	return &hijacked{Conn: conn, deadlines: deadlines{timeout: timeout, set: conn.SetWriteDeadline}}, nil
}

func limitSendBuffer(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	if c, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = c.SetWriteBuffer(sendBuffer) // best effort: it is only tuning
	}
}

// writeHead writes the head of a response that net/http does not write.
func writeHead(w io.Writer, h http.Header) error {
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if _, err := io.WriteString(w, "HTTP/1.1 200 OK\r\n"); err != nil {
		return err
	}
	if err := h.Write(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\r\n")
	return err
}
