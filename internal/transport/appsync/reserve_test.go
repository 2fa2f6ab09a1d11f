package appsync_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const streamToken = "X-GraphQL-Event-Stream-Token"

// do sends a request, with lines of header in pairs.
func (r *rig) do(t testing.TB, method, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// want sends a request and insists on the status of its answer, which it returns.
func (r *rig) want(t testing.TB, status int, method, path, body string, header ...string) string {
	t.Helper()
	resp := r.do(t, method, path, body, header...)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s %s: got %s %s, want %d", method, path, body, resp.Status, text, status)
	}
	return string(text)
}

// operation is the body of a request on a stream.
func operation(id, query string) string {
	return `{"query":` + string(quote(query)) + `,"extensions":{"operationId":"` + id + `"}}`
}

// A reading is a stream of events that a test looks at.
type reading struct {
	t testing.TB
	*bufio.Reader
}

// expect insists on what comes next, but for comments.
func (b reading) expect(want ...string) {
	b.t.Helper()
	for _, w := range want {
		got := ""
		for got == "" || !strings.HasSuffix(got, "\n\n") {
			line, err := b.ReadString('\n')
			if err != nil {
				b.t.Fatalf("%v, want %s", err, w)
			}
			if line[0] != ':' && (got != "" || line != "\n") {
				got += line
			}
		}
		if got != w {
			b.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func next(id, payload string) string {
	return "event: next\ndata: {\"id\":\"" + id + "\",\"payload\":" + payload + "}\n\n"
}

func complete(id string) string { return "event: complete\ndata: {\"id\":\"" + id + "\"}\n\n" }

// Operations whose results come on one stream.
func TestReservation(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	token := r.want(t, 201, "PUT", "/graphql", "")
	if other := r.want(t, 201, "PUT", "/graphql", ""); other == token || len(other) < 30 {
		t.Errorf("the tokens are %s and %s", token, other)
	}
	// An operation may come before the stream.
	r.want(t, 202, "POST", "/graphql", operation("1", "subscription { chat }"), streamToken, token)
	resp := r.do(t, "GET", "/graphql?token="+token, "", "Accept", "text/event-stream")
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("%s with %q", resp.Status, kind)
	}
	stream := reading{t, bufio.NewReader(resp.Body)}
	r.want(t, 202, "POST", "/graphql", operation("2", `mutation { ModelSet(prompt: "hi") }`), streamToken, token)
	stream.expect(next("2", `{"data":{"ModelSet":true}}`), complete("2"))
	r.tell(t, m, "chat", "a", "b")
	stream.expect(next("1", `{"data":{"chat":"a"}}`), next("1", `{"data":{"chat":"b"}}`))

	for _, tt := range []struct {
		status       int
		method, body string
		header       []string
	}{
		{409, "GET", "", []string{streamToken, token, "Accept", "text/event-stream"}}, // there is one
		{404, "GET", "", []string{streamToken, "stream-wrong"}},
		{404, "POST", operation("3", "{ __typename }"), []string{streamToken, "stream-wrong"}},
		{404, "DELETE", "", nil},
		{409, "POST", operation("1", "{ __typename }"), []string{streamToken, token}},
		{400, "POST", operation("", "{ __typename }"), []string{streamToken, token}},
		{400, "POST", `{"query":"{ __typename }"}`, []string{streamToken, token}},
		{400, "POST", operation("3", "{ nothing }"), []string{streamToken, token}},
		{400, "POST", "meow", []string{streamToken, token}},
		{405, "PATCH", "", nil},
	} {
		r.want(t, tt.status, tt.method, "/graphql", tt.body, tt.header...)
	}

	// What is stopped says nothing any more, and its id is free.
	r.want(t, 200, "DELETE", "/graphql?operationId=1", "", streamToken, token)
	r.want(t, 200, "DELETE", "/graphql?operationId=nobody", "", streamToken, token)
	r.tell(t, m, "chat", "c")
	for {
		resp := r.do(t, "POST", "/graphql", operation("1", "{ __typename }"), streamToken, token)
		if resp.StatusCode == 202 {
			break
		} else if resp.StatusCode != 409 { // it is about to end
			t.Fatalf("got %s", resp.Status)
		}
	}
	stream.expect(next("1", `{"data":{"__typename":"Query"}}`), complete("1"))

	// The end of the stream is the end of the token.
	_ = resp.Body.Close()
	for {
		resp := r.do(t, "DELETE", "/graphql?operationId=1", "", streamToken, token)
		if resp.StatusCode == 404 {
			break
		} else if resp.StatusCode != 200 { // the door has not noticed yet
			t.Fatalf("got %s", resp.Status)
		}
	}
}

// A stream is its caller's, and a caller has so many.
func TestReservationOwner(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	mine := []string{"x-api-key", g.apiKey}
	other := []string{"Authorization", g.token("access", time.Hour)}
	r.want(t, 401, "PUT", "/graphql", "")
	token := r.want(t, 201, "PUT", "/graphql", "", mine...)
	body := operation("1", "mutation { ModelSet }")
	r.want(t, 404, "POST", "/graphql", body, append(other, streamToken, token)...)
	r.want(t, 404, "GET", "/graphql", body, append(other, streamToken, token)...)
	r.want(t, 401, "GET", "/graphql?token="+token, "")
	r.want(t, 202, "POST", "/graphql", body, append(mine, streamToken, token)...)
	stream := reading{t, bufio.NewReader(r.do(t, "GET", "/graphql?token="+token, "", mine...).Body)}
	stream.expect(next("1", `{"data":{"ModelSet":true}}`), complete("1"))
	for range 99 {
		r.want(t, 201, "PUT", "/graphql", "", mine...)
	}
	r.want(t, 429, "PUT", "/graphql", "", mine...)
	r.want(t, 201, "PUT", "/graphql", "", other...)
}

// A stream that nobody opens ends, and what was to come on it.
func TestReservationExpires(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.door.KeepReserved(time.Millisecond)
	for range 101 { // those that are over do not count
		token := r.want(t, 201, "PUT", "/graphql", "")
		for end := time.Now().Add(patience); r.do(t, "DELETE", "/graphql?operationId=1", "", streamToken, token).StatusCode != 404; {
			if time.Now().After(end) {
				t.Fatal("it is still there")
			}
		}
	}
}
