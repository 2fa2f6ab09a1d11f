package appsync_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// A script is a session whose log says what a test wants it to.
type script struct {
	runnel.Sessions

	active, end runnel.Cursor // where its answer begins, and its log ends

	mu     sync.Mutex
	events []runnel.Event
	more   chan struct{}
}

func at(n int) runnel.Cursor {
	if n == 0 {
		return runnel.Cursor{}
	}
	return runnel.Cursor{Epoch: "e", Seq: runnel.Seq(n)}
}

func newScript(events ...runnel.Event) *script {
	s := &script{more: make(chan struct{})}
	s.say(events...)
	return s
}

func (s *script) say(events ...runnel.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range events {
		ev.Session = "s"
		ev.Cursor = at(len(s.events) + 1)
		s.events = append(s.events, ev)
	}
	close(s.more)
	s.more = make(chan struct{})
}

func (s *script) Active(context.Context, runnel.SessionID) (runnel.Transcript, error) {
	return runnel.Transcript{Active: []runnel.Generation{{Cursor: s.active}}, Cursor: s.end}, nil
}

// Read implements [runnel.Sessions], one event at a time.
func (s *script) Read(ctx context.Context, _ runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	for {
		s.mu.Lock()
		events, more := s.events, s.more
		s.mu.Unlock()
		if n := int(after.Seq); n < len(events) {
			return events[n : n+1], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func ev(gen string, attempt int, kind runnel.EventType, text string) runnel.Event {
	e := runnel.Event{Generation: runnel.GenerationID(gen), Attempt: attempt, Type: kind, Text: text}
	switch kind {
	case runnel.EventStarted:
		e.Model, e.Text = "m", ""
	case runnel.EventFailed:
		e.Failure, e.Text = &runnel.Failure{Kind: text}, ""
	}
	return e
}

const (
	started = runnel.EventStarted
	delta   = runnel.EventDelta
	reset   = runnel.EventReset
	done    = runnel.EventDone
	failed  = runnel.EventFailed
)

// What subscribers see of answers that are begun again, taken back, or interleaved.
func TestView(t *testing.T) {
	t.Parallel()
	const start, end = "#START_STREAM#", "#END_STREAM#"
	for name, tt := range map[string]struct {
		events []runnel.Event
		want   []string
		tokens string // of the view without markers: the text, or ! for an error
	}{
		"begun again, and the same": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 2, started, ""), ev("g", 2, delta, "Hello"), ev("g", 2, done, "")},
			[]string{start, "Hel", "lo", end}, "Hello.",
		},
		"begun again, and another": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 2, started, ""), ev("g", 2, delta, "Hal"), ev("g", 2, delta, "t"), ev("g", 2, done, "")},
			[]string{start, "Hel", start, "Hal", "t", end}, "Hel!",
		},
		"gone on with": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 2, started, ""), ev("g", 2, reset, "Hel"), ev("g", 2, delta, "lo"), ev("g", 2, done, "")},
			[]string{start, "Hel", "lo", end}, "Hello.",
		},
		"refused to go on with": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 2, started, ""), ev("g", 2, reset, "Hel"), ev("g", 2, reset, ""), ev("g", 2, delta, "Bye"), ev("g", 2, done, "")},
			[]string{start, "Hel", start, "Bye", end}, "Hel!",
		},
		"another after a part that is the same": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hello"), ev("g", 2, started, ""), ev("g", 2, delta, "Hel"), ev("g", 2, delta, "p"), ev("g", 2, done, "")},
			[]string{start, "Hello", start, "Help", end}, "Hello!",
		},
		"shorter than before": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hello"), ev("g", 2, started, ""), ev("g", 2, delta, "Hel"), ev("g", 2, done, "")},
			[]string{start, "Hello", start, "Hel", end}, "Hello!",
		},
		"a reader's reset that goes on": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 1, reset, "Hello"), ev("g", 1, done, "")},
			[]string{start, "Hel", "lo", end}, "Hello.",
		},
		"a reader's reset to something else": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 1, reset, "Bye"), ev("g", 1, done, "")},
			[]string{start, "Hel", start, "Bye", end}, "Hel!",
		},
		"a failure after a part": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 1, failed, "unavailable")},
			[]string{start, "Hel", "Sorry, I was not able to answer your question.", "#STREAM_ERROR#"}, "Hel.",
		},
		"a failure before anything": {
			[]runnel.Event{ev("g", 1, runnel.EventQueued, ""), ev("g", 0, failed, "unavailable")},
			[]string{start, "Sorry, I was not able to answer your question.", "#STREAM_ERROR#"}, ".",
		},
		"stopped": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, delta, "Hel"), ev("g", 1, runnel.EventCancelled, "")},
			[]string{start, "Hel", end}, "Hel.",
		},
		"two at the same time, one after the other": {
			[]runnel.Event{
				ev("a", 1, started, ""), ev("b", 1, started, ""), ev("a", 1, delta, "a1"), ev("b", 1, delta, "b1"), ev("c", 1, started, ""),
				ev("a", 1, delta, "a2"), ev("c", 1, delta, "c1"), ev("a", 1, done, ""), ev("c", 1, done, ""), ev("b", 1, delta, "b2"), ev("b", 1, done, ""),
			},
			[]string{start, "a1", "a2", end, start, "b1", "b2", end, start, "c1", end}, "a1a2.b1b2.c1.",
		},
		"reasoning is nobody's business": {
			[]runnel.Event{ev("g", 1, started, ""), ev("g", 1, runnel.EventReasoning, "hm"), ev("g", 1, delta, "so"), ev("g", 1, done, "")},
			[]string{start, "so", end}, "so.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := serveScript(t, newScript(tt.events...))
			c := door.connect(t)
			c.start("1", onSendMessage, `{"sessionId":"s"}`)
			c.expect(`{"type":"start_ack","id":"1"}`)
			for _, text := range tt.want {
				c.expect(message("1", "s", text))
			}
			other := door.connect(t)
			other.start("1", onToken, `{"s":"s"}`)
			other.expect(`{"type":"start_ack","id":"1"}`)
			got := ""
			for len(got) < len(tt.tokens) {
				got += other.tokens()
			}
			if got != tt.tokens {
				t.Errorf("tokens: got %s, want %s", got, tt.tokens)
			}
		})
	}
}

// tokens reads one frame of a subscription to tokens.
func (c *client) tokens() string {
	c.t.Helper()
	var f struct {
		Type    string
		Payload struct {
			Data struct {
				OnTokenReceived struct {
					Token      string
					IsComplete bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(c.read()), &f); err != nil {
		c.t.Fatal(err)
	}
	switch {
	case f.Type == "error":
		return "!"
	case f.Payload.Data.OnTokenReceived.IsComplete:
		return "."
	}
	return f.Payload.Data.OnTokenReceived.Token
}

// serveScript serves a scripted session, in groups of one.
func serveScript(t *testing.T, s *script) *rig {
	t.Helper()
	r := start(t, says(), appsync.Config{}) // whose bus is used
	r.serveSessions(t, s, appsync.Config{API: gqlapi.API{Fields: []gqlapi.Binding{{
		Field: "Subscription.onSendMessage", Do: gqlapi.View, Session: "sessionId", Markers: true,
		Result: `{"sessionId":"$session","message":"$text","locale":"$locale","timeStamp":"$time"}`,
	}}}})
	return r
}

// An answer in flight may have begun in an epoch before a crash.
func TestViewAfterCrash(t *testing.T) {
	t.Parallel()
	s := newScript(ev("g", 1, started, ""), ev("g", 1, delta, "one "), ev("g", 1, delta, "two"))
	door := serveScript(t, s)
	s.active = runnel.Cursor{Epoch: "d"}
	s.end = at(3)
	c := door.connect(t)
	c.start("1", onSendMessage, `{"sessionId":"s"}`)
	c.expect(`{"type":"start_ack","id":"1"}`, message("1", "s", "#START_STREAM#"), message("1", "s", "one "))
}
