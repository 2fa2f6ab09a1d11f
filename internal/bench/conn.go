package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
	"github.com/runnelhq/runnel/internal/sse"
)

const (
	dialTimeout = 10 * time.Second
	// answerTimeout bounds one exchange, with an answer's whole stream.
	answerTimeout = 3 * time.Minute
	maxFrame      = 8 << 20
	maxExcerpt    = 300
)

// A conn speaks HTTP/1.1 on a connection of its own, one request after the
// other, without goroutines: what net/http's client costs would be taken from
// what is measured.
type conn struct {
	net.Conn
	in     *bufio.Reader
	forget func() bool
}

// dial connects to the server of base. When ctx is done, whoever waits for the
// connection gets an error.
func dial(ctx context.Context, base *url.URL) (*conn, error) {
	bounded, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	host, dialer := base.Host, (&net.Dialer{}).DialContext
	if base.Scheme == "https" {
		dialer = (&tls.Dialer{}).DialContext
	}
	if base.Port() == "" {
		host = net.JoinHostPort(base.Hostname(), base.Scheme) // resolvers know both by name
	}
	nc, err := dialer(bounded, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	c := &conn{Conn: nc, in: bufio.NewReader(nc)}
	c.forget = context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(0, 1)) })
	return c, nil
}

// Close closes the connection.
func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// A request is one as it goes over the wire.
type request []byte

// newRequest returns a request for a path of base. A header is its lines, each
// with its end.
func newRequest(base *url.URL, method, path, header string, body any) request {
	content := []byte{}
	if body != nil {
		content, _ = json.Marshal(body) // of texts and numbers: cannot fail
		header += "Content-Type: application/json\r\n"
	}
	target := strings.TrimRight(base.EscapedPath(), "/") + path
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", method, target, base.Host, header, len(content))
	return append(request(head), content...)
}

// send sends a request and returns the response, whose body must be read to its
// end before the next. A status that is no success is an error.
func (c *conn) send(req request) (*http.Response, error) {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if _, err := c.Write(req); err != nil {
		return nil, fmt.Errorf("bench: send request: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, fmt.Errorf("bench: read response: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxExcerpt))
		return nil, fmt.Errorf("bench: the server answers %s: %s", resp.Status, text)
	}
	return resp, nil
}

// call sends a request and decodes the whole answer.
func (c *conn) call(req request, answer any) error {
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("bench: read answer: %w", err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("bench: read answer: %w", err)
	}
	return nil
}

// frames sends a request and hands over each frame of the answer, and when it
// was read, until each returns false or the answer ends.
func (c *conn) frames(req request, each func(f sse.Frame, at time.Time) bool) error {
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	return readFrames(sse.NewReader(resp.Body, maxFrame), each)
}

// A frameReader reads the next frame of a stream; io.EOF is its end.
type frameReader interface{ Next() (sse.Frame, error) }

func readFrames(r frameReader, each func(f sse.Frame, at time.Time) bool) error {
	for {
		f, err := r.Next()
		at := time.Now()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("bench: read stream: %w", err)
		case !each(f, at):
			return nil
		}
	}
}

// tokens sends a request whose answer has want tokens with stamps, and hands
// over each: when the model server wrote it, and when it was read here. An
// answer with any other number of tokens is an error.
func (c *conn) tokens(req request, want int, each func(sent, at time.Time)) error {
	got := 0
	var last []byte
	err := c.frames(req, func(f sse.Frame, at time.Time) bool {
		_, stamps := modelserver.Unstamp(string(f.Data))
		for _, sent := range stamps {
			each(sent, at)
		}
		got += len(stamps)
		last = append(last[:0], f.Data...)
		return true
	})
	if err == nil && got != want {
		err = fmt.Errorf("bench: an answer has %d tokens instead of %d; it ended with %.*s", got, want, maxExcerpt, last)
	}
	return err
}
