package wstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Door is what is tested.
type Door struct {
	// Dial connects to the server. The handshake is the suite's.
	Dial func() (net.Conn, error)
	// Target is asked for; empty means /.
	Target string
	// Header has further lines for the request, without their ends.
	Header []string
	// Greeting is how many frames the door sends at the start.
	Greeting int
	// Answer checks the one text message with which the door answers the text
	// message sent. Nil means that it is an echo.
	Answer func(sent, got string) error
	// MaxMessage is the door's limit; 0 means 128 KiB.
	MaxMessage int
}

// A step is something to send, or something that must come back.
type step struct {
	send  []byte
	piece int // send so many bytes at a time; 0: all at once

	text  *string // an answer to this text comes
	pong  *string // this pong comes
	close []int   // a close frame with one of these codes comes, and the connection ends
}

// A testCase is a conversation. Unless its last step is an end, the client then
// closes with 1000 and gets the same back, and nothing in between.
type testCase struct {
	name  string
	steps []step
}

func send(b ...[]byte) step              { return step{send: slices.Concat(b...)} }
func slowly(piece int, b ...[]byte) step { return step{send: slices.Concat(b...), piece: piece} }
func answer(sent string) step            { return step{text: &sent} }
func pong(payload string) step           { return step{pong: &payload} }
func ends(codes ...int) step             { return step{close: codes} }

const patience = 30 * time.Second // for a busy machine; nothing waits that long if all is well

// Run holds a door to all cases.
func Run(t *testing.T, d Door) {
	if d.Target == "" {
		d.Target = "/"
	}
	if d.Answer == nil {
		d.Answer = func(sent, got string) error {
			if sent != got {
				return fmt.Errorf("%d bytes were not echoed: got %d bytes", len(sent), len(got))
			}
			return nil
		}
	}
	if d.MaxMessage == 0 {
		d.MaxMessage = 128 << 10
	}
	all := cases(d.MaxMessage)
	if len(all) < 200 {
		t.Errorf("there are only %d cases", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d.play(t, c)
		})
	}
}

func cases(maxMessage int) []testCase {
	return slices.Concat(framing(), pings(), reserved(), fragments(), texts(), closings(), limits(maxMessage))
}

// A conversation is a connection on which a case is played.
type conversation struct {
	door Door
	conn net.Conn
	in   *bufio.Reader
}

func (d Door) play(t *testing.T, tc testCase) {
	t.Helper()
	c, err := d.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	for i, s := range tc.steps {
		if err := c.do(s); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if s.close != nil {
			return
		}
	}
	if err := c.do(send(closing(1000, ""))); err != nil {
		t.Fatal(err)
	}
	if err := c.do(ends(1000)); err != nil {
		t.Fatalf("at the end: %v", err)
	}
}

func (d Door) connect() (*conversation, error) {
	conn, err := d.Dial()
	if err != nil {
		return nil, err
	}
	c := &conversation{door: d, conn: conn, in: bufio.NewReader(conn)}
	if err := c.shake(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *conversation) shake() error {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	lines := append([]string{
		"GET " + c.door.Target + " HTTP/1.1", "Host: " + c.conn.RemoteAddr().String(), "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, c.door.Header...)
	if _, err := io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != http.StatusSwitchingProtocols || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("the handshake is answered with %s, %q", resp.Status, got)
	}
	for range c.door.Greeting {
		if _, err := readFrame(c.in); err != nil {
			return fmt.Errorf("greeting: %w", err)
		}
	}
	return nil
}

func (c *conversation) do(s step) error {
	switch {
	case s.text != nil:
		return c.expect(opText, func(got string) error { return c.door.Answer(*s.text, got) })
	case s.pong != nil:
		return c.expect(opPong, func(got string) error {
			if got != *s.pong {
				return fmt.Errorf("the pong holds %q, want %q", got, *s.pong)
			}
			return nil
		})
	case s.close != nil:
		return c.expectEnd(s.close)
	}
	return c.write(s)
}

func (c *conversation) write(s step) error {
	piece := s.piece
	if piece == 0 {
		piece = max(1, len(s.send))
	}
	for part := range slices.Chunk(s.send, piece) {
		if _, err := c.conn.Write(part); err != nil {
			// The server may have seen enough; what it has said is to be read.
			if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (c *conversation) expect(op byte, check func(payload string) error) error {
	got, err := readFrame(c.in)
	if err != nil {
		return fmt.Errorf("waiting for frame %x: %w", op, err)
	}
	if got.op != op {
		return fmt.Errorf("got %v, want frame %x", got, op)
	}
	return check(got.payload)
}

// noStatus stands for a close frame without a code.
const noStatus = 1005

// expectEnd wants a close frame with one of the codes, answers it if it was not
// an answer, and wants the server to end the connection.
func (c *conversation) expectEnd(codes []int) error {
	err := c.expect(opClose, func(payload string) error {
		code := noStatus
		if len(payload) >= 2 {
			code = int(binary.BigEndian.Uint16([]byte(payload)))
		}
		if !slices.Contains(codes, code) {
			return fmt.Errorf("closed with %d, want %v", code, codes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, _ = c.conn.Write(closing(1000, "")) // it may be closed already
	// A reset is how a kernel ends what the server has not read to the end.
	if more, err := io.ReadAll(c.in); len(more) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("after the close frame: %q, %w", more, err)
	}
	return nil
}
