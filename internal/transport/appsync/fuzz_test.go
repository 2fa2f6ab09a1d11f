package appsync_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// FuzzMessage sends anything to sockets of all protocols: they answer, or close, and
// the next client is served.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		hello, `{"id":"1","type":"start","payload":{"data":"{\"query\":\"subscription { chat }\"}"}}`, `{"id":"1","type":"stop"}`,
		`{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}`, `{"type":"complete","id":"1"}`, `{"type":"ping"}`,
		`{"type":"subscribe","id":"a","channel":"default/*"}`, `{"type":"publish","id":"p","channel":"default/x","events":["1"]}`,
		`{"type":"unsubscribe","id":"a"}`, `[]`, `null`, `{"type":1}`, `{"id":"1","type":"start","payload":{"data":"{}","extensions":{"authorization":[]}}}`,
	} {
		f.Add(seed)
	}
	r := start(f, says(), appsync.Config{})
	f.Fuzz(func(t *testing.T, message string) {
		for path, protocol := range map[string]string{
			"/graphql/realtime": "graphql-ws", "/graphql": "graphql-transport-ws", "/event/realtime": "aws-appsync-event-ws",
		} {
			c := r.dial(t, path, protocol, coded(map[string]string{"host": "h"}))
			c.send(hello)
			c.read() // the acknowledgement
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			_ = c.ws.Write(ctx, websocket.MessageText, []byte(message))
			_ = c.ws.Write(ctx, websocket.MessageText, []byte(`{"type":"subscribe","id":"last","channel":"default/x","payload":{"query":"{ __typename }"}}`))
			if _, _, err := c.ws.Read(ctx); err != nil && ctx.Err() != nil {
				t.Errorf("%s: no answer to %q", protocol, message)
			}
			cancel()
			_ = c.ws.CloseNow()
		}
	})
}

// FuzzHandshake offers anything as a header object.
func FuzzHandshake(f *testing.F) {
	for _, seed := range []string{"", "e30", "e30=", "eyJob3N0IjoiaCJ9", "!", "W10", "bnVsbA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		header, err := appsync.DecodeHeader(text)
		if err == nil && header == nil {
			t.Errorf("%q is neither an object nor refused", text)
		}
	})
}
