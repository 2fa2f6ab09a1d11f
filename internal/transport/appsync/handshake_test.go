package appsync_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const (
	hello = `{"type":"connection_init"}`
	ack   = `{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}`
	ka    = `{"type":"ka"}`
	bad   = `{"type":"connection_error","payload":{"errors":[{"errorType":"UnauthorizedException",` +
		`"message":"You are not authorized to make this call.","errorCode":401}]}}`
)

func TestItem21(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for _, path := range []string{"/graphql/realtime", "/graphql", "/realtime", "/graphql/realtime/"} {
		c := r.dial(t, path, "graphql-ws")
		c.send(hello)
		c.expect(ack, ka)
	}
}

func TestItem22(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	header := coded(map[string]string{"host": "h", "x-api-key": g.apiKey})
	for _, offered := range [][]string{{"graphql-ws", header}, {header, "graphql-ws"}} {
		c := r.dial(t, "/graphql/realtime", offered...)
		c.send(hello)
		c.expect(ack, ka)
	}
}

func TestItem23(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	// The padding and the letters + and / of base64, as they come.
	for _, filler := range []string{"", ">>>???", "a", "ab"} {
		data, _ := json.Marshal(map[string]string{"x-api-key": g.apiKey, "x": filler})
		data = []byte(strings.NewReplacer(`\u003e`, ">").Replace(string(data)))
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			c := r.dial(t, "/graphql/realtime?header="+encoding.EncodeToString(data)+"&payload=e30=", "graphql-ws")
			c.send(hello)
			c.expect(ack, ka)
		}
	}
}

func TestItem24(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, r.url+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-ws"}, HTTPHeader: http.Header{"X-Api-Key": {g.apiKey}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	c := &client{t, ws}
	c.send(hello)
	c.expect(ack, ka)
}

func TestItem25(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.dial(t, "/graphql/realtime", coded(map[string]string{"host": "h"}), "graphql-ws")
	if got := c.ws.Subprotocol(); got != "graphql-ws" {
		t.Errorf("the subprotocol is %q", got)
	}
}

func TestItem26(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	for _, header := range []string{coded(map[string]string{"x-api-key": "da2-wrong"}), "header-" + base64.RawURLEncoding.EncodeToString([]byte("{}"))} {
		c := r.dial(t, "/graphql/realtime", "graphql-ws", header)
		c.send(hello)
		c.expect(bad)
		c.expectClose(websocket.StatusNormalClosure)
	}
	c := r.dial(t, "/graphql/realtime", "graphql-ws", "header-!")
	c.send(hello)
	if got := c.read(); !strings.Contains(got, `"errorType":"BadRequestException"`) || !strings.Contains(got, `"errorCode":400`) {
		t.Errorf("got %s", got)
	}
	c.expectClose(websocket.StatusNormalClosure)
}

// A client that offers no protocol that is known is told so.
func TestNoProtocol(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for message, offered := range map[string][]string{"NoProtocolError": nil, "SubProtocolNotSupportedError": {"soap"}} {
		c := r.dial(t, "/graphql/realtime", offered...)
		c.send(hello)
		c.expect(`{"type":"connection_error","payload":{"errors":[{"message":"` + message + `","errorCode":400}]}}`)
		c.expectClose(websocket.StatusNormalClosure)
	}
}

func TestItem27(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"host": "api.example.com:444", "x-api-key": g.apiKey}))
	c.send(hello)
	c.expect(ack, ka)
}

func TestItem28(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	host := strings.TrimPrefix(r.url, "http://")
	for path, signed := range map[string]string{"/graphql/realtime": "/graphql/connect", "/graphql": "/graphql/connect"} {
		c := r.dial(t, path, "graphql-ws", coded(sign(host, signed, "{}", "content-encoding", "amz-1.0")))
		c.send(hello)
		c.expect(ack, ka)
	}
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(sign(host, "/graphql", "{}")))
	c.send(hello)
	c.expect(bad)
}

func TestItem29(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.dial(t, "/graphql/realtime?x-mine=1&y", "graphql-ws")
	c.send(hello)
	c.expect(ack, ka)
}

func TestItem31(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.connect(t)
}

func TestItem32(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.dial(t, "/graphql/realtime", "graphql-ws")
	c.send(hello)
	c.send(`{"id":"1","type":"start","payload":{"data":"{\"query\":\"subscription { chat }\"}"}}`)
	c.expect(ack, ka, `{"type":"start_ack","id":"1"}`)
}

// Credentials that end take their subscription with them, and the socket when it
// is theirs.
func TestExpiry(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	cfg.Mode = "AMAZON_COGNITO_USER_POOLS"
	r := start(t, says(), cfg)
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"x-api-key": g.apiKey}))
	c.send(hello)
	c.expect(ack, ka)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`, "Authorization", g.token("access", 6*time.Second))
	c.expect(
		`{"type":"start_ack","id":"`+uuid+`"}`,
		`{"type":"error","id":"`+uuid+`","payload":{"errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call."}]}}`,
	)
	own := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"Authorization": g.token("access", 6*time.Second)}))
	own.send(hello)
	own.expect(ack, ka)
	own.expectClose(4401)
}
