package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/runnelhq/runnel/internal/sse"
)

// maxIdleSocket is the target in bytes.
const maxIdleSocket = 8 << 10

// measureWebSockets weighs WebSockets that wait, and shows an answer to many.
func (s *suite) measureWebSockets(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("WebSockets at `/dev`. Memory as for idle viewers: of sockets that do nothing, and of sockets that have subscribed to a session by the "+
		"`runnel` route. Fan-out as for server-sent events, %d events per second; CPU is the gateway's for each event that a viewer gets, the "+
		"model's stream and the log included.", fanOutRate)
	out.Head = []string{"sockets", "sessions", "memory of each", "events delivered", "p50", "p99", "CPU of an event"}
	anyRate := []string{"--websocket-connect-rate", "0"}
	n := s.plan.viewers
	for _, w := range []struct {
		what     string
		sessions int
		open     opener
	}{
		{"an idle WebSocket", 0, openSocket},
		{fmt.Sprintf("an idle WebSocket viewer, %d on %d sessions", n, n), n, openSubscription},
		{fmt.Sprintf("an idle WebSocket viewer, %d on %d sessions", n, s.plan.sessions), s.plan.sessions, openSubscription},
	} {
		without, with, err := s.weigh(ctx, max(1, w.sessions), w.open, anyRate...)
		if err != nil {
			return err
		}
		per := (with - without) / int64(n)
		text := fmt.Sprintf("%.1f KiB", float64(per)/1024)
		s.say("  %s: %s", w.what, text)
		out.row(fmt.Sprint(n), fmt.Sprint(w.sessions), text, "–", "–", "–", "–")
		out.check("memory of "+w.what, text, "≤ 8 KiB", per <= maxIdleSocket)
	}
	for _, n := range s.plan.audiences {
		r, err := s.fanOut(ctx, n, openSubscription, anyRate...)
		if err != nil {
			return err
		}
		each := time.Duration(r.gateway * float64(s.plan.fanOutTime) / float64(r.n))
		s.say("  %d viewers: p50 %s, p99 %s, %s of CPU for an event", n, millis(r.p50), millis(r.p99), micros(each))
		out.row(fmt.Sprint(n), "1", "–", fmt.Sprint(r.n), millis(r.p50), millis(r.p99), micros(each))
		out.find(fmt.Sprintf("fan-out of one session at %d events/s to %d WebSockets, p99", fanOutRate, n),
			fmt.Sprintf("%s, %s of CPU for an event", millis(r.p99), micros(each)))
	}
	return nil
}

// openSocket opens a WebSocket, and nothing more.
func openSocket(c *conn, base *url.URL, _ string) (frameReader, error) {
	return upgrade(c, base, "/dev", "")
}

// openSubscription follows a session over a WebSocket.
func openSubscription(c *conn, base *url.URL, session string) (frameReader, error) {
	frames, err := openSocket(c, base, session)
	if err != nil {
		return nil, err
	}
	command := fmt.Sprintf(`{"action":"runnel","type":"subscribe","id":"1","session":%q}`, session)
	if _, err := c.Write(masked([]byte(command))); err != nil {
		return nil, fmt.Errorf("bench: subscribe: %w", err)
	}
	f, err := frames.Next()
	if err == nil && !bytes.Contains(f.Data, []byte(`"subscribed"`)) {
		err = fmt.Errorf("bench: the server answers %.*s", maxExcerpt, f.Data)
	}
	return frames, err
}

// A socketReader reads the frames of a WebSocket as if they were events.
type socketReader struct{ in *bufio.Reader }

// Next returns the next frame. Its type is that of the event within.
func (r socketReader) Next() (f sse.Frame, err error) {
	var head [10]byte
	if _, err := io.ReadFull(r.in, head[:2]); err != nil {
		return f, err
	}
	n := uint64(head[1])
	size := map[uint64]int{126: 2, 127: 8}[n]
	if size > 0 {
		if _, err := io.ReadFull(r.in, head[10-size:]); err != nil {
			return f, err
		}
		clear(head[2 : 10-size])
		n = binary.BigEndian.Uint64(head[2:])
	}
	if n > maxFrame {
		return f, fmt.Errorf("bench: a frame of %d bytes", n)
	}
	f.Data = make([]byte, n)
	if _, err := io.ReadFull(r.in, f.Data); err != nil {
		return f, err
	}
	_, event, _ := bytes.Cut(f.Data, []byte(`,"data":{"v":1,"type":"`))
	f.Type, _, _ = bytes.Cut(event, []byte(`"`))
	return f, nil
}
