package apigateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsapi"
)

func TestItem98(t *testing.T) {
	t.Parallel()
	// Package idiom has the vectors. One fragment is a frame.
	fragments := []string{"Hello", "! I'm", "\n\n•", `"<&>" \`, "😀"}
	m := make(model)
	c := start(t, m, apigateway.Config{}).connect(t, "/dev/")
	c.send(`{"action": "sendtext", "text": "Hello, AI! What you can do?"}`)
	for i, want := range []string{`"Hello"`, `"! I'm"`, `"\n\n\u2022"`, `"\"<&>\" \\"`, `"\ud83d\ude00"`} {
		m <- fragments[i] // one by one: what comes together is shown together
		c.expect(want)
	}
	close(m)
	c.expectSilence()
}

func stream(route wsapi.Route) apigateway.Config {
	route.Key, route.Integration = "stream", wsapi.Stream
	return apigateway.Config{APIs: []wsapi.API{{Name: "a", Routes: []wsapi.Route{route}}}}
}

const why = `{"action":"stream","prompt":"why?","timestamp":5,"options":{"max_tokens":7,"other":1}}`

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dialect string
		want    []string
	}{
		{"", []string{`{"token": "H\u00e9", "isComplete": false}`, `{"token": "llo", "isComplete": false}`, `{"token": "", "isComplete": true}`}},
		{wsapi.DialectTyped, []string{`{"type":"token","token":"Hé","sequence":1}`, `{"type":"token","token":"llo","sequence":2}`, `{"type":"complete","total_tokens":2,"timestamp":"ID"}`}},
	} {
		m := make(model)
		c := start(t, m, stream(wsapi.Route{Dialect: tt.dialect})).connect(t, "/dev")
		c.send(why)
		for i, want := range tt.want {
			if i < 2 {
				m <- []string{"Hé", "llo"}[i]
			} else {
				close(m)
			}
			got := c.read()
			if i := strings.Index(got, `"timestamp":"`); i >= 0 {
				got = got[:i+13] + "ID" + got[i+13+16:]
			}
			if got != want {
				t.Errorf("%q: got %s, want %s", tt.dialect, got, want)
			}
		}
		c.expectSilence()
	}
}

func TestModelFails(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[string]string{
		"":                 `{"token": "", "isComplete": true, "error": "the vendor refuses"}`,
		wsapi.DialectTyped: `{"type":"error","message":"the vendor refuses","timestamp":"`,
	} {
		m := make(model)
		c := start(t, m, stream(wsapi.Route{Dialect: dialect})).connect(t, "/dev")
		c.send(why)
		m <- "half"
		c.read()
		m <- ""
		if got := c.read(); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", dialect, got, want)
		}
	}
	c := start(t, says("", ""), apigateway.Config{}).connect(t, "/dev")
	c.send(`{"action":"lex","text":"hello"}`) // whose client would show what is said
	c.send(`{"action":"sendtext","text":"hello"}`)
	c.expectError("Forbidden")
	c.expectSilence()
}

func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	cfg := apigateway.Config{APIs: []wsapi.API{{Name: "a", Routes: []wsapi.Route{
		{Key: "sendtext", Integration: wsapi.SendText}, {Key: "stream", Integration: wsapi.Stream}, {Key: "bad", Integration: wsapi.SendText, Model: "nope"},
	}}}}
	c := start(t, says(), cfg).connect(t, "/dev")
	for _, text := range []string{
		`{"action":"sendtext"}`, `{"action":"sendtext","text":" "}`, `{"action":"sendtext","text":5}`,
		`{"action":"sendtext","text":"x","sessionId":"\n"}`, `{"action":"sendtext","after":"not a cursor"}`, `{"action":"bad","text":"x"}`,
	} {
		c.send(text)
		c.expectError("Bad request body")
	}
	c.send(`{"action":"stream"}`)
	c.expect(`{"token": "", "isComplete": true, "error": "the prompt is empty"}`)
}

// One connection is one conversation, unless its messages name others.
func TestSessions(t *testing.T) {
	t.Parallel()
	r := start(t, says("hi"), apigateway.Config{})
	c := r.connect(t, "/dev?sessionId=mine")
	for _, text := range []string{`{"action":"sendtext","text":"one"}`, `{"action":"sendtext","text":"two","sessionId":"other"}`} {
		c.send(text)
	}
	for _, id := range []runnel.SessionID{"mine", "other"} {
		got := r.transcript(t, id, 1)
		if want := map[runnel.SessionID]string{"mine": "one", "other": "two"}[id]; got[0].Prompt[0].Text() != want {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// transcript waits until a session has n turns.
func (r *rig) transcript(t *testing.T, id runnel.SessionID, n int) []runnel.Turn {
	t.Helper()
	var after runnel.Cursor
	for {
		found, err := r.core.Transcript(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Turns) >= n {
			return found.Turns
		}
		events, err := r.core.Read(t.Context(), id, after)
		if err != nil {
			t.Fatal(err)
		}
		after = events[len(events)-1].Cursor
	}
}

// A client that was cut off goes on behind its cursor, and on any route.
func TestResume(t *testing.T) {
	t.Parallel()
	m := make(model, 10)
	r := start(t, m, apigateway.Config{})
	c := r.connect(t, "/dev?sessionId=s")
	m <- "one "
	c.send(`{"action":"stream","prompt":"count","cursor":true}`)
	var first struct{ Token, Cursor string }
	if err := json.Unmarshal([]byte(c.read()), &first); err != nil || first.Token != "one " {
		t.Fatalf("%+v, %v", first, err)
	}
	_ = c.ws.CloseNow()
	m <- "two three"
	close(m)
	r.transcript(t, "s", 1)
	for action, want := range map[string][]string{
		"stream":   {`{"token": "two three", "isComplete": false}`, `{"token": "", "isComplete": true}`},
		"sendtext": {`"two three"`},
		"lex":      {"two three", " "},
	} {
		again := r.connect(t, "/dev?sessionId=s")
		again.send(`{"action":"` + action + `","after":"` + first.Cursor + `"}`)
		again.expect(want...)
	}
	// From the beginning, by the cursor that every door knows.
	again := r.connect(t, "/dev")
	again.send(`{"action":"sendtext","sessionId":"s","after":"0"}`)
	again.expect(`"one "`, `"two three"`)
}

// A script is a core whose one generation has the events that are pushed: the
// real one cannot be made to take back text at a chosen moment.
type script struct {
	runnel.Sessions
	events chan []runnel.Event
}

func (s *script) Submit(context.Context, runnel.Submission) (runnel.Receipt, error) {
	return runnel.Receipt{Session: "s", Generation: "g"}, nil
}

func (s *script) Read(ctx context.Context, _ runnel.SessionID, _ runnel.Cursor) ([]runnel.Event, error) {
	select {
	case evs, open := <-s.events:
		if !open {
			return nil, runnel.Errorf(runnel.Unavailable, "the log does not answer")
		}
		return evs, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *script) push(evs ...runnel.Event) {
	for i := range evs {
		evs[i].Generation, evs[i].Attempt = "g", max(evs[i].Attempt, 1)
	}
	s.events <- evs
}

// An answer that is begun again goes on where it stands, if it says the same.
func TestReset(t *testing.T) {
	t.Parallel()
	delta := func(attempt int, text string) runnel.Event {
		return runnel.Event{Type: runnel.EventDelta, Attempt: attempt, Text: text}
	}
	for _, tt := range []struct {
		name  string
		again string
		want  string
		fails bool
	}{{"the same", "Hello", `"lo"`, false}, {"something else", "Hullo", "", true}} {
		s := &script{events: make(chan []runnel.Event, 10)}
		r := &rig{scripted: s}
		r.serve(t, apigateway.Config{})
		c := r.connect(t, "/dev")
		c.send(`{"action":"sendtext","text":"x"}`)
		s.push(delta(1, "Hel"))
		c.expect(`"Hel"`)
		s.push(runnel.Event{Type: runnel.EventReset, Attempt: 2}, delta(2, tt.again), runnel.Event{Type: runnel.EventDone, Attempt: 2})
		if tt.fails {
			c.expectError("Internal server error")
		} else {
			c.expect(tt.want)
		}
		c.expectSilence()
	}
	s := &script{events: make(chan []runnel.Event)}
	r := &rig{scripted: s}
	r.serve(t, apigateway.Config{})
	c := r.connect(t, "/dev")
	c.send(`{"action":"stream","prompt":"x"}`)
	close(s.events)
	c.expect(`{"token": "", "isComplete": true, "error": "the log does not answer"}`)
}

// What one connection has under way is bounded.
func TestTooMuchUnderWay(t *testing.T) {
	t.Parallel()
	s := &script{events: make(chan []runnel.Event)}
	r := &rig{scripted: s}
	r.serve(t, apigateway.Config{})
	c := r.connect(t, "/dev")
	for range 64 {
		c.send(`{"action":"sendtext","text":"x"}`)
	}
	c.send(`{"action":"sendtext","text":"x"}`)
	c.expectError("Too Many Requests")
}

func TestItem75(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("ping", "", "who", back.url))
	c := r.connect(t, "/dev")
	c.send(`{"action":"who"}`)
	id := back.next(t, "MESSAGE").Context.ConnectionID
	active := func() time.Time {
		_, body := r.do(t, "GET", "/dev/@connections/"+id, "")
		var about struct{ LastActiveAt time.Time }
		if err := json.Unmarshal([]byte(body), &about); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return about.LastActiveAt
	}
	before := active()
	for deadline := time.Now().Add(patience); !active().After(before); { // the ping may not have arrived yet
		c.send(`{"action":"ping"}`)
		if time.Now().After(deadline) {
			t.Fatal("a ping is no activity")
		}
	}
	c.expectSilence()
}

// A connection of the Lex Web UI is shown what is said in its session, as bare
// text, one generation after the other.
func TestItem76(t *testing.T) {
	t.Parallel()
	cfg := apigateway.Config{APIs: []wsapi.API{{Name: "lex", Stages: []string{"Prod"}, Routes: []wsapi.Route{
		{Key: wsapi.Connect, Integration: wsapi.Lex}, {Key: "ping", Integration: wsapi.Mock},
	}}}}
	m := make(model, 10)
	r := start(t, m, cfg)
	c := r.connect(t, "/Prod?sessionId=us-east-1%3A1234&X-Amz-Signature=ignored")
	c.send(`{"action":"ping"}`)
	// What is said is shown from some moment on: a first answer tells that it has come.
	submit := func() {
		t.Helper()
		if _, err := r.core.Submit(t.Context(), runnel.Submission{Prompt: runnel.Prompt{
			Session: "us-east-1:1234", Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	r.watched(t, "us-east-1:1234")
	submit()
	for _, text := range []string{"one, ", "<b>two</b>", "\n"} {
		m <- text
		c.expect(text)
	}
	close(m)
	c.expect(" ")
	submit()
	c.expect(" ")
	c.expectSilence()
}

// watched waits until a reader waits for the session: then nothing is missed.
func (r *rig) watched(t *testing.T, id runnel.SessionID) {
	t.Helper()
	for deadline := time.Now().Add(patience); r.reading.count(id) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody reads the session")
		}
	}
}

// readers counts the calls of Read that have begun, by session.
type readers struct {
	runnel.Sessions
	mu    sync.Mutex
	begun map[runnel.SessionID]int
}

func (s *readers) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	s.mu.Lock()
	s.begun[id]++
	s.mu.Unlock()
	return s.Sessions.Read(ctx, id, after)
}

func (s *readers) count(id runnel.SessionID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[id]
}

// Items 77 to 79: the list of connections, which backends look into.
func (r *rig) listed(t *testing.T, id runnel.SessionID, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		all, err := r.engine.Connections(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, c := range all {
			got = append(got, c.ID)
		}
		if cmp.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has the connections %v, want %v", id, got, want)
		}
	}
}

func TestItem77(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$connect", back.url))
	for _, id := range []string{"us-east-1:0a1b-2c", "lex-web-ui-12ab", "a b/ä+😀"} {
		r.connect(t, "/dev?sessionId="+strings.NewReplacer(":", "%3A", " ", "%20", "+", "%2B", "/", "%2F").Replace(id))
		ev := back.next(t, "CONNECT")
		if ev.Query["sessionId"] != id {
			t.Errorf("%s: the handler got %v", id, ev.Query)
		}
		r.listed(t, runnel.SessionID(id), ev.Context.ConnectionID)
	}
}

// A second tab does not take the first one's place, and neither outlives its
// connection in the list. The newest is last.
func TestItem78(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$connect", back.url))
	r.listed(t, "s")
	var tabs []*client
	var ids []string
	for range 3 {
		tabs = append(tabs, r.connect(t, "/dev?sessionId=s"))
		ids = append(ids, back.next(t, "CONNECT").Context.ConnectionID)
	}
	r.listed(t, "s", ids...)
	_ = tabs[1].ws.CloseNow()
	r.listed(t, "s", ids[0], ids[2])
	r.listed(t, "unknown")
}

func TestItem79(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says("the answer"), api("$connect", back.url))
	c := r.connect(t, "/dev?sessionId=s")
	id := back.next(t, "CONNECT").Context.ConnectionID
	_ = c.ws.CloseNow()
	r.listed(t, "s")
	if resp, _ := r.do(t, "POST", "/dev/@connections/"+id, "x"); resp.StatusCode != 410 {
		t.Errorf("a post to a closed tab: %s", resp.Status)
	}
	receipt, err := r.core.Submit(t.Context(), runnel.Submission{Prompt: runnel.Prompt{
		Session: "s", Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, receipt)
}
