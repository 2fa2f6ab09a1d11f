package wsconn_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// canned is a connection on which the client has sent all it will.
type canned struct {
	in   *bytes.Reader
	mu   sync.Mutex
	sent bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error) { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.Write(p)
}
func (*canned) Close() error                     { return nil }
func (*canned) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (*canned) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// A hijacker gives a request's connection away.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// serveBytes lets a connection read what a client has sent, and returns the
// messages, how it ended, and what the client was sent behind the handshake.
func serveBytes(t *testing.T, cfg wsconn.Config, sent []byte) (msgs []string, end *wsconn.CloseError, answer []byte) {
	t.Helper()
	conns := wsconn.NewConns(cfg)
	conn := &canned{in: bytes.NewReader(sent)}
	done := make(chan struct{})
	w := hijacker{httptest.NewRecorder(), conn}
	err := conns.Serve(w, request(func(*http.Request) {}), func(c *wsconn.Conn) {
		defer close(done)
		for {
			msg, err := c.Read()
			if err != nil {
				end, _ = errors.AsType[*wsconn.CloseError](err)
				return
			}
			msgs = append(msgs, string(msg))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if err := conns.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, answer, _ = bytes.Cut(conn.sent.Bytes(), []byte("\r\n\r\n"))
	return msgs, end, answer
}

// FuzzRead holds the reader to what it promises its doors about any bytes: they
// are split as a plain decoder splits them, and what is delivered is sound.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		hi + hi, "\x88\x82\x00\x00\x00\x00\x03\xe8", "\x01\x81\x01\x02\x03\x04a\x89\x80\x00\x00\x00\x00\x80\x81\x00\x00\x00\x00b",
		"\x81\xfe\x00\x02\x00\x00\x00\x00hi", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01", "\x82\x80\x00\x00\x00\x00",
		"\xc1\x80\x00\x00\x00\x00", "\x81\x02hi", "\x81\x81\x00\x00\x00\x00\xff",
	} {
		f.Add([]byte(seed))
	}
	const maxMessage, maxFrame = 600, 400 // beyond the small buffer
	f.Fuzz(func(t *testing.T, sent []byte) {
		cfg := wsconn.Config{MaxMessage: maxMessage, MaxFrame: maxFrame}
		got, end, answer := serveBytes(t, cfg, sent)
		want, code := decode(sent, maxMessage, maxFrame)
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range got {
			if got[i] != want[i] || !utf8.ValidString(got[i]) {
				t.Errorf("message %d is %q, want %q", i, got[i], want[i])
			}
		}
		if end == nil || end.Code != code {
			t.Errorf("ended with %v, want %d", end, code)
		}
		if code != wsconn.Abnormal && (len(answer) < 2 || answer[len(answer)-int(answer[len(answer)-lastFrame(answer)+1])-2] != 0x88) {
			t.Errorf("the last frame of %q does not close", answer)
		}
	})
}

// lastFrame returns the size of the last of frames that are all short.
func lastFrame(frames []byte) int {
	size := 0
	for len(frames) > 0 {
		size = 2 + int(frames[1])
		frames = frames[size:]
	}
	return size
}

// decode is RFC 6455 written down once more, without any regard for speed.
func decode(b []byte, maxMessage, maxFrame int) (msgs []string, code int) {
	var open bool
	var msg []byte
	for {
		if len(b) < 2 {
			return msgs, wsconn.Abnormal
		}
		final, bits, op, hasMask, n := b[0]&0x80 != 0, b[0]&0x70, b[0]&0xf, b[1]&0x80 != 0, uint64(b[1]&0x7f)
		size := 0
		switch n {
		case 126:
			size = 2
		case 127:
			size = 8
		}
		maskSize := 0
		if hasMask {
			maskSize = 4
		}
		if len(b) < 2+size+maskSize {
			return msgs, wsconn.Abnormal
		}
		if size > 0 {
			n = 0
			for _, v := range b[2 : 2+size] {
				n = n<<8 | uint64(v)
			}
		}
		control := op >= 8
		switch {
		case n>>63 != 0, bits != 0, !hasMask, op > 2 && op < 8, op > 10, control && (n > 125 || !final),
			!control && open != (op == 0):
			return msgs, wsconn.Protocol
		case op == 2:
			return msgs, wsconn.Unsupported
		case !control && (n > uint64(maxFrame) || n > uint64(maxMessage-len(msg))):
			return msgs, wsconn.TooBig
		}
		mask, rest := b[2+size:2+size+4], b[2+size+4:]
		have := min(int(n), len(rest))
		payload := make([]byte, have)
		for i := range have {
			payload[i] = rest[i] ^ mask[i%4]
		}
		if control {
			if have < int(n) {
				return msgs, wsconn.Abnormal
			}
			b = rest[n:]
			if op != 8 {
				continue
			}
			switch code, _, err := wsconn.ParseClose(payload); {
			case err != nil:
				return msgs, err.Code()
			default:
				return msgs, code
			}
		}
		msg = append(msg, payload...)
		if (have == int(n) && final && !utf8.Valid(msg)) || doomed(msg) {
			return msgs, wsconn.BadData
		}
		if have < int(n) {
			return msgs, wsconn.Abnormal
		}
		b, open = rest[n:], !final
		if final {
			msgs, msg = append(msgs, string(msg)), nil
		}
	}
}

// doomed reports whether no text can begin so.
func doomed(text []byte) bool {
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			return true
		}
		text = text[size:]
	}
	return false
}
