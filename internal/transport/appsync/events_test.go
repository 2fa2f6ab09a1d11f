package appsync_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// listen opens a socket of AppSync Events.
func (r *rig) listen(t testing.TB, header map[string]string) *client {
	t.Helper()
	c := r.dial(t, "/event/realtime", "aws-appsync-event-ws", coded(header))
	c.send(hello)
	c.expect(`{"type":"connection_ack","connectionTimeoutMs":300000}`, ka)
	return c
}

func TestItem77(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	if c := r.listen(t, map[string]string{"x-api-key": g.apiKey}); c.ws.Subprotocol() != "aws-appsync-event-ws" {
		t.Errorf("the subprotocol is %q", c.ws.Subprotocol())
	}
	host := strings.TrimPrefix(r.url, "http://")
	r.listen(t, sign(host, "/event", "{}"))
	c := r.dial(t, "/event/realtime", "aws-appsync-event-ws", coded(map[string]string{"x-api-key": "da2-wrong"}))
	c.send(hello)
	c.expect(`{"type":"connection_error","errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call.","errorCode":401}]}`)
	c.expectClose(websocket.StatusNormalClosure)
}

func TestItem78(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.listen(t, map[string]string{})
	c.send(`{"type":"subscribe","id":"a","channel":"default/chat","authorization":{"host":"h"}}`)
	c.expect(`{"type":"subscribe_success","id":"a"}`)
	c.send(`{"type":"publish","id":"p","channel":"/default/chat","events":["{\"z\":1}","meow"],"authorization":{"host":"h"}}`)
	var success, event string
	for range 2 { // which may come in any order
		switch got := c.read(); {
		case strings.HasPrefix(got, `{"type":"publish_success","id":"p","failed":[{"identifier":"`):
			success = got
		default:
			event = got
		}
	}
	if !strings.Contains(success, `"index":1,"code":"BadRequestException","message":"the event is not JSON"}],"successful":[{"identifier":"`) ||
		!strings.HasSuffix(success, `"index":0}]}`) {
		t.Errorf("got %s", success)
	}
	if event != `{"type":"data","id":"a","event":"{\"z\":1}"}` {
		t.Errorf("got %s", event)
	}
	c.send(`{"type":"subscribe","id":"a","channel":"default/other"}`)
	c.expect(`{"type":"subscribe_error","id":"a","errors":[{"errorType":"DuplicatedOperationError","message":"Duplicated operation with id a"}]}`)
	c.send(`{"type":"unsubscribe","id":"a"}`)
	c.expect(`{"type":"unsubscribe_success","id":"a"}`)
	c.send(`{"type":"unsubscribe","id":"a"}`)
	c.expect(`{"type":"unsubscribe_error","id":"a","errors":[{"errorType":"UnknownOperationError","message":"Unknown operation id a"}]}`)
	c.send(`{"type":"publish","id":"q","channel":"default/chat","events":[]}`)
	c.expect(`{"type":"publish_error","id":"q","errors":[{"errorType":"BadRequestException","message":"there must be 1 to 5 events"}]}`)
	c.send(`{"type":"dance","id":"r"}`)
	c.expect(`{"type":"error","id":"r","errors":[{"errorType":"UnsupportedOperation","message":"the operation is not supported"}]}`)
}

func TestItem79(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.listen(t, map[string]string{})
	for id, name := range map[string]string{"1": "/default/a/b/", "2": "default/a/b", "3": "default/*", "4": "/default/a/*", "5": "default/A/b", "6": "default/a/b/*", "7": "/default/a"} {
		c.send(`{"type":"subscribe","id":"` + id + `","channel":"` + name + `"}`)
		c.expect(`{"type":"subscribe_success","id":"` + id + `"}`)
	}
	if got := r.post(t, "/event", `{"channel":"default/a/b/","events":["1"]}`); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := r.post(t, "/event", `{"channel":"/default/a","events":["2"]}`); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	event := func(id, text string) string { return `{"type":"data","id":"` + id + `","event":"` + text + `"}` }
	c.expectAll(event("1", "1"), event("2", "1"), event("3", "1"), event("4", "1"), event("3", "2"), event("7", "2"))
}

func TestItem80(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.listen(t, map[string]string{})
	c.send(`{"type":"subscribe","id":"a","channel":"default/chat"}`)
	c.expect(`{"type":"subscribe_success","id":"a"}`)
	r.post(t, "/event", `{"channel":"default/chat","events":["1","\"<é>\"","[3]"]}`)
	c.expect(`{"type":"data","id":"a","event":"1"}`, `{"type":"data","id":"a","event":"\"<é>\""}`, `{"type":"data","id":"a","event":"[3]"}`)
}

func TestItem81(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	got := r.post(t, "/event", `{"channel":"/default/chat","events":["{\"a\":1}","{"]}`, "x-api-key", g.apiKey)
	if got.status != 200 || !strings.HasPrefix(got.body, `{"failed":[{"identifier":"`) || !strings.Contains(got.body, `"index":1,"code":"`) || !strings.HasSuffix(got.body, `"index":0}]}`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := r.post(t, "/event", `{"channel":"/default/chat","events":["1"]}`); got.status != 401 || got.header.Get("x-amzn-ErrorType") != "UnauthorizedException" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestItem82(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	host := strings.TrimPrefix(r.url, "http://")
	c := r.listen(t, map[string]string{"x-api-key": g.apiKey})
	const channel, events = `"default/chat"`, `["\"<b> & \u2028 ` + "\u2028" + `\""]`
	auth := func(body string) string { return string(asJSON(sign(host, "/event", body))) }
	c.send(`{"type":"subscribe","id":"a","channel":` + channel + `,"authorization":` + auth(`{"channel":`+channel+`}`) + `}`)
	c.expect(`{"type":"subscribe_success","id":"a"}`)
	c.send(`{"type":"publish","id":"p","channel":` + channel + `,"events":` + events + `,"authorization":` + auth(`{"channel":`+channel+`,"events":`+events+`}`) + `}`)
	for range 2 {
		if got := c.read(); !strings.Contains(got, "publish_success") && !strings.Contains(got, `"type":"data"`) {
			t.Errorf("got %s", got)
		}
	}
	c.send(`{"type":"publish","id":"q","channel":` + channel + `,"events":["1"],"authorization":` + auth(`{"channel":`+channel+`,"events":["2"]}`) + `}`)
	c.expect(`{"type":"publish_error","id":"q","errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call."}]}`)
}

func TestItem83(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.listen(t, map[string]string{})
	for _, name := range []string{"", "/", "nowhere/x", "default/a b", "default/-a", "default//a", "default/a/b/c/d/e", "*", "default/*/a", strings.Repeat("a", 51)} {
		c.send(`{"type":"subscribe","id":"a","channel":` + string(quote(name)) + `}`)
		if got := c.read(); !strings.HasPrefix(got, `{"type":"subscribe_error","id":"a","errors":[{"errorType":"BadRequestException"`) {
			t.Errorf("%q: got %s", name, got)
		}
		if got := r.post(t, "/event", `{"channel":`+string(quote(name))+`,"events":["1"]}`); got.status != 400 {
			t.Errorf("%q: got %d %s", name, got.status, got.body)
		}
	}
	if got := r.post(t, "/event", `{"channel":"default/*","events":["1"]}`); got.status != 400 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A namespace that is bound to sessions shows their logs, and takes pieces.
func TestSessionChannel(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	c := r.listen(t, map[string]string{})
	c.send(`{"type":"subscribe","id":"a","channel":"sessions/s"}`)
	c.expect(`{"type":"subscribe_success","id":"a"}`)
	if got := r.post(t, "/event", `{"channel":"sessions/s","events":["\"hi\"","{\"type\":\"generation.done\"}"]}`); got.status != 200 || !strings.Contains(got.body, `"failed":[]`) {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for _, want := range []string{"generation.queued", "generation.started", "delta", "generation.done"} {
		if got := c.read(); !strings.HasPrefix(got, `{"type":"data","id":"a","event":"{`) || !strings.Contains(got, `\"type\":\"`+want+`\"`) {
			t.Fatalf("got %s, want a %s", got, want)
		}
	}
}

// A namespace may be for some modes only.
func TestNamespaceModes(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	cfg.Namespaces = []gqlapi.Namespace{{Name: "news", Publish: []string{"AWS_IAM"}}}
	r := start(t, says(), cfg)
	const body = `{"channel":"news/x","events":["1"]}`
	if got := r.post(t, "/event", body, "x-api-key", g.apiKey); got.status != 401 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	host := strings.TrimPrefix(r.url, "http://")
	if got := r.post(t, "/event", body, pairs(sign(host, "/event", body))...); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
