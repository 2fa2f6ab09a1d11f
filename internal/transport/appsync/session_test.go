package appsync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const startAck = `{"type":"start_ack","id":"` + uuid + `"}`

func TestItem34(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	c.start("other", "subscription { x }", `{}`)
	if got := c.read(); !strings.HasPrefix(got, `{"type":"error","id":"other","payload":{"errors":[{"path":null,`) || !strings.Contains(got, "FieldUndefined") {
		t.Errorf("got %s", got)
	}
}

func TestItem35(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.send(`{"id":"1","type":"start","payload":{"data":{"query":"subscription { chat }"}}}`)
	c.expect(`{"type":"error","payload":{"errors":[{"errorType":"UnsupportedOperation","message":"unknown not supported through the realtime channel"}]}}`)
	c.send(`{"id":"1","type":"start","payload":{"data":"meow"}}`)
	c.expect(`{"type":"error","id":"1","payload":{"errors":[{"errorType":"MalformedHttpRequestException","message":"Unable to parse GraphQL query."}]}}`)
	c.send(`{"id":"1","type":"start","payload":{"data":"{\"query\":\"subscription { chat }\"}"}}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
}

func TestItem36(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"x-api-key": g.apiKey}))
	c.send(hello)
	c.expect(ack, ka)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`, "Authorization", g.token("access", time.Hour))
	c.expect(startAck)
	c.start("2", onSendMessage, `{"sessionId":"s"}`, "X-Api-Key", g.apiKey, "x-amz-user-agent", "aws-amplify/6")
	c.expect(`{"type":"start_ack","id":"2"}`)
	c.start("3", onSendMessage, `{"sessionId":"s"}`, "x-api-key", "da2-wrong")
	c.expect(`{"type":"error","id":"3","payload":{"errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call."}]}}`)
	c.start("4", onSendMessage, `{"sessionId":"s"}`, "x-api-key", g.apiKey, "X-Api-Key", g.apiKey) // Apollo's link
	c.expect(`{"type":"start_ack","id":"4"}`)
}

func TestItem37(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	host := strings.TrimPrefix(r.url, "http://")
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"x-api-key": g.apiKey}))
	c.send(hello)
	c.expect(ack, ka)
	const data = `{"query":"subscription {\n  chat\n}\n","variables":{"x":"<>&"}}`
	begin := func(id, data string, header map[string]string) {
		c.send(`{"id":"` + id + `","type":"start","payload":{"data":` + string(quote(data)) +
			`,"extensions":{"authorization":` + string(asJSON(header)) + `}}}`)
	}
	begin("1", data, sign(host, "/graphql", data, "accept", "application/json, text/javascript"))
	c.expect(`{"type":"start_ack","id":"1"}`)
	begin("2", data+" ", sign(host, "/graphql", data))
	if got := c.read(); !strings.Contains(got, `"id":"2"`) || !strings.Contains(got, "UnauthorizedException") {
		t.Errorf("got %s", got)
	}
}

func TestItem40(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.send(`{"id":"nobody","type":"stop"}`)
	c.expect(`{"type":"complete","id":"nobody"}`)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	c.send(`{"id":"` + uuid + `","type":"stop"}`)
	c.expect(`{"type":"complete","id":"` + uuid + `"}`)
}

// Nothing comes before the acknowledgement, or after the end, whatever happens
// meanwhile. An id that was stopped can be used at once.
func TestItem39(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	ctx, stop := context.WithCancel(t.Context())
	published := make(chan struct{})
	go func() {
		defer close(published)
		for ctx.Err() == nil {
			_, _ = r.core.Publish(ctx, runnel.Publication{Session: "s", Type: runnel.EventDelta, Text: "x"})
		}
	}()
	defer func() { stop(); <-published }()
	for range 20 {
		c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
		c.expect(startAck)
		c.read()
		c.send(`{"id":"` + uuid + `","type":"stop"}`)
		for {
			got := c.read()
			if got == `{"type":"complete","id":"`+uuid+`"}` {
				break
			}
			if !strings.HasPrefix(got, `{"type":"data"`) {
				t.Fatalf("got %s", got)
			}
		}
	}
}

func TestItem41(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for range 2 {
		c := r.connect(t)
		c.start("1", onSendMessage, `{"sessionId":"s"}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
	}
}

func TestItem42(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	c.start(uuid, onSendMessage, `{"sessionId":"other"}`)
	c.expect(`{"type":"error","id":"` + uuid + `","payload":{"errors":[{"errorType":"DuplicatedOperationError","message":"Duplicated operation with id ` + uuid + `"}]}}`)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	r.tell(t, m, "s", "one")
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one"))
}

func TestItem43(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	for _, text := range []string{"meow", `{"type":"x","id":"1"}`, `[]`, `{"type":"start"}`, `{"type":"stop"}`} {
		c.send(text)
		c.expect(`{"type":"error","payload":{"errors":[{"errorType":"UnsupportedOperation","message":"unknown not supported through the realtime channel"}]}}`)
	}
	c.start("mine", "subscription { onSendMessage { message } }", `{}`)
	if got := c.read(); !strings.HasPrefix(got, `{"type":"error","id":"mine",`) {
		t.Errorf("got %s", got)
	}
}

func TestItem46(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	for kind, query := range map[string]string{"query": "{ __typename }", "mutation": "mutation { ModelSet }"} {
		c.start("1", query, `{}`)
		if got := c.read(); !strings.Contains(got, `"id":"1"`) || !strings.Contains(got, `"errorType":"UnsupportedOperation"`) ||
			!strings.Contains(got, kind+" not supported through the realtime channel") {
			t.Errorf("got %s", got)
		}
	}
}

func TestItem47(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	for i := range 200 {
		c.start(fmt.Sprint(i), onSendMessage, fmt.Sprintf(`{"sessionId":"s%d"}`, i))
	}
	acked := map[string]bool{}
	for range 200 {
		acked[c.read()] = true
	}
	for i := range 200 {
		if want := fmt.Sprintf(`{"type":"start_ack","id":"%d"}`, i); !acked[want] {
			t.Errorf("%d has no acknowledgement", i)
		}
	}
	c.start("one more", onSendMessage, `{"sessionId":"s"}`)
	c.expect(`{"type":"error","id":"one more","payload":{"errors":[{"errorType":"MaxSubscriptionsReachedError","message":"Max number of 200 subscriptions reached"}]}}`)
}

func TestItem50(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	gone, stays := r.connect(t), r.connect(t)
	for _, c := range []*client{gone, stays} {
		c.start("1", onSendMessage, `{"sessionId":"s"}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
	}
	r.leave(gone, 2) // which waits for its subscriptions
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	r.tell(t, m, "s", "one")
	stays.expect(message("1", "s", "#START_STREAM#"), message("1", "s", "one"))
}

// The same id on a new socket goes on where the old one was, whether the answer has
// ended in between or not, and a new question is a new answer.
func TestResume(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	question := func() { r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`) }
	begin := func() *client {
		c := r.connect(t)
		c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
		c.expect(startAck)
		return c
	}
	c := begin()
	question()
	r.tell(t, m, "s", "one ")
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "))
	r.leave(c, 1)
	r.tell(t, m, "s", "two ", "three ", "four ", "five ", "six ", "seven ")

	c = begin()
	c.expect(message(uuid, "s", "two three four five six seven "))
	other := r.connect(t) // somebody else's
	other.start("22222222-2222-2222-2222-222222222222", onSendMessage, `{"sessionId":"s"}`)
	other.expect(`{"type":"start_ack","id":"22222222-2222-2222-2222-222222222222"}`,
		message("22222222-2222-2222-2222-222222222222", "s", "#START_STREAM#"))
	r.leave(c, 2)
	r.tell(t, m, "s", "eight")
	m <- "" // the model fails
	r.await(t.Context(), t, "s", runnel.Cursor{}, func(ev *runnel.Event) bool { return ev.Type == runnel.EventFailed })

	c = begin()
	c.expect(message(uuid, "s", "eight"),
		message(uuid, "s", "Sorry, I was not able to answer your question."), message(uuid, "s", "#STREAM_ERROR#"))
	r.leave(c, 2)
	question()
	r.tell(t, m, "s", "next")

	c = begin()
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "next"))
	close(m)
	c.expect(message(uuid, "s", "#END_STREAM#"))
}

func TestItem33(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{Beat: time.Millisecond})
	c := r.dial(t, "/graphql/realtime", "graphql-ws")
	c.start("1", onSendMessage, `{"sessionId":"s"}`)
	beats, busy := 0, 0
	for beats < 5 || busy < 5 {
		switch got := c.read(); {
		case got == ka:
			beats++
		case strings.HasPrefix(got, `{"type":"data","id":"1"`):
			busy++
		case !strings.Contains(got, "ack"):
			t.Fatalf("got %s", got)
		}
		_, err := r.core.Publish(t.Context(), runnel.Publication{Session: "s", Type: runnel.EventDelta, Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestItem45(t *testing.T) {
	t.Parallel()
	limits, err := limit.New(limit.Config{Default: limit.Limits{Rate: 0.001, Burst: 3}}, limit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, says(), appsync.Config{Limits: limits})
	c := r.connect(t) // which takes two: the handshake and the hello
	c.start("1", "subscription { chat }", `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	c.start("2", "subscription { chat }", `{}`)
	if got := c.read(); !strings.HasPrefix(got, `{"type":"error","id":"2","payload":{"errors":[{"errorType":"LimitExceededError","message":"Rate limit exceeded`) {
		t.Errorf("got %s", got)
	}
	got := r.ask(t, "mutation { ModelSet }", "")
	if got.status != 429 || got.header.Get("x-amzn-ErrorType") != "ThrottlingException" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s with %v", got.status, got.body, got.header)
	}
}

// Frames are text: that is what reading insists on.
func TestItem48(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	kind, _, err := r.dialled(t).ws.Read(t.Context())
	if err != nil || kind != websocket.MessageText {
		t.Errorf("got a frame of kind %v, %v", kind, err)
	}
}

func (r *rig) dialled(t testing.TB) *client {
	c := r.dial(t, "/graphql/realtime", "graphql-ws")
	c.send(hello)
	return c
}

func TestItem49(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{Lifetime: 50 * time.Millisecond}) // in place of a day
	r.dial(t, "/graphql/realtime", "graphql-ws").expectClose(1001)
}
