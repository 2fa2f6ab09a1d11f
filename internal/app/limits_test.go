package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/limit"
)

// slowly is a rate that gives nothing back while a test runs.
const slowly = 1e-6

// limited returns settings with keys for these names, and rules for them in
// their order.
func limited(t *testing.T, model string, rules ...limit.Limits) (cfg config.Config, keys []string) {
	t.Helper()
	cfg = settings(t, model)
	for i, limits := range rules {
		name := fmt.Sprint("k", i)
		keys = append(keys, keyed(t, &cfg, auth.Key{Name: name}))
		cfg.Limits.Rules = append(cfg.Limits.Rules, limit.Rule{Principals: []string{"key:" + name}, Limits: limits})
	}
	return cfg, keys
}

func stop(t *testing.T, nodes ...*app.App) {
	t.Helper()
	for _, node := range nodes {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// response asks and returns the answer, whose body has been read.
func (c caller) response(t *testing.T, method, path, body, key string) (resp *http.Response, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	if resp, err = c.web.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// accepted hands in a prompt and returns the id of its generation.
func (c caller) accepted(t *testing.T, path, body, key string) string {
	t.Helper()
	resp, text := c.response(t, "POST", path, body, key)
	var receipt struct{ Generation string }
	if err := json.Unmarshal([]byte(text), &receipt); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s, %v", resp.Status, text, err)
	}
	return receipt.Generation
}

// wantRefused insists on a refusal by a limit, with all that is to be said of it.
func wantRefused(t *testing.T, resp *http.Response, body, policy, params string) {
	t.Helper()
	h := resp.Header
	if resp.StatusCode != http.StatusTooManyRequests || h.Get("Retry-After") == "" || !strings.Contains(body, "too many "+policy) ||
		!strings.Contains(h.Get("RateLimit-Policy"), `"`+policy+`";`+params) || !strings.Contains(h.Get("RateLimit"), `"`+policy+`";r=0`) {
		t.Errorf("got %s %v %s; want a refusal by %s", resp.Status, h, body, policy)
	}
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for tick := time.Tick(20 * time.Millisecond); !f(); {
		select {
		case <-tick:
		case <-timeout:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

const (
	promptPath = "/v1/sessions/s/prompts"
	hello      = `{"prompt":"hello"}`
)

func TestRequestLimit(t *testing.T) {
	t.Parallel()
	cfg, keys := limited(t, "echo?ttft=0s&tps=0", limit.Limits{Rate: slowly, Burst: 2}, limit.Limits{})
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	for _, path := range []string{promptPath, "/"} { // each door's answers, each door's form
		if path == "/" {
			lift := cfg
			node.Reload(func() (*config.Config, error) { lift.Limits = limit.Config{}; return &lift, nil })
			for range 5 {
				if resp, _ := c.response(t, "POST", path, hello, keys[0]); resp.StatusCode != http.StatusOK || resp.Header.Get("RateLimit") != "" {
					t.Fatalf("the limits are gone: %s %v", resp.Status, resp.Header)
				}
			}
			node.Reload(func() (*config.Config, error) { return &cfg, nil })
		} else {
			for i := range 2 {
				resp, _ := c.response(t, "GET", "/v1/sessions/s", "", keys[0])
				if want := fmt.Sprintf(`"requests";r=%d;`, 1-i); resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("RateLimit"), want) {
					t.Errorf("request %d: %s %v", i, resp.Status, resp.Header)
				}
			}
		}
		resp, body := c.response(t, "POST", path, hello, keys[0])
		wantRefused(t, resp, body, "requests", "q=2;w=2000000")
	}
	// Nothing has come of what was refused, and others go on.
	if resp, body := c.response(t, "GET", "/v1/sessions/s", "", keys[1]); resp.StatusCode != http.StatusOK || strings.Contains(body, "hello") {
		t.Errorf("got %s %s", resp.Status, body)
	}
	eventually(t, "the metric", func() bool {
		return strings.Contains(get(t, c.web, c.url+"/metrics"), `runnel_limit_refusals_total{limit="requests"} 2`)
	})
	stop(t, node)
	if got := refusals(t, l.String()); !slices.Equal(got, []string{"key:k0 requests 2"}) {
		t.Errorf("the audit log has %q", got)
	}
}

// refusals sums up what the audit log has of limits.
func refusals(t *testing.T, log string) (got []string) {
	t.Helper()
	var order []string
	sums := map[string]int{}
	for line := range strings.Lines(log) {
		var l struct {
			Component, Reason, Principal, Limit string
			Times                               int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Component == "audit" && l.Reason == "limit" {
			key := l.Principal + " " + l.Limit
			if sums[key] == 0 {
				order = append(order, key)
			}
			sums[key] += l.Times
		}
	}
	slices.Sort(order)
	for _, key := range order {
		got = append(got, fmt.Sprint(key, " ", sums[key]))
	}
	return got
}

// A stream takes up a connection until it ends, though its handler has returned.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	cfg, keys := limited(t, "echo", limit.Limits{Connections: 1})
	node, _ := start(t, cfg)
	defer stop(t, node)
	c := newCaller(t, "http://"+node.Addr().String())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/sessions/s/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", keys[0])
	stream, err := c.web.Do(req)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatal(stream, err)
	}
	for range 3 {
		resp, body := c.response(t, "POST", promptPath, hello, keys[0])
		wantRefused(t, resp, body, "connections", `q=1;qu="concurrent-requests"`)
	}
	if err := stream.Body.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection to be free", func() bool {
		resp, _ := c.response(t, "GET", "/v1/sessions/s", "", keys[0])
		return resp.StatusCode == http.StatusOK
	})
}

func TestGenerationLimit(t *testing.T) {
	t.Parallel()
	cfg, keys := limited(t, "echo?ttft=0s&tps=1&tokens=10000", limit.Limits{Generations: 1}, limit.Limits{Generations: 1})
	cfg.DrainTimeout = 100 * time.Millisecond
	node, _ := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	gen := c.accepted(t, promptPath, hello, keys[0])
	resp, body := c.response(t, "POST", "/v1/sessions/other/prompts", hello, keys[0])
	wantRefused(t, resp, body, "generations", `q=1;qu="concurrent-requests"`)
	c.accepted(t, "/v1/sessions/third/prompts", hello, keys[1])
	stop(t, node)

	// The next process finds it under way, neither forgotten nor for ever.
	node, _ = start(t, cfg)
	defer func() { stop(t, node) }()
	c = newCaller(t, "http://"+node.Addr().String())
	resp, body = c.response(t, "POST", "/v1/sessions/other/prompts", hello, keys[0])
	wantRefused(t, resp, body, "generations", `q=1;qu="concurrent-requests"`)
	if resp, body := c.response(t, "POST", "/v1/generations/"+gen+"/cancel", "", keys[0]); resp.StatusCode/100 != 2 {
		t.Fatalf("cancel: %s %s", resp.Status, body)
	}
	eventually(t, "room for another generation", func() bool {
		resp, _ := c.response(t, "POST", "/v1/sessions/other/prompts", hello, keys[0])
		return resp.StatusCode == http.StatusAccepted
	})
}

// Nodes count together, and go on counting after a restart.
func TestDailyLimits(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "two nodes on a NATS server"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			cfg, keys := limited(t, "echo?ttft=0s&tps=0&tokens=10", limit.Limits{Prompts: 4}, limit.Limits{Tokens: 5000})
			nodes := 1
			if engine != "embedded" {
				nodes, cfg.NATSURL = 2, []string{natsServer(t)}
			}
			startAll := func() (all []*app.App, callers []caller) {
				for range nodes {
					node, _ := start(t, cfg)
					all, callers = append(all, node), append(callers, newCaller(t, "http://"+node.Addr().String()))
				}
				return all, callers
			}
			running, callers := startAll()
			for i := range 4 {
				callers[i%nodes].accepted(t, promptPath, hello, keys[0])
			}
			for range 3 {
				for _, c := range callers {
					resp, body := c.response(t, "POST", promptPath, hello, keys[0])
					wantRefused(t, resp, body, "prompts", "q=4;w=86400")
				}
			}
			// Each sets aside more than a thousand tokens, and takes a few. They are
			// settled a moment after the answer has ended.
			for i := range 5 {
				callers[i%nodes].answer(t, keys[1])
			}
			stop(t, running...)

			running, callers = startAll()
			defer func() { stop(t, running...) }()
			for _, c := range callers {
				resp, body := c.response(t, "POST", promptPath, hello, keys[0])
				wantRefused(t, resp, body, "prompts", "q=4;w=86400")
				c.answer(t, keys[1])
			}
			resp, body := callers[0].response(t, "POST", promptPath, `{"prompt":"hello","max_tokens":4990}`, keys[1])
			if resp.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "too many tokens") ||
				!strings.Contains(resp.Header.Get("RateLimit-Policy"), `"tokens";q=5000;qu="tokens";w=86400`) {
				t.Errorf("what was used is not counted: %s %v %s", resp.Status, resp.Header, body)
			}
		})
	}
}

// answer submits a prompt and reads its answer to the end.
func (c caller) answer(t *testing.T, key string) {
	t.Helper()
	api, err := client.New(c.url, client.WithHTTPClient(c.web), client.WithAPIKey(key))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := api.Submit(t.Context(), "tokens", client.Prompt{Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range api.Follow(t.Context(), receipt) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func natsServer(t *testing.T) (url string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	cfg, keys := limited(t, "echo?ttft=0s&tps=0", limit.Limits{MaxBody: 1000}, limit.Limits{MaxPrompt: 1000})
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	long := `{"prompt":"` + strings.Repeat("x", 1001) + `"}`
	for _, path := range []string{promptPath, "/"} {
		if resp, _ := c.response(t, "POST", path, long, keys[0]); resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: a body that is too large: %s", path, resp.Status)
		}
		resp, body := c.response(t, "POST", path, long, keys[1])
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "the limit is 1000") || resp.Header.Get("Retry-After") != "" {
			t.Errorf("%s: a prompt that is too long: %s %v %s", path, resp.Status, resp.Header, body)
		}
		for _, key := range keys {
			if resp, body := c.response(t, "POST", path, hello, key); resp.StatusCode/100 != 2 {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
		}
	}
	stop(t, node)
	if got := refusals(t, l.String()); !slices.Equal(got, []string{"key:k0 body_bytes 2", "key:k1 prompt_bytes 2"}) {
		t.Errorf("the audit log has %q", got)
	}
}

// The Lambda doors read a body themselves, within the caller's bounds: it does not
// reach the function.
func TestSizeLimitsOfFunctions(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		fmt.Fprint(w, `"ran"`)
	}))
	t.Cleanup(handler.Close)
	cfg, keys := limited(t, "echo?ttft=0s&tps=0", limit.Limits{MaxBody: 1000}, limit.Limits{})
	cfg.Functions = []function.Config{{Name: "f", HTTP: handler.URL, URL: &function.URL{Auth: function.AuthGateway}}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	long, short := `"`+strings.Repeat("x", 1000)+`"`, `"x"`
	for _, tt := range []struct {
		path, body, key string
		want            int
		says            string
	}{
		{"/functions/f", long, keys[0], http.StatusRequestEntityTooLarge, `{"Message":"Request must be smaller than`},
		{"/2015-03-31/functions/f/invocations", long, keys[0], http.StatusRequestEntityTooLarge, "must be smaller than 1000 bytes"},
		{"/functions/f", short, keys[0], http.StatusOK, "ran"},
		{"/2015-03-31/functions/f/invocations", short, keys[0], http.StatusOK, "ran"},
		{"/functions/f", long, keys[1], http.StatusOK, "ran"},
		{"/2015-03-31/functions/f/invocations", long, keys[1], http.StatusOK, "ran"},
	} {
		if resp, body := c.response(t, "POST", tt.path, tt.body, tt.key); resp.StatusCode != tt.want || !strings.Contains(body, tt.says) {
			t.Errorf("%s, %d bytes: got %s, %s", tt.path, len(tt.body), resp.Status, body)
		}
	}
	stop(t, node)
	if got := refusals(t, l.String()); calls.Load() != 4 || !slices.Equal(got, []string{"key:k0 body_bytes 2"}) {
		t.Errorf("%d calls, and the audit log has %q", calls.Load(), got)
	}
}

// An address that shows bad credentials too often is not listened to for a while.
func TestBadCredentialsAreLimited(t *testing.T) {
	t.Parallel()
	cfg, keys := limited(t, "echo", limit.Limits{})
	cfg.Limits.Rules = append(cfg.Limits.Rules, limit.Rule{Principals: []string{"address:*"}, Limits: limit.Limits{Rate: slowly, Burst: 2}})
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	for range 5 { // who shows good ones costs the address nothing
		if resp, _ := c.response(t, "GET", "/v1/sessions/s", "", keys[0]); resp.StatusCode != http.StatusOK {
			t.Errorf("got %s", resp.Status)
		}
	}
	for range 2 {
		if resp, _ := c.response(t, "GET", "/v1/sessions/s", "", "rnl_wrong"); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %s", resp.Status)
		}
	}
	for _, key := range []string{"rnl_wrong", keys[0]} {
		resp, body := c.response(t, "GET", "/v1/sessions/s", "", key)
		wantRefused(t, resp, body, "requests", "q=2;")
	}
	stop(t, node)
	if got := refusals(t, l.String()); !slices.Equal(got, []string{"address:127.0.0.1 requests 2"}) {
		t.Errorf("the audit log has %q", got)
	}
}

// Callers whom nobody asks who they are have the limits of their addresses.
func TestLimitsByAddress(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=1&tokens=1000")
	cfg.TrustedProxies, cfg.DrainTimeout = []string{"127.0.0.1"}, 100*time.Millisecond
	cfg.Limits.Default = limit.Limits{Generations: 1, Prompts: 100}
	node, _ := start(t, cfg)
	defer stop(t, node)
	c := newCaller(t, "http://"+node.Addr().String())
	for _, tt := range []struct {
		client string
		want   int
	}{{"192.0.2.1", 202}, {"192.0.2.1", 429}, {"192.0.2.2", 202}, {"2001:db8::1", 202}, {"2001:db8::2", 429}} {
		if got := c.status(t, "POST", promptPath, hello, with("X-Forwarded-For", tt.client)); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.client, got, tt.want)
		}
	}
}
