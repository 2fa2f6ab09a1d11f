package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/sse"
)

// protected returns the settings of a node with one API key, and the key.
func protected(t *testing.T) (cfg config.Config, key string) {
	t.Helper()
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg = settings(t, "echo?ttft=0s&tps=0")
	cfg.Keys = []auth.Key{{Name: "test", Hash: hash}}
	return cfg, key
}

// A caller sends requests to a node.
type caller struct {
	web *http.Client
	url string
}

func newCaller(t *testing.T, url string) caller {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{web: &http.Client{Transport: transport}, url: url}
}

func (c caller) status(t *testing.T, method, path, body string, prepare func(*http.Request)) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(req)
	}
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if asks := resp.Header.Get("WWW-Authenticate") != ""; asks != (resp.StatusCode == http.StatusUnauthorized) {
		t.Errorf("%s %s: %d with WWW-Authenticate: %v", method, path, resp.StatusCode, asks)
	}
	return resp.StatusCode
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// signed signs a request as AWS clients do.
func signed(t *testing.T, secret, body string) func(*http.Request) {
	return func(r *http.Request) {
		hash := sha256.Sum256([]byte(body))
		credentials := aws.Credentials{AccessKeyID: "AKIDTEST", SecretAccessKey: secret}
		err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(hash[:]), "lambda", "us-east-1", time.Now())
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-that-is-long-enough"
	cfg, key := protected(t)
	cfg.IAM = sigv4.Config{Keys: []sigv4.Key{{AccessKey: "AKIDTEST", Secret: secret}}}
	cfg.Listen = "0.0.0.0:0" // which is allowed now
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Listen = "127.0.0.1:0"
	node, l := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	const prompt = `{"prompt":"hello"}`
	long := `{"prompt":"` + strings.Repeat("x", 100<<10) + `"}`
	for _, tt := range []struct {
		name, method, path, body string
		prepare                  func(*http.Request)
		want                     int
	}{
		{"nobody", "GET", "/v1/sessions/s", "", nil, 401},
		{"nobody at the other door", "POST", "/", prompt, nil, 401},
		{"a wrong key", "GET", "/v1/sessions/s", "", with("X-Api-Key", "rnl_x"), 401},
		{"the key", "GET", "/v1/sessions/s", "", with("X-Api-Key", key), 200},
		{"the key as a bearer token", "GET", "/v1/sessions/s", "", with("Authorization", "Bearer "+key), 200},
		{"the key in the query", "GET", "/v1/sessions/s?token=" + key, "", nil, 200},
		{"a prompt", "POST", "/v1/sessions/s/prompts", prompt, with("X-Api-Key", key), 202},
		{"a prompt at the other door", "POST", "/", prompt, with("X-Api-Key", key), 200},
		{"a signature", "POST", "/v1/sessions/s/prompts", prompt, signed(t, secret, prompt), 202},
		{"a signature at the other door", "POST", "/", prompt, signed(t, secret, prompt), 200},
		{"a signature over much", "POST", "/", long, signed(t, secret, long), 200},
		{"a signature over something else", "POST", "/", prompt, signed(t, secret, "{}"), 401},
		{"a wrong signature", "POST", "/", prompt, signed(t, "another secret, as long", prompt), 401},
		{"a body that is too large", "POST", "/", strings.Repeat("x", 4<<20), signed(t, secret, strings.Repeat("x", 4<<20)), 400},
		{"health", "GET", "/healthz", "", nil, 200},
		{"readiness", "GET", "/readyz", "", nil, 200},
		{"metrics", "GET", "/metrics", "", nil, 200},
		{"the description", "GET", "/openapi.yaml", "", nil, 200},
	} {
		if got := c.status(t, tt.method, tt.path, tt.body, tt.prepare); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	for _, secret := range []string{key, secret} {
		if strings.Contains(l.String(), secret) {
			t.Error("the log has a secret")
		}
	}
}

// A user's session is hidden from another one, and grants are kept.
func TestUsers(t *testing.T) {
	t.Parallel()
	cfg, service := protected(t)
	keys := map[string]string{}
	for _, name := range []string{"ada", "bob", "reader"} {
		key, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
		cfg.Keys = append(cfg.Keys, auth.Key{Name: name, Hash: hash, User: name != "reader"})
	}
	cfg.Keys[3].Grants = []auth.Grant{{Actions: []runnel.Action{runnel.Read}}}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	submit := func(key string) int {
		return c.status(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"hello"}`, with("X-Api-Key", key))
	}
	for _, tt := range []struct {
		who, key string
		want     int
	}{
		{"its first user", keys["ada"], 202},
		{"another user", keys["bob"], 404},
		{"a service", service, 202},
		{"a service that may only read", keys["reader"], 403},
	} {
		if got := submit(tt.key); got != tt.want {
			t.Errorf("%s gets %d, want %d", tt.who, got, tt.want)
		}
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	cfg, key := protected(t)
	node, l := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	asks := func(key string) int {
		t.Helper()
		return c.status(t, "GET", "/v1/sessions/s", "", with("X-Api-Key", key))
	}
	reload := func(next config.Config, err error) {
		node.Reload(func() (*config.Config, error) { return &next, err })
	}

	// One that cannot be read, and one that cannot be used.
	reload(config.Config{}, errors.New("it is not there"))
	broken := cfg
	broken.Issuers = []auth.Issuer{{Issuer: "https://id.example", Audiences: []string{"a"}, JWKSFile: "nowhere.json"}}
	broken.Keys = nil
	reload(broken, nil)
	if got := asks(key); got != http.StatusOK {
		t.Errorf("after reloads that were refused the key gets %d", got)
	}
	if n := strings.Count(l.String(), "the present one stays"); n != 2 {
		t.Errorf("%d refusals are in the log, want 2:\n%s", n, l)
	}

	next, other := protected(t)
	next.DataDir, next.Retries = cfg.DataDir, cfg.Retries+1
	reload(next, nil)
	if got := asks(key); got != http.StatusUnauthorized {
		t.Errorf("the key that is gone gets %d", got)
	}
	if got := asks(other); got != http.StatusOK {
		t.Errorf("the new key gets %d", got)
	}
	if !strings.Contains(l.String(), `"settings":["retries"]`) {
		t.Errorf("the log does not say what needs a restart:\n%s", l)
	}
}

// A node that others can reach keeps asking for credentials, although the new
// configuration, with its other address, needs none.
func TestReloadKeepsTheDoorShut(t *testing.T) {
	t.Parallel()
	cfg, _ := protected(t)
	cfg.Listen = "0.0.0.0:0"
	var log bytes.Buffer
	node, err := app.New(cfg, &log)
	if err != nil {
		t.Fatal(err)
	}
	next := cfg
	next.Listen, next.Keys = "127.0.0.1:0", nil
	node.Reload(func() (*config.Config, error) { return &next, nil })
	if !strings.Contains(log.String(), "can be reached from other machines") {
		t.Errorf("the keys are gone:\n%s", log.String())
	}
}

// follow opens the event stream of a session and returns it behind its head.
func (c caller) follow(t *testing.T, key string) *sse.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/sessions/s/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream is refused: %s", resp.Status)
	}
	return sse.NewReader(resp.Body, 1<<20)
}

// ended reads a stream to its end, which must say that the credentials are no
// longer good, and returns when it came.
func ended(t *testing.T, frames *sse.Reader) time.Time {
	t.Helper()
	last := ""
	for {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = string(f.Type) + string(f.Data)
	}
	if !strings.HasPrefix(last, `error{"kind":"unauthenticated"`) {
		t.Errorf("the stream ends with %s", last)
	}
	return time.Now()
}

// An open stream ends when the credentials that opened it do; what it showed
// goes on.
func TestStreamsEndWithTheirCredentials(t *testing.T) {
	t.Parallel()
	const life = time.Second
	cfg, gone := protected(t)
	other, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	short, shortHash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Model = []string{"echo?ttft=0s&tps=50&tokens=150"}
	cfg.Keys = append(cfg.Keys, auth.Key{Name: "other", Hash: hash})
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	api, err := client.New(c.url, client.WithHTTPClient(c.web), client.WithAPIKey(other))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := api.Submit(t.Context(), "s", client.Prompt{Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}

	stream := c.follow(t, gone)
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(life)
	next := cfg
	next.Keys = []auth.Key{cfg.Keys[1], {Name: "short", Hash: shortHash, Expires: expires}}
	reloaded := time.Now()
	node.Reload(func() (*config.Config, error) { return &next, nil })
	expiring := c.follow(t, short)
	if took := ended(t, stream).Sub(reloaded); took > time.Second {
		t.Errorf("the stream of the key that is gone ended after %v", took)
	}
	if late := ended(t, expiring).Sub(expires); late < 0 || late > time.Second {
		t.Errorf("the stream of the key that expires ended %v after it", late)
	}

	var answer client.Answer
	for ev, err := range api.Follow(t.Context(), receipt) {
		if err != nil {
			t.Fatal(err)
		}
		answer.Apply(ev)
	}
	if answer.State != runnel.Done {
		t.Errorf("the generation is %s", answer.State)
	}
}
