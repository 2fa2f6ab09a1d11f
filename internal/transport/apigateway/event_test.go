package apigateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsapi"
)

const ok = `{"statusCode":200}`

func TestItem21(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$connect", back.url))
	r.dial(t, "/dev?a=1&a=2&b=", &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {"me"}, "X-Twice": {"1", "2"}}})
	ev := back.next(t, "CONNECT")
	host := strings.TrimPrefix(r.url, "http://")
	if ev.Headers["Host"] != host || ev.Headers["X-Forwarded-For"] != "127.0.0.1" || ev.Headers["X-Forwarded-Proto"] != "http" ||
		ev.Headers["X-Twice"] != "2" || ev.Headers["Sec-WebSocket-Version"] != "13" || ev.Headers["Sec-WebSocket-Key"] == "" {
		t.Errorf("headers: %v", ev.Headers)
	}
	for _, gone := range []string{"Connection", "Upgrade", "Content-Length"} {
		if _, there := ev.Headers[gone]; there {
			t.Errorf("the event has the header %s", gone)
		}
	}
	var raw struct {
		MultiValueHeaders, MultiValueQueryStringParameters map[string][]string
		Body                                               *string
		IsBase64Encoded                                    *bool
	}
	if err := json.Unmarshal([]byte(ev.raw), &raw); err != nil {
		t.Fatal(err)
	}
	if got := raw.MultiValueHeaders["Host"]; len(got) != 1 || got[0] != host || len(raw.MultiValueHeaders["X-Twice"]) != 2 {
		t.Errorf("multiValueHeaders: %v", raw.MultiValueHeaders)
	}
	if raw.Body != nil || raw.IsBase64Encoded == nil || *raw.IsBase64Encoded {
		t.Errorf("body %v, isBase64Encoded %v", raw.Body, raw.IsBase64Encoded)
	}
	if ev.Query["a"] != "2" || len(raw.MultiValueQueryStringParameters["a"]) != 2 {
		t.Errorf("query: %v, %v", ev.Query, raw.MultiValueQueryStringParameters)
	}
	if id := ev.Context.Identity; id["userAgent"] != "me" || id["sourceIp"] != "127.0.0.1" {
		t.Errorf("identity: %v", id)
	}
	if c := ev.Context; c.RouteKey != "$connect" || c.APIID != "api" || c.Stage != "dev" || c.MessageDirection != "IN" || c.DomainName != host {
		t.Errorf("context: %+v", c)
	}
}

// What has no value is absent.
func TestItem22(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$connect", back.url, "$default", back.url, "$disconnect", back.url))
	c, _ := r.dial(t, "/dev", &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {""}}})
	c.send("hello")
	message := back.next(t, "MESSAGE")
	_ = c.ws.CloseNow()
	for _, ev := range []event{message, back.next(t, "DISCONNECT")} {
		if strings.Contains(ev.raw, "null") {
			t.Errorf("an event has a null: %s", ev.raw)
		}
		for _, name := range []string{"queryStringParameters", "multiValueQueryStringParameters", "stageVariables", "authorizer", "userAgent"} {
			if strings.Contains(ev.raw, `"`+name+`"`) {
				t.Errorf("an event has %s: %s", name, ev.raw)
			}
		}
	}
	if strings.Contains(message.raw, `"headers"`) || strings.Contains(message.raw, "disconnect") {
		t.Errorf("a message's event has what it should not: %s", message.raw)
	}
}

// Items 23 to 25: ids, and what stays the same over a connection.
func eventsOfAConnection(t *testing.T) []event {
	t.Helper()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$connect", back.url, "$default", back.url, "$disconnect", back.url))
	c := r.connect(t, "/dev")
	c.send("hello")
	all := []event{back.next(t, "CONNECT"), back.next(t, "MESSAGE")}
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	return append(all, back.next(t, "DISCONNECT"))
}

func TestItem23(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`)
	for _, ev := range eventsOfAConnection(t) {
		c := ev.Context
		if !id.MatchString(c.ConnectionID) || !id.MatchString(c.RequestID) || c.EventType == "MESSAGE" && !id.MatchString(c.MessageID) {
			t.Errorf("%s: connection %q, request %q, message %q", c.EventType, c.ConnectionID, c.RequestID, c.MessageID)
		}
	}
}

func TestItem24(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, ev := range eventsOfAConnection(t) {
		if c := ev.Context; c.RequestID != c.ExtendedRequestID || seen[c.RequestID] {
			t.Errorf("%s: request %q, extended %q", c.EventType, c.RequestID, c.ExtendedRequestID)
		}
		seen[ev.Context.RequestID] = true
	}
}

func TestItem25(t *testing.T) {
	t.Parallel()
	all := eventsOfAConnection(t)
	for _, ev := range all {
		c := ev.Context
		if c.ConnectedAt != all[0].Context.ConnectedAt || c.ConnectionID != all[0].Context.ConnectionID || c.RequestTimeEpoch < c.ConnectedAt {
			t.Errorf("%s: %+v, the first event has %+v", c.EventType, c, all[0].Context)
		}
		if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", c.RequestTime); err != nil || at.Unix() != c.RequestTimeEpoch/1000 {
			t.Errorf("%s: requestTime %q, requestTimeEpoch %d", c.EventType, c.RequestTime, c.RequestTimeEpoch)
		}
	}
}

// domainName and stage are a base for the management API; make interop has
// boto3 use it.
func TestItem26(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$default", back.url))
	c := r.connect(t, "/dev")
	c.send("hello")
	about := back.next(t, "MESSAGE").Context
	base := "http://" + about.DomainName + "/" + about.Stage
	if base != r.url+"/dev" {
		t.Fatalf("the base is %s", base)
	}
	if resp, body := r.do(t, "POST", "/dev/@connections/"+about.ConnectionID, "hi"); resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	c.expect("hi")
}

// Items 27 to 29: where messages go.
func TestItem27(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	c := start(t, says(), api("sendtext", back.url, "$default", "")).connect(t, "/dev")
	const text = ` {"action": "send\u0074ext", "text":"é <&> \" \n 😀"}  `
	c.send(text)
	if ev := back.next(t, "MESSAGE"); ev.Context.RouteKey != "sendtext" || *ev.Body != text || *ev.IsBase64Encoded {
		t.Errorf("got %s", ev.raw)
	}
}

func defaultGets(t *testing.T, messages ...string) {
	t.Helper()
	back := startBackend(t, answers(ok))
	c := start(t, says(), api("sendtext", "", "$default", back.url)).connect(t, "/dev")
	for _, text := range messages {
		c.send(text)
		if ev := back.next(t, "MESSAGE"); ev.Context.RouteKey != "$default" || *ev.Body != text {
			t.Errorf("%s: got %s", text, ev.raw)
		}
	}
}

func TestItem28(t *testing.T) {
	t.Parallel()
	defaultGets(t, "hello", "", "{", `{"action":"sendtext"`)
}

func TestItem29(t *testing.T) {
	t.Parallel()
	defaultGets(t, `{"a":1}`, `[]`, `"sendtext"`, `{"action":null}`, `{"action":""}`, `{"action":"other"}`)
}

func TestItem30(t *testing.T) {
	t.Parallel()
	c := start(t, says(), api("ping", "")).connect(t, "/dev")
	seen := map[string]bool{}
	for _, text := range []string{"hello", `{"action":"nope"}`} {
		c.send(text)
		f := c.expectError("Forbidden")
		if len(f.ConnectionID) != 16 || len(f.RequestID) != 16 || seen[f.RequestID] {
			t.Errorf("ids %+v", f)
		}
		seen[f.RequestID] = true
	}
}

func TestItem31(t *testing.T) {
	t.Parallel()
	back := startBackend(t, func(w http.ResponseWriter, ev event) {
		switch *ev.Body {
		case "crash":
			panic(http.ErrAbortHandler)
		case "raise":
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		case "500":
			w.WriteHeader(500)
		}
		_, _ = io.WriteString(w, "no response")
	})
	c := start(t, says(), api("$default", back.url)).connect(t, "/dev")
	for _, text := range []string{"crash", "raise", "500", "nonsense"} {
		c.send(text)
		f := c.expectError("Internal server error")
		for { // a transport may ask a second time where the first connection broke
			if ev := back.next(t, "MESSAGE"); ev.Context.RequestID == f.RequestID {
				break
			}
		}
	}
}

func TestItem32(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(`{"statusCode":500,"body":"failed"}`))
	c := start(t, says(), api("$default", back.url)).connect(t, "/dev")
	c.send("hello")
	back.next(t, "MESSAGE")
	c.expectSilence()
}

// expectSilence insists that nothing comes but what is asked for now.
func (c *client) expectSilence() {
	c.t.Helper()
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	for _, frame := range c.drain() {
		c.t.Errorf("the client got %s", frame)
	}
}

// drain reads what was sent before the connection was closed.
func (c *client) drain() (frames []string) {
	for {
		_, data, err := c.ws.Read(c.t.Context())
		if err != nil {
			return frames
		}
		frames = append(frames, string(data))
	}
}

func TestItem33(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(`{"statusCode":200,"body":"{\"a\": \"é\"}"}`))
	cfg := api("$default", back.url)
	cfg.APIs[0].Routes[0].Response = true
	c := start(t, says(), cfg).connect(t, "/dev")
	c.send("hello")
	c.expect(`{"a": "é"}`)
}

// A late handler is answered for, unless its route is async; what it posts later
// arrives.
func TestItem34(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	back := startBackend(t, func(w http.ResponseWriter, _ event) {
		<-release
		_, _ = io.WriteString(w, `{"statusCode":200,"body":"late"}`)
	})
	t.Cleanup(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	})
	cfg := api("sync", back.url, "async", back.url)
	cfg.Timeout = 50 * time.Millisecond
	cfg.APIs[0].Routes[0].Response = true
	cfg.APIs[0].Routes[1].Async = true
	r := start(t, says(), cfg)
	c := r.connect(t, "/dev")
	c.send(`{"action":"async"}`)
	id := back.next(t, "MESSAGE").Context.ConnectionID
	c.send(`{"action":"sync"}`)
	if f := c.expectError("Endpoint request timed out"); f.ConnectionID != id || f.RequestID != back.next(t, "MESSAGE").Context.RequestID {
		t.Errorf("got %+v", f)
	}
	if resp, body := r.do(t, "POST", "/dev/@connections/"+id, "from a late handler"); resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	c.expect("from a late handler")
	close(release)
	c.expectSilence()
}

func TestItem35(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	c := start(t, says(), api("$connect", back.url, "$disconnect", back.url)).connect(t, "/dev")
	back.next(t, "CONNECT")
	for _, text := range []string{`{"action":"$connect"}`, `{"action":"$disconnect"}`, `{"action":"$default"}`} {
		c.send(text)
		c.expectError("Forbidden")
	}
	if len(back.events) != 0 {
		t.Error("a reserved route was taken")
	}
}

func TestItem36(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"stream", "$stream"} {
		cfg := apigateway.Config{APIs: []wsapi.API{{Name: "a", Routes: []wsapi.Route{{Key: "$stream", Integration: wsapi.Stream}}}}}
		c := start(t, says("hi"), cfg).connect(t, "/dev")
		c.send(`{"action":"` + action + `","prompt":"hello"}`)
		c.expect(`{"token": "hi", "isComplete": false}`, `{"token": "", "isComplete": true}`)
	}
}
