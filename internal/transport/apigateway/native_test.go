package apigateway_test

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
)

// An answer is a frame of the native route.
type answer struct {
	Type, ID, Session, Generation, Cursor, Kind, Message, State string
	Data                                                        struct{ Type, Text, Generation string }
}

func (c *client) answer() answer {
	c.t.Helper()
	text := c.read()
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return a
}

// ask sends a command and returns its answer, which must be of a type.
func (c *client) ask(want, members string) answer {
	c.t.Helper()
	c.send(`{"action":"runnel",` + members + `}`)
	a := c.answer()
	if a.Type != want {
		c.t.Fatalf("%s: got %+v, want %s", members, a, want)
	}
	return a
}

// events reads the events of one subscription to its end, as "type text".
func (c *client) events(id string) (got []string, last answer) {
	c.t.Helper()
	for {
		a := c.answer()
		if a.Type == "end" && a.ID == id {
			return got, last
		}
		if a.Type != "event" || a.ID != id {
			c.t.Fatalf("got %+v, want an event of %s", a, id)
		}
		got, last = append(got, strings.TrimSpace(a.Data.Type+" "+a.Data.Text)), a
	}
}

func TestNativeSubmit(t *testing.T) {
	t.Parallel()
	c := start(t, says("hi"), apigateway.Config{}).connect(t, "/dev")
	accepted := c.ask("accepted", `"type":"submit","id":"1","session":"s","prompt":"hello","follow":true,"idempotency_key":"k"`)
	if accepted.ID != "1" || accepted.Session != "s" || accepted.Generation == "" || accepted.Cursor == "" {
		t.Errorf("got %+v", accepted)
	}
	if got := c.answer(); got.Type != "subscribed" || got.ID != "1" || got.Cursor != accepted.Cursor {
		t.Errorf("got %+v", got)
	}
	got, last := c.events("1")
	want := []string{"generation.queued", "generation.started", "delta hi", "generation.done"}
	if diff := cmp.Diff(want, got); diff != "" || last.Cursor == "" || last.Data.Generation != accepted.Generation {
		t.Errorf("%+v (-want +got):\n%s", last, diff)
	}
	if again := c.ask("accepted", `"type":"submit","id":"2","session":"s","prompt":"hello","idempotency_key":"k"`); again.Generation != accepted.Generation {
		t.Errorf("a repetition is %s, want %s", again.Generation, accepted.Generation)
	}
	// The same again, from the beginning.
	c.ask("subscribed", `"type":"subscribe","id":"3","session":"s","after":"0","generation":"`+accepted.Generation+`"`)
	if got, _ := c.events("3"); !cmp.Equal(got, want) {
		t.Errorf("from the beginning: %v", got)
	}
	c.expectSilence()
}

// Several sessions share one socket, and each subscription is of its session.
func TestNativeSubscriptions(t *testing.T) {
	t.Parallel()
	r := start(t, says("hi"), apigateway.Config{})
	c := r.connect(t, "/dev")
	for _, id := range []string{"a", "b"} {
		if got := c.ask("subscribed", `"type":"subscribe","id":"`+id+`","session":"`+id+`"`); got.Session != id || got.Cursor == "" {
			t.Errorf("got %+v", got)
		}
	}
	if got := c.ask("error", `"type":"subscribe","id":"a","session":"c"`); got.Kind != "conflict" {
		t.Errorf("an id twice: %+v", got)
	}
	for _, id := range []runnel.SessionID{"b", "a"} {
		receipt, err := r.core.Submit(t.Context(), runnel.Submission{Prompt: runnel.Prompt{
			Session: id, Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			a := c.answer()
			if a.Type != "event" || a.ID != string(id) || a.Data.Generation != string(receipt.Generation) {
				t.Fatalf("got %+v, want an event of %s", a, id)
			}
			ended = a.Data.Type == "generation.done"
		}
	}
	c.ask("end", `"type":"unsubscribe","id":"a"`)
	if got := c.ask("error", `"type":"unsubscribe","id":"a"`); got.Kind != "not_found" {
		t.Errorf("unsubscribed twice: %+v", got)
	}
}

func TestNativeCancel(t *testing.T) {
	t.Parallel()
	m := make(model, 1)
	c := start(t, m, apigateway.Config{}).connect(t, "/dev")
	m <- "half"
	gen := c.ask("accepted", `"type":"submit","id":"1","prompt":"hello","follow":true`).Generation
	c.answer() // subscribed
	for c.answer().Data.Text != "half" {
	}
	c.send(`{"action":"runnel","type":"cancel","id":"2","generation":"` + gen + `"}`)
	seen := map[string]bool{}
	for len(seen) < 3 {
		a := c.answer()
		seen[a.Type+a.ID] = true
		if a.Type == "event" && a.Data.Type != "generation.cancelled" {
			t.Errorf("got %+v", a)
		}
	}
	if !seen["generation2"] || !seen["event1"] || !seen["end1"] {
		t.Errorf("got %v", seen)
	}
}

func TestNativeRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, says(), apigateway.Config{}).connect(t, "/dev")
	for members, want := range map[string]string{
		`"type":"nope","id":"1"`:              "invalid",
		`"id":"1"`:                            "invalid",
		`"type":"submit","id":"1"`:            "invalid",
		`"type":"submit","id":"1","prompt":5`: "invalid",
		`"type":"submit","id":"1","prompt":"x","max_tokens":-1`:      "invalid",
		`"type":"submit","id":"1","prompt":"x","session":"\n"`:       "invalid",
		`"type":"submit","id":"1","prompt":"x","model":"nope"`:       "invalid",
		`"type":"subscribe","id":"1","session":"\n"`:                 "invalid",
		`"type":"subscribe","id":"1","after":"nonsense"`:             "invalid",
		`"type":"subscribe","id":"` + strings.Repeat("x", 200) + `"`: "invalid",
		`"type":"cancel","id":"1","generation":"01ARZ3NDEKTSV4RRFF"`: "not_found",
	} {
		if got := c.ask("error", members); got.Kind != want || got.Message == "" {
			t.Errorf("%s: got %+v, want %s", members, got, want)
		}
	}
	for range 64 {
		c.ask("subscribed", `"type":"subscribe","id":"`+rand.Text()+`"`)
	}
	if got := c.ask("error", `"type":"subscribe","id":"x"`); got.Kind != "limited" {
		t.Errorf("the 65th subscription: %+v", got)
	}
}
