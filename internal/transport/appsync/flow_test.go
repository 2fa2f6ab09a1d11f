package appsync_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const ask = `{"locale":"en_US","message":"hi","sessionId":"s","history":[]}`

func TestItem67(t *testing.T) {
	t.Parallel()
	r := start(t, make(model), appsync.Config{}) // which says nothing
	r.ask(t, getResponse, ask).
		want(200, `{"data":{"getLlmResponse":{"messages":[{"content":"success","contentType":"PlainText"}],"locale":"en_US","sessionId":"s"}}}`)
}

// The first design: a query hands in the message, a subscription shows the answer,
// in groups as the reference implementation or the article about it has them.
func TestItem70(t *testing.T) {
	t.Parallel()
	for group, want := range map[int][]string{
		0: {"1 ", "2 3 4 5 6 7 ", "8 9"},
		5: {"1 ", "2 3 4 5 6 ", "7 8 9"},
		1: {"1 ", "2 ", "3 ", "4 ", "5 ", "6 ", "7 ", "8 ", "9"},
	} {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			m := make(model)
			api := gqlapi.API{GroupInterval: time.Minute}
			if group > 0 {
				api.Fields = []gqlapi.Binding{{
					Field: "Subscription.onSendMessage", Do: gqlapi.View, Session: "sessionId", Markers: true, Group: group,
					Result: `{"sessionId":"$session","message":"$text","locale":"$locale","timeStamp":"$time"}`,
				}}
			}
			r := start(t, m, appsync.Config{API: api})
			c := r.connect(t)
			c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
			c.expect(startAck)
			r.ask(t, getResponse, ask)
			r.tell(t, m, "s", "1 ", "2 ", "3 ", "4 ", "5 ", "6 ", "7 ", "8 ", "9")
			close(m)
			c.expect(message(uuid, "s", "#START_STREAM#"))
			for _, text := range want {
				c.expect(message(uuid, "s", text))
			}
			c.expect(message(uuid, "s", "#END_STREAM#"))
			c.send(`{"id":"` + uuid + `","type":"stop"}`)
			c.expect(`{"type":"complete","id":"` + uuid + `"}`)
		})
	}
}

// A fragment does not wait for ever for its group to be full.
func TestGroupInterval(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{API: gqlapi.API{GroupInterval: time.Millisecond}})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	r.ask(t, getResponse, ask)
	r.tell(t, m, "s", "1 ", "2 ")
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "1 "), message(uuid, "s", "2 "))
}

func TestItem71(t *testing.T) {
	t.Parallel()
	for locale, sentence := range map[string]string{
		"en_US": "Sorry, I was not able to answer your question.",
		"xx_XX": "Sorry, I was not able to answer your question.",
		"fr_CA": "Désolé, je n'ai pas pu répondre à votre question.",
	} {
		m := make(model, 1)
		m <- "" // it fails
		r := start(t, m, appsync.Config{})
		c := r.connect(t)
		c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
		c.expect(startAck)
		r.ask(t, getResponse, `{"locale":"`+locale+`","message":"hi","sessionId":"s"}`)
		for _, text := range []string{"#START_STREAM#", sentence, "#STREAM_ERROR#"} {
			c.expect(strings.Replace(message(uuid, "s", text), "en_US", locale, 1))
		}
	}
}

// What a publisher sends comes as it was sent: boundaries, markers, the sentence of
// its own, and the second start that the reference implementation has.
func TestItem68(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	texts := []string{
		"#START_STREAM#", "one", " two", "#END_STREAM#",
		"#START_STREAM#", "three", "#START_STREAM#", "Sorry.", "#STREAM_ERROR#",
		"no start", "#END_STREAM#",
	}
	for _, text := range texts {
		r.publish(t, "s", text)
	}
	for _, text := range texts {
		c.expect(message(uuid, "s", text))
	}
	transcript, err := r.core.Transcript(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, turn := range transcript.Turns {
		got = append(got, string(turn.State)+":"+turn.Text)
	}
	if want := "done:one two|failed:three|failed:Sorry.|done:no start"; strings.Join(got, "|") != want {
		t.Errorf("the session holds %q, want %s", got, want)
	}
}

func TestItem72(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	c := r.connect(t)
	c.start("1", "subscription { chat }", `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	r.ask(t, "mutation { ModelSet }", "").want(200, modelSet)
	for _, chunk := range []string{"a", " b", ""} {
		r.ask(t, "mutation($c: String!) { sendChunk(chunk: $c) }", `{"c":"`+chunk+`"}`).want(200, `{"data":{"sendChunk":"`+chunk+`"}}`)
		c.expect(data("1", `{"data":{"chat":"`+chunk+`"}}`))
	}
}

// With a prompt, the second design's answer is a model's.
func TestChatIsAnswered(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	c := r.connect(t)
	c.start("1", "subscription { chat }", `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	r.ask(t, `mutation { ModelSet(prompt: "hi") }`, "").want(200, modelSet)
	r.tell(t, m, "chat", "a", "b")
	c.expect(data("1", `{"data":{"chat":"a"}}`), data("1", `{"data":{"chat":"b"}}`))
}

const (
	onToken = `subscription($s: String!) { onTokenReceived(sessionId: $s) { sessionId token isComplete } }`
	publish = `mutation($s: String!, $t: String!, $d: Boolean!) { publishToken(sessionId: $s, token: $t, isComplete: $d) { sessionId token isComplete timestamp } }`
)

func token(text string, done bool) string {
	return data("1", fmt.Sprintf(`{"data":{"onTokenReceived":{"sessionId":"s","token":%s,"isComplete":%v}}}`, quote(text), done))
}

// The third design: the session is the server's, so its client is always late.
func TestItem73(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	got := r.ask(t, `mutation { startStream(prompt: "hi") { sessionId status timestamp message error } }`, "")
	var answer struct {
		Data struct {
			StartStream struct{ SessionID, Status, Timestamp string }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatal(err)
	}
	s := answer.Data.StartStream
	at, err := time.Parse("2006-01-02T15:04:05.000Z", s.Timestamp)
	if err != nil || time.Since(at).Abs() > 30*time.Second || s.SessionID == "" || s.Status != "streaming_started" {
		t.Fatalf("got %s", got.body)
	}
	r.tell(t, m, runnel.SessionID(s.SessionID), "one", " two")
	close(m)
	r.await(t.Context(), t, runnel.SessionID(s.SessionID), runnel.Cursor{}, func(ev *runnel.Event) bool { return ev.Type == runnel.EventDone })
	c := r.connect(t) // when all is over
	c.start("1", onToken, `{"s":"`+s.SessionID+`"}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	for _, want := range []string{token("one", false), token(" two", false), token("", true)} {
		c.expect(strings.Replace(want, `"s"`, `"`+s.SessionID+`"`, 1))
	}
	again := r.connect(t) // and it is not over and over again
	again.start("1", onToken, `{"s":"`+s.SessionID+`"}`)
	again.expect(`{"type":"start_ack","id":"1"}`)
	again.send(`{"id":"1","type":"stop"}`)
	again.expect(`{"type":"complete","id":"1"}`)
}

func TestItem74(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.connect(t)
	c.start("1", onToken, `{"s":"s"}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	for _, piece := range []struct {
		text string
		done bool
	}{{"a", false}, {"", false}, {" b", false}, {"", true}, {"c", false}, {"d", true}} {
		got := r.ask(t, publish, fmt.Sprintf(`{"s":"s","t":%s,"d":%v}`, quote(piece.text), piece.done))
		if got.status != 200 || !strings.Contains(got.body, `"timestamp":"2`) {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		c.expect(token(piece.text, piece.done))
	}
	transcript, err := r.core.Transcript(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(transcript.Turns); n != 2 || transcript.Turns[0].Text != "a b" || transcript.Turns[1].Text != "cd" {
		t.Errorf("the session holds %+v", transcript.Turns)
	}
}

// TestLateAfterARestart: the answer in flight may have begun before one, in another
// epoch of the log.
func TestLateAfterARestart(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	r.ask(t, getResponse, ask)
	r.tell(t, m, "s", "one ", "two ")
	r.engine.Crash(0)
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck, message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "), message(uuid, "s", "two "))
	close(m)
}

func TestItem75(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	r.ask(t, getResponse, ask)
	r.tell(t, m, "s", "one ", "two ")
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck, message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "), message(uuid, "s", "two "))
	r.tell(t, m, "s", "three")
	close(m)
	c.expect(message(uuid, "s", "three"), message(uuid, "s", "#END_STREAM#"))
}

// A setting restores AppSync's behaviour: who is late misses the start.
func TestStrict(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{API: gqlapi.API{Strict: true}})
	r.ask(t, `mutation { submitPrompt(input: {session: "s", prompt: "hi"}) { session } }`, "")
	r.tell(t, m, "s", "one ")
	c := r.connect(t)
	c.start("1", onToken, `{"s":"s"}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	r.tell(t, m, "s", "two")
	c.expect(token("two", false))
}

func TestItem76(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{
		Mode: graphql.ModeUnchecked,
		API: gqlapi.API{Schema: []string{"x"}, Fields: []gqlapi.Binding{
			{Field: "Mutation.ModelSet", Do: gqlapi.Constant, Result: "true"},
			{Field: "Mutation.sendChunk", Do: gqlapi.Constant, Result: "$args.chunk"},
		}},
		Sources: []graphql.Source{{Name: "x", Text: `
			schema { mutation: Mutation subscription: Subscription }
			type Mutation { ModelSet: Boolean! sendChunk(chunk: String!): String }
			type Subscription { chat: String @aws_subscribe(mutations: ["sendChunk"]) }`}},
	})
	c := r.connect(t)
	c.start("1", "subscription { chat }", `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	r.ask(t, "mutation { ModelSet }", "").want(200, modelSet)
	r.ask(t, `mutation { sendChunk(chunk: "a") }`, "").want(200, `{"data":{"sendChunk":"a"}}`)
	c.expect(data("1", `{"data":{"chat":"a"}}`))
}

// The bare events of a session, with a cursor to go on behind.
func TestSessionEvents(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	r.ask(t, `mutation { submitPrompt(input: {session: "s", prompt: "hi"}) { session } }`, "")
	r.tell(t, m, "s", "one", "two")
	const events = `subscription($a: String) { sessionEvents(session: "s", after: $a) { type text cursor body } }`
	type event struct {
		Type, Text, Cursor, Body string
	}
	next := func(c *client) event {
		var f struct {
			Payload struct {
				Data struct{ SessionEvents event }
			}
		}
		if err := json.Unmarshal([]byte(c.read()), &f); err != nil {
			t.Fatal(err)
		}
		return f.Payload.Data.SessionEvents
	}
	c := r.connect(t)
	c.start("1", events, `{}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	var cursor string
	for _, want := range []string{"generation.queued:", "generation.started:", "delta:one", "delta:two"} {
		ev := next(c)
		if ev.Type+":"+ev.Text != want || !strings.Contains(ev.Body, `"type":"`+ev.Type+`"`) {
			t.Fatalf("got %+v, want %s", ev, want)
		}
		if ev.Text == "one" {
			cursor = ev.Cursor
		}
	}
	c = r.connect(t)
	c.start("1", events, `{"a":"`+cursor+`"}`)
	c.expect(`{"type":"start_ack","id":"1"}`)
	if ev := next(c); ev.Text != "two" {
		t.Errorf("got %+v", ev)
	}
	c.start("2", events, `{"a":"x"}`)
	if got := c.read(); !strings.Contains(got, `"id":"2"`) || !strings.Contains(got, "not a cursor") {
		t.Errorf("got %s", got)
	}
}
