package appsync_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// publish sends a message of the reference design.
func (r *rig) publish(t testing.TB, session, text string) {
	t.Helper()
	got := r.ask(t, sendMessage, fmt.Sprintf(`{"input":{"sessionId":%q,"message":%s,"locale":"en_US"}}`, session, quote(text)))
	if got.status != 200 || strings.Contains(got.body, "errors") {
		t.Fatalf("got %d %s", got.status, got.body)
	}
}

func TestItem38(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	r.publish(t, "s", "hi")
	c.expect(message(uuid, "s", "hi"))
}

func TestItem52(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	all := []*client{r.connect(t), r.connect(t), r.connect(t)}
	for i, session := range []string{"s", "s", "other"} {
		all[i].start("1", onSendMessage, `{"sessionId":"`+session+`"}`)
		all[i].expect(`{"type":"start_ack","id":"1"}`)
	}
	r.publish(t, "s", "one")
	r.publish(t, "other", "two")
	all[0].expect(message("1", "s", "one"))
	all[1].expect(message("1", "s", "one"))
	all[2].expect(message("1", "other", "two"))
}

// askAPI is a schema with an endpoint that answers what its field was asked.
func askAPI(t testing.TB) appsync.Config {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ev := readAll(t, r)
		switch {
		case strings.Contains(ev, `"x":500`):
			w.WriteHeader(500)
		case strings.Contains(ev, `"x":404`):
			_, _ = w.Write([]byte("null"))
		case strings.Contains(ev, `"x":7`):
			_, _ = w.Write([]byte(`{"x":7,"text":"hi","need":"y"}`))
		default:
			_, _ = w.Write([]byte(`{"x":null,"text":"nothing","need":"y"}`))
		}
	}))
	t.Cleanup(srv.Close)
	return remoteAPI(srv.URL)
}

func data(id, payload string) string {
	return `{"type":"data","id":"` + id + `","payload":` + payload + `}`
}

func TestItem53(t *testing.T) {
	t.Parallel()
	r := start(t, says(), askAPI(t))
	c := r.connect(t)
	c.start(uuid, "subscription { onAsk { t: text x } }", `{}`)
	c.expect(startAck)
	r.ask(t, "mutation { ask(x: 7) { text need } }", "")
	c.expect(data(uuid, `{"data":{"onAsk":{"t":"hi","x":null}}}`))
}

func TestItem54(t *testing.T) {
	t.Parallel()
	r := start(t, says(), askAPI(t))
	c := r.connect(t)
	c.start(uuid, "subscription { onAsk { x __typename } __typename }", `{}`)
	if got := c.read(); !strings.Contains(got, `"type":"error"`) {
		t.Fatalf("two root fields: %s", got)
	}
	c.start(uuid, "subscription { onAsk { x __typename } }", `{}`)
	c.expect(startAck)
	r.ask(t, "mutation { ask(x: 7) { x } }", "")
	c.expect(data(uuid, `{"data":{"onAsk":{"x":7,"__typename":"Answer"}}}`))
}

func TestItem55(t *testing.T) {
	t.Parallel()
	r := start(t, says(), askAPI(t))
	c := r.connect(t)
	c.start(uuid, "subscription { onAsk { need } }", `{}`)
	c.expect(startAck)
	r.ask(t, "mutation { ask(x: 7) { x } }", "")
	if got := c.read(); !strings.HasPrefix(got, `{"type":"data","id":"`+uuid+`","payload":{"data":{"onAsk":null},"errors":[{`) ||
		!strings.Contains(got, "Cannot return null for non-nullable type: 'String' within parent 'Answer'") {
		t.Errorf("got %s", got)
	}
}

// Who filters by what: nothing, a value, null, and a value that no event has.
func TestItem56(t *testing.T) {
	t.Parallel()
	r := start(t, says(), askAPI(t))
	c := r.connect(t)
	for id, args := range map[string]string{"all": "", "seven": "(x: 7)", "null": "(x: null)", "eight": "(x: 8)"} {
		c.start(id, "subscription { onAsk"+args+" { text } }", `{}`)
		c.expect(`{"type":"start_ack","id":"` + id + `"}`)
	}
	const hi, nothing = `{"data":{"onAsk":{"text":"hi"}}}`, `{"data":{"onAsk":{"text":"nothing"}}}`
	r.ask(t, "mutation { ask(x: 7) { x text } }", "")
	c.expectAll(data("all", hi), data("seven", hi))
	r.ask(t, "mutation { ask { x text } }", "")
	c.expectAll(data("all", nothing), data("null", nothing))
	r.ask(t, "mutation { ask(x: 7) { text } }", "") // whose x nobody sees
	c.expectAll(data("all", hi), data("null", hi))
}

// expectAll reads as many frames, which may come in any order.
func (c *client) expectAll(want ...string) {
	c.t.Helper()
	left := map[string]bool{}
	for _, w := range want {
		left[w] = true
	}
	for range want {
		got := c.read()
		if !left[got] {
			c.t.Fatalf("got frame %s, want one of %q", got, want)
		}
		delete(left, got)
	}
}

// Who publishes without selecting the session reaches nobody, as on AppSync.
func TestItem58(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	r.ask(t, `mutation { sendMessage(input: {sessionId: "s", message: "lost", locale: "en_US"}) { message } }`, "").
		want(200, `{"data":{"sendMessage":{"message":"lost"}}}`)
	r.publish(t, "s", "found")
	c.expect(message(uuid, "s", "found"))
}

func TestItem60(t *testing.T) {
	t.Parallel()
	const sessions, messages = 8, 40
	r := start(t, says(), appsync.Config{})
	var work sync.WaitGroup
	for i := range sessions {
		session := fmt.Sprint("s", i)
		c := r.connect(t)
		c.start(uuid, onSendMessage, `{"sessionId":"`+session+`"}`)
		c.expect(startAck)
		work.Go(func() {
			for n := range messages {
				r.publish(t, session, fmt.Sprint(n))
			}
		})
		work.Go(func() {
			for n := range messages {
				if got, want := c.read(), message(uuid, session, fmt.Sprint(n)); got != want {
					t.Errorf("got frame %s, want %s", got, want)
					return
				}
			}
		})
	}
	work.Wait()
}

func TestItem61(t *testing.T) {
	t.Parallel()
	r := start(t, says(), askAPI(t))
	c := r.connect(t)
	c.start(uuid, "subscription { onAsk { text } }", `{}`)
	c.expect(startAck)
	for _, x := range []string{"500", "404"} { // which fails, and is null
		if got := r.ask(t, "mutation { ask(x: "+x+") { x text } }", ""); !strings.Contains(got.body, `"ask":null`) {
			t.Fatalf("got %s", got.body)
		}
	}
	r.ask(t, "mutation { ask(x: 7) { x text } }", "")
	c.expect(data(uuid, `{"data":{"onAsk":{"text":"hi"}}}`))
}

// What is too large for a subscriber comes in several events if it is an answer's
// text, and not at all if it is anything else.
func TestItem62(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	huge := strings.Repeat("é\n", 100_000)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	m <- huge
	close(m)
	c.expect(message(uuid, "s", "#START_STREAM#"))
	text := ""
	for {
		frame := c.read()
		if len(frame) > 250_000 {
			t.Fatalf("a frame of %d bytes", len(frame))
		}
		said := messageOf(t, frame)
		if said == "#END_STREAM#" {
			break
		}
		text += said
	}
	if text != huge {
		t.Errorf("got %d bytes, want %d", len(text), len(huge))
	}
	c.start("2", onSendMessage, `{"sessionId":"other"}`)
	c.expect(`{"type":"start_ack","id":"2"}`)
	r.publish(t, "other", strings.Repeat("x", 250_000)) // which has no complaint
	r.publish(t, "other", "small")
	c.expect(message("2", "other", "small"))
}

// The same for those who follow the mutations of a field that is bound to nothing.
func TestTooLargeMutation(t *testing.T) {
	t.Parallel()
	r := start(t, says(), endingAPI())
	c := r.connect(t)
	c.start("1", `subscription { onSay { text } }`, `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	for _, n := range []int{250_000, 2} {
		text := strings.Repeat("x", n)
		r.ask(t, `mutation($t: String) { say(text: $t) { text } }`, `{"t":"`+text+`"}`).want(200, `{"data":{"say":{"text":"`+text+`"}}}`)
	}
	c.expect(data("1", `{"data":{"onSay":{"text":"xx"}}}`))
}

// Who does not read what mutations say is cut off from it, and holds up nobody.
func TestBehind(t *testing.T) {
	t.Parallel()
	r := start(t, says(), endingAPI())
	stalled, reads := r.connect(t), r.connect(t)
	for _, c := range []*client{stalled, reads} {
		c.start("1", `subscription { onSay { text } }`, `{}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
	}
	text := strings.Repeat("x", 100_000)
	for range 100 { // ten megabytes: more than any buffer takes
		r.ask(t, `mutation($t: String) { say(text: $t) { text } }`, `{"t":"`+text+`"}`)
		reads.expect(data("1", `{"data":{"onSay":{"text":"`+text+`"}}}`))
	}
	for {
		got := stalled.read()
		if strings.HasPrefix(got, `{"type":"error","id":"1"`) && strings.Contains(got, "the subscriber is too far behind") {
			break
		} else if !strings.HasPrefix(got, `{"type":"data","id":"1"`) {
			t.Fatalf("got %s", got)
		}
	}
}

// directives is a schema where access depends on who asks.
const directives = `
	schema { query: Query mutation: Mutation subscription: Subscription }
	type Query { open: String iam: String @aws_iam keyed: Keyed @aws_iam admin: String @aws_cognito_user_pools(cognito_groups: ["admin"]) }
	type Keyed { a: String }
	type Mutation { say(x: String): String @aws_api_key }
	type Subscription { heard: String @aws_subscribe(mutations: ["say"]) @aws_cognito_user_pools(cognito_groups: ["admin"]) }`

func guarded(t testing.TB) (*guard, *rig) {
	g, cfg := secured(t)
	cfg.API = gqlapi.API{Schema: []string{"x"}, Fields: []gqlapi.Binding{
		{Field: "Query.open", Do: gqlapi.Constant, Result: "yes"}, {Field: "Query.iam", Do: gqlapi.Constant, Result: "yes"},
		{Field: "Query.keyed", Do: gqlapi.Constant, Result: `{"a":"yes"}`}, {Field: "Query.admin", Do: gqlapi.Constant, Result: "yes"},
		{Field: "Mutation.say", Do: gqlapi.Constant, Result: "$args.x"},
	}}
	cfg.Sources = []graphql.Source{{Name: "x", Text: directives}}
	return g, start(t, says(), cfg)
}

func TestItem63(t *testing.T) {
	t.Parallel()
	g, r := guarded(t)
	got := r.ask(t, "{ open iam }", "", "x-api-key", g.apiKey)
	if !strings.HasPrefix(got.body, `{"data":{"open":"yes","iam":null},"errors":[{"path":["iam"],"data":null,"errorType":"Unauthorized",`) ||
		!strings.Contains(got.body, "Not Authorized to access iam on type Query") {
		t.Errorf("got %s", got.body)
	}
	const body = `{"query":"{ open iam keyed { a } }"}`
	host := strings.TrimPrefix(r.url, "http://")
	got = r.post(t, "/graphql", body, pairs(sign(host, "/graphql", body))...)
	if !strings.HasPrefix(got.body, `{"data":{"open":null,"iam":"yes","keyed":{"a":null}},"errors":[`) {
		t.Errorf("got %s", got.body)
	}
}

func TestItem64(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	body := `{"query":` + string(quote(sendMessage)) + `,"variables":{"input":{"sessionId":"s","message":"hi","locale":"fr_CA"}}}`
	host := strings.TrimPrefix(r.url, "http://")
	got := r.post(t, "/graphql", body, pairs(sign(host, "/graphql", body))...)
	if !strings.HasPrefix(got.body, `{"data":{"sendMessage":{"locale":"fr_CA","message":"hi","sessionId":"s","timeStamp":"`) || strings.Contains(got.body, "errors") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestItem65(t *testing.T) {
	t.Parallel()
	g, r := guarded(t)
	for group, want := range map[string]string{"admin": `{"data":{"admin":"yes"}}`, "user": `{"data":{"admin":null},"errors":[`} {
		if got := r.ask(t, "{ admin }", "", "Authorization", g.token("access", time.Hour, group)); !strings.HasPrefix(got.body, want) {
			t.Errorf("%s: got %s", group, got.body)
		}
	}
}

// Only those errors say unauthorized that are: a client closes its socket then.
func TestItem44(t *testing.T) {
	t.Parallel()
	g, r := guarded(t)
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"x-api-key": g.apiKey}))
	c.send(hello)
	c.expect(ack, ka)
	c.start("1", "subscription { heard }", `{}`, "x-api-key", g.apiKey)
	if got := c.read(); !strings.Contains(got, `"id":"1"`) || !strings.Contains(got, `"errorType":"Unauthorized"`) ||
		!strings.Contains(got, "Not Authorized to access heard on type Subscription") {
		t.Errorf("got %s", got)
	}
	c.start("2", "subscription { heard }", `{}`, "Authorization", g.token("access", time.Hour, "admin"))
	c.expect(`{"type":"start_ack","id":"2"}`)
	r.ask(t, `mutation { say(x: "hi") }`, "", "x-api-key", g.apiKey).want(200, `{"data":{"say":"hi"}}`)
	c.expect(data("2", `{"data":{"heard":"hi"}}`))
	for _, query := range []string{"subscription { x }", "meow", "subscription { heard heard2: heard }", "{ open }"} {
		c.start("3", query, `{}`, "Authorization", g.token("access", time.Hour, "admin"))
		if got := c.read(); strings.Contains(got, "Unauthorized") || !strings.Contains(got, `"type":"error"`) {
			t.Errorf("%s: got %s", query, got)
		}
	}
}

// A subscriber that does not read holds up nobody.
func TestItem51(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	stalled, reads := r.connect(t), r.connect(t)
	for _, c := range []*client{stalled, reads} {
		c.start("1", onSendMessage, `{"sessionId":"s"}`)
		c.expect(`{"type":"start_ack","id":"1"}`)
	}
	text := strings.Repeat("x", 10_000)
	for range 300 { // three megabytes: more than any buffer takes
		r.publish(t, "s", text)
		reads.expect(message("1", "s", text))
	}
}

// Whoever publishes elsewhere, the subscribers see it as the session has it.
func TestPublishedElsewhere(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	for _, p := range []runnel.Publication{{Type: runnel.EventStarted}, {Type: runnel.EventDelta, Text: "hi"}, {Type: runnel.EventDone}} {
		p.Session = "s"
		if _, err := r.core.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "hi"), message(uuid, "s", "#END_STREAM#"))
}

func TestItem59(t *testing.T) {
	t.Parallel()
	cfg := askAPI(t)
	cfg.API.Fields = append(cfg.API.Fields, gqlapi.Binding{
		Field: "Subscription.onAsk", Do: gqlapi.Filter,
		Result: `{"filterGroup":[{"filters":[{"fieldName":"text","operator":"beginsWith","value":"h"},{"fieldName":"x","operator":"ge","value":"$args.x"}]}]}`,
	})
	r := start(t, says(), cfg)
	c := r.connect(t)
	c.start("1", "subscription { onAsk(x: 5) { text } }", `{}`) // no event has just this x
	c.expect(`{"type":"start_ack","id":"1"}`)
	c.start("2", "subscription { onAsk(x: 8) { text } }", `{}`)
	c.expect(`{"type":"start_ack","id":"2"}`)
	c.start("3", "subscription { onAsk { text } }", `{}`)
	if got := c.read(); !strings.Contains(got, `"id":"3"`) || !strings.Contains(got, "the filter does not fit") {
		t.Errorf("got %s", got)
	}
	r.ask(t, "mutation { ask { x text } }", "")
	r.ask(t, "mutation { ask(x: 7) { x text } }", "")
	c.expect(data("1", `{"data":{"onAsk":{"text":"hi"}}}`))
	c.send(`{"id":"2","type":"stop"}`)
	c.expect(`{"type":"complete","id":"2"}`)
}

// A storm on one socket with as many subscriptions as it may have: each session in
// its order, and nothing lost.
func TestStorm(t *testing.T) {
	t.Parallel()
	const sessions, messages, publishers = 200, 10, 8
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	for i := range sessions {
		c.start(fmt.Sprint("s", i), onSendMessage, fmt.Sprintf(`{"sessionId":"s%d"}`, i))
	}
	for range sessions {
		if got := c.read(); !strings.HasPrefix(got, `{"type":"start_ack"`) {
			t.Fatalf("got %s", got)
		}
	}
	var work sync.WaitGroup
	for p := range publishers {
		work.Go(func() {
			for n := range messages {
				for i := p; i < sessions; i += publishers {
					r.publish(t, fmt.Sprint("s", i), fmt.Sprint(n))
				}
			}
		})
	}
	next := map[string]int{}
	for range sessions * messages {
		frame := c.read()
		id, _, _ := strings.Cut(strings.TrimPrefix(frame, `{"type":"data","id":"`), `"`)
		if want := message(id, id, fmt.Sprint(next[id])); frame != want {
			t.Fatalf("got frame %s, want %s", frame, want)
		}
		next[id]++
	}
	work.Wait()
}
