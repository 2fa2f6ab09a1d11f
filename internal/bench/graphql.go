package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/runnelhq/runnel/internal/sse"
)

// measureGraphQL shows an answer to many GraphQL subscribers, next to as many viewers
// of server-sent events.
func (s *suite) measureGraphQL(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("One answer of %d events per second to subscribers of its session at `/graphql/realtime`, each with a socket of its own, "+
		"and to as many SSE viewers in the same run. CPU is the gateway's for each event that a subscriber gets, the projection, the model's stream and "+
		"the log included.", fanOutRate)
	out.Head = []string{"viewers", "over", "events delivered", "p50", "p99", "CPU of an event"}
	n := s.plan.audiences[0]
	var cpu [2]time.Duration
	var p99 [2]time.Duration
	for i, w := range []struct {
		over string
		open opener
	}{{"GraphQL", openGraphQL}, {"SSE", openEvents}} {
		r, err := s.fanOut(ctx, n, w.open)
		if err != nil {
			return err
		}
		cpu[i], p99[i] = time.Duration(r.gateway*float64(s.plan.fanOutTime)/float64(r.n)), r.p99
		s.say("  %d viewers over %s: p50 %s, p99 %s, %s of CPU for an event", n, w.over, millis(r.p50), millis(r.p99), micros(cpu[i]))
		out.row(fmt.Sprint(n), w.over, fmt.Sprint(r.n), millis(r.p50), millis(r.p99), micros(cpu[i]))
	}
	out.find(fmt.Sprintf("fan-out of one session at %d events/s to %d GraphQL subscribers, p99", fanOutRate, n),
		fmt.Sprintf("%s (SSE: %s), %s of CPU for an event (SSE: %s)", millis(p99[0]), millis(p99[1]), micros(cpu[0]), micros(cpu[1])))
	return nil
}

// openGraphQL follows a session as AppSync's clients do.
func openGraphQL(c *conn, base *url.URL, session string) (frameReader, error) {
	frames, err := upgrade(c, base, "/graphql/realtime", "Sec-WebSocket-Protocol: graphql-ws\r\n")
	if err != nil {
		return nil, err
	}
	query, _ := json.Marshal(map[string]any{ // of texts: cannot fail
		"query":     "subscription($s: ID!) { sessionEvents(session: $s) { type text } }",
		"variables": map[string]string{"s": session},
	})
	start, _ := json.Marshal(map[string]any{"id": "1", "type": "start", "payload": map[string]string{"data": string(query)}})
	if _, err := c.Write(masked(start)); err != nil {
		return nil, fmt.Errorf("bench: subscribe: %w", err)
	}
	f, err := frames.Next()
	if err == nil && !bytes.Contains(f.Data, []byte(`"start_ack"`)) {
		err = fmt.Errorf("bench: the server answers %.*s", maxExcerpt, f.Data)
	}
	return graphqlReader{frames}, err
}

// A graphqlReader reads the events that a subscription gets.
type graphqlReader struct{ socketReader }

// Next returns the next frame. Its type is that of the event within.
func (r graphqlReader) Next() (sse.Frame, error) {
	f, err := r.socketReader.Next()
	_, event, _ := bytes.Cut(f.Data, []byte(`{"sessionEvents":{"type":"`))
	f.Type, _, _ = bytes.Cut(event, []byte(`"`))
	return f, err
}

// upgrade makes a WebSocket of a connection.
func upgrade(c *conn, base *url.URL, path, header string) (socketReader, error) {
	resp, err := c.send(newRequest(base, http.MethodGet, path, "Connection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+header, nil))
	if err != nil {
		return socketReader{}, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return socketReader{}, fmt.Errorf("bench: the server answers %s", resp.Status)
	}
	return socketReader{c.in}, nil
}

// masked returns the frame of a message: masked, as clients must, with zeros. The
// longer form of a length is for any.
func masked(message []byte) []byte {
	return append([]byte{0x81, 0x80 | 126, byte(len(message) >> 8), byte(len(message)), 0, 0, 0, 0}, message...)
}
