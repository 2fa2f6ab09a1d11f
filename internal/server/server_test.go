package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/peer"
	"github.com/runnelhq/runnel/internal/server"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// A running server.
type running struct {
	url  string
	stop func() error
}

// run starts a server that is stopped at the end of the test.
func run(t *testing.T, cfg server.Config) running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := running{"http://" + s.Addr().String(), sync.OnceValue(func() error { cancel(); return <-done })}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// do sends a request and returns its response with the body read.
func (r running) do(t *testing.T, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// door returns a door whose handlers answer with their pattern and the values
// of its wildcards.
func door(name string, patterns ...string) server.Door {
	return server.Door{Name: name, Register: func(handle func(string, http.Handler)) {
		for _, p := range patterns {
			handle(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, p)
				for _, v := range []string{"id", "stage"} {
					if value := r.PathValue(v); value != "" {
						_, _ = io.WriteString(w, " "+v+"="+value)
					}
				}
			}))
		}
	}}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	r := run(t, server.Config{Doors: []server.Door{
		door("bedrock", "POST /model/{id}/converse-stream"),
		door("apigateway", "GET /{stage}", "POST /{stage}/@connections/{id}"),
		door("native", "GET /v1/sessions/{id}"),
		door("openai", "POST /v1/chat/completions"),
		door("functionurl", "POST /{$}"),
	}})
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"POST", "/model/anthropic.claude-v2%3A1/converse-stream", 200, "POST /model/{id}/converse-stream id=anthropic.claude-v2:1"},
		{"POST", "/dev/@connections/AbC%3D", 200, "POST /{stage}/@connections/{id} id=AbC= stage=dev"},
		{"POST", "/dev//@connections/AbC%3D", 200, "POST /{stage}/@connections/{id} id=AbC= stage=dev"},
		{"POST", "//dev/%40connections/a%2Fb", 200, "POST /{stage}/@connections/{id} id=a/b stage=dev"},
		{"GET", "/dev", 200, "GET /{stage} stage=dev"},
		{"GET", "/a%2Fmodel", 200, "GET /{stage} stage=a/model"},
		{"GET", "/v1/sessions/a%2F%2Fb", 200, "GET /v1/sessions/{id} id=a//b"},
		{"POST", "/v1/chat/completions", 200, "POST /v1/chat/completions"},
		{"POST", "/", 200, "POST /{$}"},
		{"GET", "/", 200, "<title>Runnel</title>"},
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/v1/nothing", 404, `{"error":{"kind":"not_found","message":"nothing is served at \"/v1/nothing\""}}`},
		{"POST", "/model/x/@connections/y", 404, `"not_found"`},
		{"PUT", "/a/b/c", 404, `"not_found"`},
		{"DELETE", "/v1/sessions/x", 405, `{"error":{"kind":"invalid","message":"DELETE is not possible here; GET, HEAD is"}}`},
		{"PUT", "/", 405, `GET, HEAD, POST`},
		{"GET", "/metrics", 200, "GET /{stage}"}, // not set, so not taken
	} {
		resp, body := r.do(t, tt.method, tt.path)
		if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: got %d %s, want %d with %s", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
		}
		if allow := resp.Header.Get("Allow"); (allow != "") != (tt.status == 405) {
			t.Errorf("%s %s: Allow is %q", tt.method, tt.path, allow)
		}
		if resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Server") != "" {
			t.Errorf("%s %s: %v", tt.method, tt.path, resp.Header)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]server.Config{
		"GET /v1/x": {Doors: []server.Door{door("a", "GET /v1/x"), door("b", "GET /v1/x")}},
		"nonsense":  {Doors: []server.Door{door("a", "nonsense")}},
	} {
		if _, err := server.New(nil, cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestClientAddress asks through a proxy that is trusted, and past it.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	echo := server.Door{Name: "echo", Register: func(handle func(string, http.Handler)) {
		handle("GET /who", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, peer.Addr(r).String()) }))
	}}
	for trusted, want := range map[string]string{"127.0.0.0/8": "198.51.100.7", "10.0.0.0/8": "127.0.0.1"} {
		proxies, err := peer.ParseProxies([]string{trusted})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, server.Config{Doors: []server.Door{echo}, Proxies: proxies})
		if _, got := r.do(t, "GET", "/who", "X-Forwarded-For", "1.1.1.1, 198.51.100.7"); got != want {
			t.Errorf("trusting %s: got %s, want %s", trusted, got, want)
		}
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	r := run(t, server.Config{})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(r.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("got %s %s", resp.Proto, resp.Status)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	handlers := map[string]http.HandlerFunc{
		"GET /early": func(http.ResponseWriter, *http.Request) { panic("boom") },
		"GET /late": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		},
		"GET /abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	register := func(prefix string) func(handle func(string, http.Handler)) {
		return func(handle func(string, http.Handler)) {
			for pattern, h := range handlers {
				handle(strings.Replace(pattern, "/", "/"+prefix, 1), h)
			}
		}
	}
	r := run(t, server.Config{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Doors: []server.Door{
			{Name: "plain", Register: register("p/")},
			{Name: "own", Register: register("o/"), Error: func(w http.ResponseWriter, err error) {
				http.Error(w, "own "+runnel.PublicMessage(err), 500)
			}},
		},
	})
	if resp, body := r.do(t, "GET", "/p/early"); resp.StatusCode != 500 || body != `{"error":{"kind":"internal","message":"internal error"}}`+"\n" {
		t.Errorf("got %s %s", resp.Status, body)
	}
	if resp, body := r.do(t, "GET", "/o/early"); resp.StatusCode != 500 || body != "own internal error\n" {
		t.Errorf("got %s %s", resp.Status, body)
	}
	if got := log.String(); !strings.Contains(got, "panic=boom") || !strings.Contains(got, "server_test.go") {
		t.Errorf("the log says %s", got)
	}
	resp, err := http.Get(r.url + "/p/late")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a response that was cut looks complete: %s", body)
	}
	if resp, err := http.Get(r.url + "/p/abort"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("an aborted response: %s", resp.Status)
	}
}

// A lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	r := run(t, server.Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	resp, _ := r.do(t, "GET", "/healthz", "X-Request-Id", "from-the-proxy")
	if got := resp.Header.Get("X-Request-Id"); got != "from-the-proxy" {
		t.Errorf("the request id became %q", got)
	}
	if resp, _ := r.do(t, "GET", "/healthz", "X-Request-Id", `a"b c`); strings.Contains(resp.Header.Get("X-Request-Id"), " ") {
		t.Error("an odd request id was kept")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "msg=request component=server request_id=from-the-proxy method=GET path=/healthz") || !strings.Contains(got, "status=200") {
		t.Errorf("the log says %s", got)
	}
}

func origins(t *testing.T, texts ...string) peer.Origins {
	t.Helper()
	o, err := peer.ParseOrigins(texts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	doors := []server.Door{door("d", "POST /x", "GET /x")}
	for _, tt := range []struct {
		name          string
		allowed       []string
		method        string
		origin        string
		status        int
		allowedOrigin string
	}{
		{"no origin", nil, "POST", "", 200, ""},
		{"another site", nil, "POST", "https://evil.test", 403, ""},
		{"another site looks", nil, "GET", "https://evil.test", 200, ""},
		{"allowed", []string{"https://chat.test"}, "POST", "https://chat.test", 200, "https://chat.test"},
		{"not allowed", []string{"https://chat.test"}, "POST", "https://evil.test", 403, ""},
		{"by pattern", []string{"https://*.chat.test"}, "POST", "https://a.chat.test", 200, "https://a.chat.test"},
		{"all", []string{"*"}, "POST", "https://any.test", 200, "*"},
	} {
		r := run(t, server.Config{Doors: doors, Origins: origins(t, tt.allowed...)})
		var header []string
		if tt.origin != "" {
			header = []string{"Origin", tt.origin}
		}
		resp, body := r.do(t, tt.method, "/x", header...)
		if got := resp.Header.Get("Access-Control-Allow-Origin"); resp.StatusCode != tt.status || got != tt.allowedOrigin {
			t.Errorf("%s: got %s with %q: %s", tt.name, resp.Status, got, body)
		}
	}
	r := run(t, server.Config{Doors: doors, Origins: origins(t, "https://chat.test")})
	resp, _ := r.do(t, "OPTIONS", "/x", "Origin", "https://chat.test", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "idempotency-key,last-event-id")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Headers") != "idempotency-key,last-event-id" {
		t.Errorf("preflight: %s %v", resp.Status, resp.Header)
	}
	resp, _ = r.do(t, "GET", "/x", "Origin", "https://chat.test")
	if got := resp.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "Location") || !strings.Contains(got, "Runnel-Generation") || !strings.Contains(got, "Retry-After") {
		t.Errorf("exposed: %s", got)
	}
}

// A door with rules of its own decides about all its requests, preflights too,
// and about nobody else's.
func TestOwnOrigins(t *testing.T) {
	t.Parallel()
	own := door("own", "POST /own/x", "OPTIONS /own/x")
	own.OwnOrigins = true
	for _, allowed := range [][]string{nil, {"https://chat.test"}} {
		r := run(t, server.Config{Doors: []server.Door{own, door("d", "POST /x", "POST /other/own")}, Origins: origins(t, allowed...)})
		for path, want := range map[string]int{"/own/x": 200, "/%6fwn/x": 200, "/x": 403, "/other/own": 403} {
			if resp, _ := r.do(t, "POST", path, "Origin", "https://evil.test"); resp.StatusCode != want {
				t.Errorf("%s, %v allowed: got %s, want %d", path, allowed, resp.Status, want)
			}
		}
		if resp, _ := r.do(t, "OPTIONS", "/own/x", "Origin", "https://chat.test", "Access-Control-Request-Method", "POST"); resp.StatusCode != 200 {
			t.Errorf("the door does not see a preflight: %s", resp.Status)
		}
	}
}

// An engine is healthy unless it has an error.
type engine struct{ err error }

func (e engine) Durability() string          { return "survives everything" }
func (e engine) Check(context.Context) error { return e.err }

func TestReadiness(t *testing.T) {
	t.Parallel()
	type state struct {
		Ready, Draining    bool
		Engine, Durability string
	}
	for _, tt := range []struct {
		cfg    server.Config
		status int
		want   state
	}{
		{server.Config{}, 200, state{true, false, "ok", ""}},
		{server.Config{Engine: engine{}}, 200, state{true, false, "ok", "survives everything"}},
		{server.Config{Engine: engine{runnel.Errorf(runnel.Unavailable, "no quorum")}}, 503, state{false, false, "no quorum", "survives everything"}},
		{server.Config{Engine: engine{errors.New("secret")}}, 503, state{false, false, "internal error", "survives everything"}},
	} {
		resp, body := run(t, tt.cfg).do(t, "GET", "/readyz")
		var got state
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.status || got != tt.want {
			t.Errorf("got %d %+v, want %d %+v", resp.StatusCode, got, tt.status, tt.want)
		}
	}
}
