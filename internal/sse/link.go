package sse

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// NewWriter returns a writer on w. The header is the caller's business.
func NewWriter(w http.ResponseWriter, timeout time.Duration) *Writer {
	return &Writer{w: w, rc: http.NewResponseController(w), timeout: timeout}
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	// A deadline that is left standing would cut an HTTP/2 stream that is
	// merely quiet, and the next response on an HTTP/1.1 connection.
	defer func() { _ = w.rc.SetWriteDeadline(time.Time{}) }()
	return writeSlices(p, w.timeout, w.rc.SetWriteDeadline, func(part []byte) (int, error) {
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
	timeout time.Duration
}

func (h hijacked) Write(p []byte) (int, error) {
	return writeSlices(p, h.timeout, h.SetWriteDeadline, h.Conn.Write)
}

// writeSlices writes p in pieces that each have a deadline of their own.
func writeSlices(p []byte, timeout time.Duration, deadline func(time.Time) error, write func([]byte) (int, error)) (n int, err error) {
	for n < len(p) {
		if err := deadline(time.Now().Add(timeout)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
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
func hijack(w http.ResponseWriter, timeout time.Duration) (hijacked, error) {
	// The buffers that come with the connection hold nothing that matters: a
	// client that has asked for a stream sends no more on this connection.
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return hijacked{}, err
	}
	limitSendBuffer(conn)
	return hijacked{Conn: conn, timeout: timeout}, nil
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
