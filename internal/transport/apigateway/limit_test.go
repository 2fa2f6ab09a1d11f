package apigateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsconn"
)

func TestItem37(t *testing.T) {
	t.Parallel()
	c := start(t, says(), apigateway.Config{}).connect(t, "/dev")
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.expectClose(websocket.StatusUnsupportedData, "")
}

func TestItem38(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$default", back.url))
	c := r.connect(t, "/dev")
	c.send(strings.Repeat("x", 131_072))
	if n := len(*back.next(t, "MESSAGE").Body); n != 131_072 {
		t.Errorf("the handler got %d bytes", n)
	}
	_ = c.ws.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("x", 131_073))) // may be cut off within it
	c.expectClose(websocket.StatusMessageTooBig, "")
}

func TestItem39(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	cfg := api("$default", back.url)
	cfg.Conns.MaxFrame = 32 << 10
	c := start(t, says(), cfg).connect(t, "/dev")
	w, err := c.ws.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("0123456789abcdef", 100<<10/16)
	for part := want; part != ""; {
		n := min(len(part), 10_000)
		if _, err := w.Write([]byte(part[:n])); err != nil {
			t.Fatal(err)
		}
		part = part[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := *back.next(t, "MESSAGE").Body; got != want {
		t.Errorf("the handler got %d bytes, want %d", len(got), len(want))
	}
	// With API Gateway's bound, a frame that is longer is refused.
	_ = c.ws.Write(t.Context(), websocket.MessageText, []byte(want))
	c.expectClose(websocket.StatusMessageTooBig, "")
}

func TestItem40(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]wsconn.Config{
		"idle": {Idle: 20 * time.Millisecond},
		"old":  {MaxAge: 20 * time.Millisecond},
	} {
		c := start(t, says(), apigateway.Config{Conns: cfg}).connect(t, "/dev")
		if got := c.expectClose(websocket.StatusGoingAway, "Going away"); got != nil {
			t.Errorf("%s: got %q before the end", name, got)
		}
	}
}

// $disconnect is asked once, whoever closes.
func TestItem41(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	cfg := api("$default", back.url, "$disconnect", back.url)
	r := start(t, says(), cfg)
	for _, tt := range []struct {
		name   string
		end    func(c *client, id string)
		code   int
		reason string
	}{
		{"normally", func(c *client, _ string) { _ = c.ws.Close(websocket.StatusNormalClosure, "") }, 1000, "Connection Closed Normally"},
		{"with a reason", func(c *client, _ string) { _ = c.ws.Close(4242, "tab closed") }, 4242, "tab closed"},
		{"cut", func(c *client, _ string) { _ = c.ws.CloseNow() }, 1006, ""},
		{"from outside", func(c *client, id string) {
			if resp, _ := r.do(t, "DELETE", "/dev/@connections/"+id, ""); resp.StatusCode != 204 {
				t.Errorf("delete: %s", resp.Status)
			}
			c.expectClose(websocket.StatusNormalClosure, "Connection Closed Normally")
		}, 1000, "Connection Closed Normally"},
	} {
		c := r.connect(t, "/dev")
		c.send("who am I?")
		id := back.next(t, "MESSAGE").Context.ConnectionID
		tt.end(c, id)
		ev := back.next(t, "DISCONNECT").Context
		if ev.ConnectionID != id || ev.DisconnectStatusCode != tt.code || ev.DisconnectReason != tt.reason || ev.RouteKey != "$disconnect" {
			t.Errorf("%s: %+v, want %d %q", tt.name, ev, tt.code, tt.reason)
		}
	}
	if len(back.events) != 0 {
		t.Error("it was asked more often")
	}
}

func TestItem42(t *testing.T) {
	t.Parallel()
	c := start(t, says(), apigateway.Config{}).connect(t, "/dev")
	ctx := c.ws.CloseRead(t.Context())
	for range 3 { // the client checks the payload
		if err := c.ws.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// What happens in a session is not shown to a connection that names it, unless
// it asks.
func TestItem43(t *testing.T) {
	t.Parallel()
	r := start(t, says("secret"), apigateway.Config{Conns: wsconn.Config{Beat: time.Millisecond}})
	c := r.connect(t, "/dev?sessionId=s")
	receipt, err := r.core.Submit(t.Context(), runnel.Submission{Prompt: runnel.Prompt{
		Session: "s", Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, receipt)
	c.send(`{"action":"ping"}`)
	c.expectSilence()
}

// await reads a session until a generation has ended.
func (r *rig) await(t *testing.T, receipt runnel.Receipt) {
	t.Helper()
	for after := receipt.Cursor; ; {
		events, err := r.core.Read(t.Context(), receipt.Session, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Generation == receipt.Generation && ev.Type.Terminal() {
				return
			}
			after = ev.Cursor
		}
	}
}

// Limits of principals are answered in the door's own form.
func TestPrincipalLimits(t *testing.T) {
	t.Parallel()
	limits, err := limit.New(limit.Config{Default: limit.Limits{Rate: 1e-6, Burst: 3, Connections: 1, MaxFrame: 100}}, limit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, says(), apigateway.Config{Limits: limits})
	c := r.connect(t, "/dev") // one request, one connection
	if body := r.refused(t, "/dev", 429); body != `{"message":"Too Many Requests"}` {
		t.Errorf("got %s", body)
	}
	c.send(`{"action":"ping"}`) // the third request
	c.send(`{"action":"ping"}`)
	c.expectError("Too Many Requests")
	c.send(strings.Repeat(" ", 101))
	c.expectClose(websocket.StatusMessageTooBig, "the message has 101 bytes; the limit is 100")
}
