package appsync_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// standard opens a socket of graphql-transport-ws.
func (r *rig) standard(t testing.TB, payload string) *client {
	t.Helper()
	c := r.dial(t, "/graphql", "graphql-transport-ws")
	c.send(`{"type":"connection_init"` + payload + `}`)
	return c
}

func TestStandard(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	c := r.standard(t, "")
	c.expect(`{"type":"connection_ack"}`)
	c.send(`{"type":"ping"}`)
	c.expect(`{"type":"pong"}`)
	c.send(`{"type":"subscribe","id":"1","payload":{"query":"subscription { chat }"}}`)
	c.send(`{"type":"subscribe","id":"2","payload":{"query":"mutation { ModelSet(prompt: \"hi\") }"}}`)
	c.expect(`{"type":"next","id":"2","payload":{"data":{"ModelSet":true}}}`, `{"type":"complete","id":"2"}`)
	r.tell(t, m, "chat", "a")
	c.expect(`{"type":"next","id":"1","payload":{"data":{"chat":"a"}}}`)
	c.send(`{"type":"subscribe","id":"3","payload":{"query":"subscription { x }"}}`)
	if got := c.read(); !strings.HasPrefix(got, `{"type":"error","id":"3","payload":[{`) {
		t.Errorf("got %s", got)
	}
	c.send(`{"type":"complete","id":"1"}`)
	c.send(`{"type":"ping"}`)
	c.expect(`{"type":"pong"}`)
}

// Those who break the rules are closed with the protocol's own codes.
func TestStandardCodes(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for _, tt := range []struct {
		messages string
		code     websocket.StatusCode
	}{
		{`meow`, 4400},
		{`{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}`, 4401},
		{hello + "\n" + hello, 4429},
		{hello + "\n" + `{"type":"dance"}`, 4400},
		{hello + "\n" + `{"type":"subscribe","payload":{}}`, 4400},
		{hello + "\n" + `{"type":"subscribe","id":"1","payload":{"query":"subscription { chat }"}}` + "\n" +
			`{"type":"subscribe","id":"1","payload":{"query":"subscription { chat }"}}`, 4409},
	} {
		c := r.dial(t, "/graphql", "graphql-transport-ws")
		for message := range strings.SplitSeq(tt.messages, "\n") {
			c.send(message)
		}
		c.expectClose(tt.code)
	}
}

func TestStandardCredentials(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	c := r.standard(t, `,"payload":{"x-api-key":"`+g.apiKey+`"}`)
	c.expect(`{"type":"connection_ack"}`)
	c.send(`{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}`)
	c.expect(`{"type":"next","id":"1","payload":{"data":{"__typename":"Query"}}}`, `{"type":"complete","id":"1"}`)
	r.standard(t, "").expectClose(4403)
	r.standard(t, `,"payload":{"x-api-key":"da2-wrong"}`).expectClose(4403)
}

// GraphQL over SSE, each operation on a connection of its own.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	open := func(query string) (*bufio.Reader, *http.Response) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/graphql", strings.NewReader(`{"query":`+string(quote(query))+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return bufio.NewReader(resp.Body), resp
	}
	next := func(b *bufio.Reader) string {
		text := ""
		for {
			line, err := b.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "\n" && text != "" {
				return text
			}
			if line != "\n" && line[0] != ':' {
				text += strings.TrimSuffix(line, "\n") + "|"
			}
		}
	}
	chat, resp := open("subscription { chat }")
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("%s with %q", resp.Status, kind)
	}
	once, _ := open(`mutation { ModelSet(prompt: "hi") }`)
	for _, want := range []string{`event: next|data: {"data":{"ModelSet":true}}|`, `event: complete|data: |`} {
		if got := next(once); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r.tell(t, m, "chat", "a")
	if got, want := next(chat), `event: next|data: {"data":{"chat":"a"}}|`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	wrong, _ := open("subscription { x }")
	if got := next(wrong); !strings.HasPrefix(got, `event: next|data: {"data":null,"errors":[{`) {
		t.Errorf("got %q", got)
	}
}
