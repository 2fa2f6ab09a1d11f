package appsync_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A model answers with what it is sent, and ends when that is closed; an empty
// fragment makes it fail.
type model chan string

func (m model) Generate(ctx context.Context, _ runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		for {
			select {
			case text, ok := <-m:
				switch {
				case !ok:
					yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn}}, nil)
					return
				case text == "":
					yield(runnel.Delta{}, runnel.Errorf(runnel.Denied, "the vendor refuses"))
					return
				case !yield(runnel.Delta{Text: text}, nil):
					return
				}
			case <-ctx.Done():
				yield(runnel.Delta{}, ctx.Err())
				return
			}
		}
	}
}

func (m model) Lookup(name string) ([]runnel.Candidate, error) {
	if name != "" && name != "test" {
		return nil, runnel.Errorf(runnel.Invalid, "unknown model %q", name)
	}
	return []runnel.Candidate{{Name: "test", Provider: m}}, nil
}

// says returns a model that says its text at once.
func says(fragments ...string) model {
	m := make(model, len(fragments))
	for _, f := range fragments {
		m <- f
	}
	close(m)
	return m
}

// A rig is the door on a port, with the real core behind it.
type rig struct {
	url    string // http://host:port
	engine *memlog.Engine
	core   *session.Service
	door   *appsync.Handler
}

// start runs a rig until the end of the test.
func start(t testing.TB, m model, cfg appsync.Config) *rig {
	t.Helper()
	r := &rig{engine: memlog.New()}
	r.core = session.New(r.engine, m, session.Config{FlushInterval: -1, FlushChunks: 1, DrainTimeout: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.core.Run(ctx); err != nil {
			t.Errorf("the core: %v", err)
		}
	})
	t.Cleanup(func() { // runs last
		cancel()
		running.Wait()
	})
	r.serve(t, cfg)
	return r
}

// serve runs a door to the rig's core.
func (r *rig) serve(t testing.TB, cfg appsync.Config) { r.serveSessions(t, r.core, cfg) }

func (r *rig) serveSessions(t testing.TB, sessions runnel.Sessions, cfg appsync.Config) {
	t.Helper()
	cfg.Bus = r.engine
	door, err := appsync.New(sessions, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	door.Register(mux.Handle)
	srv := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := door.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		ending, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := door.End(ending); err != nil {
			t.Errorf("End: %v", err)
		}
		srv.CloseClientConnections()
		srv.Close()
		cancel()
		running.Wait()
	})
	r.url, r.door = srv.URL, door
}

// A client is a WebSocket's other end.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

// dial opens a socket.
func (r *rig) dial(t testing.TB, path string, protocols ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(r.url, "http")+path, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		if resp != nil {
			t.Fatalf("%v: %s", err, resp.Status)
		}
		t.Fatal(err)
	}
	ws.SetReadLimit(4 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}
}

// coded is a header object as it stands in a subprotocol.
func coded(header map[string]string) string {
	data, _ := json.Marshal(header)
	return "header-" + base64.RawURLEncoding.EncodeToString(data)
}

// connect opens a socket as Amplify does, and says hello.
func (r *rig) connect(t testing.TB) *client {
	t.Helper()
	c := r.dial(t, "/graphql/realtime", "graphql-ws", coded(map[string]string{"host": "localhost", "x-api-key": "da2-any"}))
	c.send(`{"type":"connection_init"}`)
	c.expect(`{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}`, `{"type":"ka"}`)
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send %.100s: %v", text, err)
	}
}

func (c *client) read() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	kind, data, err := c.ws.Read(ctx)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	if kind != websocket.MessageText {
		c.t.Fatalf("a frame of kind %v: %q", kind, data)
	}
	return string(data)
}

// expect reads frames and insists on them.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.read(); got != w {
			c.t.Fatalf("got frame %s, want %s", got, w)
		}
	}
}

// expectClose reads until the connection is closed, and insists on the code.
func (c *client) expectClose(code websocket.StatusCode) (before []string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		_, data, err := c.ws.Read(ctx)
		if err == nil {
			before = append(before, string(data))
			continue
		}
		end, ok := errors.AsType[websocket.CloseError](err)
		if !ok || end.Code != code {
			c.t.Fatalf("closed with %v, want %d", err, code)
		}
		return before
	}
}

// start subscribes as Amplify does.
func (c *client) start(id, query, variables string, header ...string) {
	c.t.Helper()
	data, _ := json.Marshal(map[string]json.RawMessage{"query": quote(query), "variables": json.RawMessage(variables)})
	h := map[string]string{"host": "localhost"}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	msg, _ := json.Marshal(map[string]any{
		"id": id, "type": "start", "payload": map[string]any{"data": string(data), "extensions": map[string]any{"authorization": h}},
	})
	c.send(string(msg))
}

func quote(s string) json.RawMessage {
	data, _ := json.Marshal(s)
	return data
}

// A response is the answer to a request over HTTP.
type response struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// post sends a body, with lines of header in pairs.
func (r *rig) post(t testing.TB, path, body string, header ...string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{t, resp.StatusCode, resp.Header, string(data)}
}

// ask executes a query or a mutation.
func (r *rig) ask(t testing.TB, query, variables string, header ...string) response {
	t.Helper()
	if variables == "" {
		variables = "null"
	}
	body, _ := json.Marshal(map[string]json.RawMessage{"query": quote(query), "variables": json.RawMessage(variables)})
	return r.post(t, "/graphql", string(body), header...)
}

// want insists on an answer.
func (r response) want(status int, body string) {
	r.t.Helper()
	if r.status != status || r.body != body {
		r.t.Fatalf("got %d %s, want %d %s", r.status, r.body, status, body)
	}
}

const (
	onSendMessage = `subscription onSendMessage($sessionId: String!) { onSendMessage(sessionId: $sessionId) { message sessionId locale } }`
	sendMessage   = `mutation M($input: SendMessageInput!) { sendMessage(input: $input) { locale message sessionId timeStamp } }`
	getResponse   = `query Q($locale: String!, $message: String!, $sessionId: String!) {
	  getLlmResponse(input: {locale: $locale, message: $message, sessionId: $sessionId}) { messages { content contentType } locale sessionId } }`
	uuid = "11111111-1111-1111-1111-111111111111"
)

// message is the frame of a message of the reference design.
func message(id, session, text string) string {
	return `{"type":"data","id":"` + id + `","payload":{"data":{"onSendMessage":{"message":` + string(quote(text)) +
		`,"sessionId":"` + session + `","locale":"en_US"}}}}`
}

// tell makes the model say fragments, each an event of its own in the session.
func (r *rig) tell(t testing.TB, m model, id runnel.SessionID, fragments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, text := range fragments {
		end, err := r.core.End(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case m <- text:
		case <-ctx.Done():
			t.Fatal("the model is not asked")
		}
		r.await(ctx, t, id, end, func(ev *runnel.Event) bool { return ev.Type == runnel.EventDelta && ev.Text == text })
	}
}

// await reads a session until an event is found.
func (r *rig) await(ctx context.Context, t testing.TB, id runnel.SessionID, after runnel.Cursor, found func(*runnel.Event) bool) {
	t.Helper()
	for {
		events, err := r.core.Read(ctx, id, after)
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			if found(&events[i]) {
				return
			}
			after = events[i].Cursor
		}
	}
}

// leave cuts a client off, and returns when the door has noticed: one of n sockets
// is gone.
func (r *rig) leave(c *client, n int) {
	c.t.Helper()
	_ = c.ws.CloseNow()
	for end := time.Now().Add(patience); r.door.Len() >= n; runtime.Gosched() {
		if time.Now().After(end) {
			c.t.Fatalf("%d sockets are open", r.door.Len())
		}
	}
}

func readAll(t testing.TB, r *http.Request) string {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

// messageOf returns the text of a message's frame.
func messageOf(t testing.TB, frame string) string {
	t.Helper()
	var f struct {
		Payload struct {
			Data struct{ OnSendMessage struct{ Message string } }
		}
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		t.Fatal(err)
	}
	return f.Payload.Data.OnSendMessage.Message
}
