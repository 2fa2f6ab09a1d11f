package appsync_test

import (
	"bufio"
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// endingAPI is a schema with a mutation that ends subscriptions.
func endingAPI() appsync.Config {
	return appsync.Config{
		Mode: graphql.ModeUnchecked,
		API: gqlapi.API{Schema: []string{"x"}, Fields: []gqlapi.Binding{
			{Field: "Mutation.say", Do: gqlapi.Constant, Result: `{"group":"$args.group","text":"$args.text"}`},
			{Field: "Subscription.tokens", Do: gqlapi.View, Session: "session", Result: "$text"},
			{Field: "Mutation.leave", Do: gqlapi.Constant, Result: "true", Invalidate: []gqlapi.Invalidation{
				{Subscription: "onSay", Payload: `{"group":"$args.group"}`},
				{Subscription: "tokens", Payload: `{"session":"$args.session"}`},
			}},
			{Field: "Mutation.fail", Do: gqlapi.Submit, Text: "nothing", Invalidate: []gqlapi.Invalidation{{Subscription: "onSay", Payload: "{}"}}},
		}},
		Sources: []graphql.Source{{Name: "x", Text: `
			type Mutation {
				say(group: String, text: String): Said
				leave(group: String, session: String): Boolean
				fail: Boolean
			}
			type Subscription { onSay(group: String): Said @aws_subscribe(mutations: ["say"]) tokens(session: String!): String }
			type Said { group: String text: String }`}},
	}
}

// hears insists that a subscriber to a group still gets what is said there.
func (r *rig) hears(t testing.TB, c *client, id, group string) {
	t.Helper()
	r.ask(t, `mutation($g: String) { say(group: $g, text: "hi") { group text } }`, `{"g":"`+group+`"}`)
	if got := c.read(); !strings.Contains(got, `"id":"`+id+`","payload":{"data":{"onSay":{"text":"hi"}}}`) {
		t.Errorf("got %s", got)
	}
}

// A mutation at one node ends the subscriptions that clients have at another.
func TestItem66(t *testing.T) {
	t.Parallel()
	const onSay = `subscription($g: String) { onSay(group: $g) { text } }`
	const other = "22222222-2222-2222-2222-222222222222"
	r := start(t, says(), endingAPI())
	second := r.node(t, endingAPI())

	t.Run("realtime", func(t *testing.T) {
		c := second.connect(t)
		c.start(uuid, onSay, `{"g":"red"}`)
		c.expect(startAck)
		c.start(other, onSay, `{"g":"green"}`)
		c.expect(`{"type":"start_ack","id":"` + other + `"}`)
		// None of these means it.
		r.ask(t, `mutation { leave(group: "blue", session: "red") }`, "").want(200, `{"data":{"leave":true}}`)
		r.ask(t, `mutation { leave }`, "").want(200, `{"data":{"leave":true}}`)
		if got := r.ask(t, `mutation { fail }`, ""); !strings.Contains(got.body, "errors") {
			t.Errorf("got %s", got.body)
		}
		r.hears(t, c, uuid, "red")
		r.ask(t, `mutation { leave(group: "red") }`, "").want(200, `{"data":{"leave":true}}`)
		c.expect(`{"type":"complete","id":"` + uuid + `","payload":{"message":"Subscription complete."}}`)
		c.expectClose(websocket.StatusNormalClosure)

		// Amplify comes back with all that it had, to any node; the node has heard by
		// then of what comes behind the news on the bus.
		c = r.connect(t)
		c.start("1", onSay, `{"g":"red"}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
		r.hears(t, c, "1", "red")
		c.start(uuid, onSay, `{"g":"red"}`)
		c.expect(`{"type":"error","id":"` + uuid + `","payload":{"errors":[{"errorType":"SubscriptionInvalidated","message":"Subscription complete."}]}}`)
		c.start(other, onSay, `{"g":"green"}`)
		c.expect(`{"type":"start_ack","id":"` + other + `"}`)
		r.hears(t, c, other, "green")
	})
	t.Run("view", func(t *testing.T) {
		c := second.connect(t)
		c.start("1", `subscription { tokens(session: "s") }`, `{}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
		r.ask(t, `mutation { leave(session: "s") }`, "")
		c.expect(`{"type":"complete","id":"1","payload":{"message":"Subscription complete."}}`)
		c.expectClose(websocket.StatusNormalClosure)
	})
	t.Run("standard", func(t *testing.T) {
		c := second.dial(t, "/graphql", "graphql-transport-ws")
		c.send(`{"type":"connection_init"}`)
		c.expect(`{"type":"connection_ack"}`)
		for id, group := range map[string]string{"1": "red", "2": "green"} {
			c.send(`{"id":"` + id + `","type":"subscribe","payload":{"query":` + string(quote(onSay)) + `,"variables":{"g":"` + group + `"}}}`)
		}
		for end := time.Now().Add(patience); second.door.Live("onSay") < 2; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal("the subscriptions do not begin")
			}
		}
		r.ask(t, `mutation { leave(group: "red") }`, "")
		c.expect(`{"type":"complete","id":"1"}`)
		r.hears(t, c, "2", "green")
	})
	t.Run("stream", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		body := `{"query":"subscription { onSay(group: \"red\") { text } }"}`
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, second.url+"/graphql", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		r.ask(t, `mutation { leave(group: "red") }`, "")
		var lines []string
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if line := in.Text(); line != "" && line != ":" {
				lines = append(lines, line)
			}
		}
		if got := strings.Join(lines, "\n"); got != "event: complete\ndata: " {
			t.Errorf("got %q", got)
		}
	})
}
