package apigateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsapi"
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
					yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn, Usage: &runnel.Usage{InputTokens: 1, OutputTokens: 2}}}, nil)
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

// says returns a model that says its text at once.
func says(fragments ...string) model {
	m := make(model, len(fragments))
	for _, f := range fragments {
		m <- f
	}
	close(m)
	return m
}

func (m model) Lookup(name string) ([]runnel.Candidate, error) {
	if name != "" && name != "test" {
		return nil, runnel.Errorf(runnel.Invalid, "unknown model %q", name)
	}
	return []runnel.Candidate{{Name: "test", Provider: m}}, nil
}

// A rig is the door on a port, with the real core behind it.
type rig struct {
	url    string // http://host:port
	engine *memlog.Engine
	core   *session.Service
	door   *apigateway.Handler

	scripted runnel.Sessions // in place of the core
	reading  *readers
}

// start runs a rig until the end of the test.
func start(t *testing.T, m model, cfg apigateway.Config) *rig {
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
func (r *rig) serve(t *testing.T, cfg apigateway.Config) {
	t.Helper()
	if r.engine != nil {
		cfg.Peers, cfg.Connections = r.engine, r.engine
	}
	if r.scripted == nil {
		r.reading = &readers{Sessions: r.core, begun: make(map[runnel.SessionID]int)}
		r.scripted = r.reading
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	cfg.Integrations = map[string]apigateway.Opener{wsapi.HTTP: apigateway.NewEndpoints(&http.Client{Transport: transport})}
	door, err := apigateway.New(r.scripted, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	door.Register(mux.Handle)
	srv := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() {
		close(ready)
		if err := door.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	<-ready
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
		transport.CloseIdleConnections()
	})
	r.url, r.door = srv.URL, door
}

// A client is a WebSocket's other end.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

// dial connects, and returns the response that refuses it otherwise.
func (r *rig) dial(t *testing.T, path string, opts *websocket.DialOptions) (*client, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(r.url, "http")+path, opts)
	if err != nil {
		if resp == nil {
			t.Fatal(err)
		}
		return nil, resp
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}, resp
}

func (r *rig) connect(t *testing.T, path string) *client {
	t.Helper()
	c, resp := r.dial(t, path, nil)
	if c == nil {
		t.Fatalf("%s is refused: %s", path, resp.Status)
	}
	return c
}

// refused insists that a handshake ends with a status, and returns the body.
func (r *rig) refused(t *testing.T, path string, status int, header ...string) string {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	c, resp := r.dial(t, path, &websocket.DialOptions{HTTPHeader: h})
	if c != nil {
		t.Fatalf("%s is accepted, want %d", path, status)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		t.Fatalf("%s is refused with %s: %s; want %d", path, resp.Status, body, status)
	}
	return string(body)
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

// expectClose reads until the connection is closed, and insists on the code, and on
// the reason unless it is empty. It returns what came before.
func (c *client) expectClose(code websocket.StatusCode, reason string) (before []string) {
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
		if !ok || end.Code != code || reason != "" && end.Reason != reason {
			c.t.Fatalf("closed with %v, want %d %q", err, code, reason)
		}
		return before
	}
}

// An errorFrame is what API Gateway says of what went wrong.
type errorFrame struct{ Message, ConnectionID, RequestID string }

// expectError reads an error frame, byte for byte.
func (c *client) expectError(message string) errorFrame {
	c.t.Helper()
	text := c.read()
	var f errorFrame
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if want := `{"message": "` + message + `", "connectionId":"` + f.ConnectionID + `", "requestId":"` + f.RequestID + `"}`; text != want {
		c.t.Fatalf("got frame %s, want %s", text, want)
	}
	return f
}

// A backend is somebody else's handler behind HTTP.
type backend struct {
	url    string
	events chan event
}

// An event is what a backend got.
type event struct {
	raw     string
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"queryStringParameters"`
	Body    *string           `json:"body"`
	Context struct {
		RouteKey, EventType, MessageID, ConnectionID, RequestID, ExtendedRequestID string
		Stage, DomainName, RequestTime, APIID, MessageDirection                    string
		ConnectedAt, RequestTimeEpoch                                              int64
		DisconnectStatusCode                                                       int
		DisconnectReason                                                           string
		Identity                                                                   map[string]string
		Authorizer                                                                 map[string]any
	} `json:"requestContext"`
	IsBase64Encoded *bool
}

// startBackend answers events with what handle makes of them.
func startBackend(t *testing.T, handle func(w http.ResponseWriter, ev event)) *backend {
	t.Helper()
	b := &backend{events: make(chan event, 1000)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		ev := event{raw: string(data)}
		if err == nil {
			err = json.Unmarshal(data, &ev)
		}
		if err != nil {
			t.Errorf("event %q: %v", data, err)
		}
		b.events <- ev
		handle(w, ev)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	b.url = srv.URL
	return b
}

// answers returns a handler that always answers the same.
func answers(text string) func(http.ResponseWriter, event) {
	return func(w http.ResponseWriter, _ event) { _, _ = io.WriteString(w, text) }
}

// next returns the next event of a type.
func (b *backend) next(t *testing.T, eventType string) event {
	t.Helper()
	for {
		select {
		case ev := <-b.events:
			if ev.Context.EventType == eventType {
				return ev
			}
		case <-time.After(patience):
			t.Fatalf("no event of type %s", eventType)
		}
	}
}

// api returns a configuration with an API of these routes, given as key and URL;
// no URL is a mock.
func api(routes ...string) apigateway.Config {
	a := wsapi.API{Name: "api", Stages: []string{"dev", "prod"}}
	for i := 0; i < len(routes); i += 2 {
		r := wsapi.Route{Key: routes[i], Integration: wsapi.Mock}
		if routes[i+1] != "" {
			r.Integration, r.URL = wsapi.HTTP, routes[i+1]
		}
		a.Routes = append(a.Routes, r)
	}
	return apigateway.Config{APIs: []wsapi.API{a}}
}

// do sends a request to the management API, and returns the answer with its body.
func (r *rig) do(t *testing.T, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
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
	return resp, string(data)
}
