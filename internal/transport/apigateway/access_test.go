package apigateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// secured returns cfg with callers who must show credentials.
func secured(t *testing.T, cfg apigateway.Config, who auth.Config) (apigateway.Config, *auth.Service) {
	t.Helper()
	s, err := auth.New(who, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Authenticate, cfg.Conns.Bind = s.Authenticate, s.Bind
	return cfg, s
}

// An authorizer is a Lambda authorizer behind HTTP.
type authorizer struct {
	cfg   auth.Config
	asked atomic.Int32
	event atomic.Pointer[string] // the last
}

func startAuthorizer(t *testing.T, answer func(w http.ResponseWriter, event string)) *authorizer {
	t.Helper()
	a := new(authorizer)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		event := string(data)
		a.asked.Add(1)
		a.event.Store(&event)
		answer(w, event)
	}))
	t.Cleanup(srv.Close)
	a.cfg = auth.Config{Webhook: &auth.Webhook{
		URL: srv.URL, Form: auth.FormAPIGateway, IdentitySources: []string{"route.request.querystring.token"}, Timeout: time.Second,
	}}
	return a
}

func always(text string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, text) }
}

// policy returns what an authorizer answers with an effect on a resource.
func policy(effect, resource string) string {
	return `{"principalId":"ada","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"` + effect +
		`","Resource":"` + resource + `"}]},"context":{"plan":"pro","seats":3,"admin":true}}`
}

const anyResource = "arn:aws:execute-api:*:*:api/prod/*"

func TestItem5(t *testing.T) {
	t.Parallel()
	a := startAuthorizer(t, always(policy("Allow", "*")))
	cfg, _ := secured(t, apigateway.Config{}, a.cfg)
	r := start(t, says(), cfg)
	for _, path := range []string{"/dev", "/dev?token=", "/dev?other=x"} {
		if body := r.refused(t, path, 401); body != `{"message":"Unauthorized"}` {
			t.Errorf("%s: got %s", path, body)
		}
	}
	if n := a.asked.Load(); n != 0 {
		t.Errorf("the authorizer was asked %d times", n)
	}
}

func TestItem6(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{policy("Deny", "*"), policy("Allow", "arn:aws:execute-api:*:*:other/*")} {
		cfg, _ := secured(t, api("ping", ""), startAuthorizer(t, always(answer)).cfg)
		start(t, says(), cfg).refused(t, "/prod?token=x", 403)
	}
}

func TestItem7(t *testing.T) {
	t.Parallel()
	failing := func(message string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, _ string) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorMessage":"`+message+`","errorType":"Exception"}`)
		}
	}
	for _, tt := range []struct {
		answer func(http.ResponseWriter, string)
		want   int
	}{
		{failing("Unauthorized"), 401},
		{failing("KeyError"), 500},
		{always("null"), 500},
		{always(`{"principalId":"ada"}`), 500},
		{func(w http.ResponseWriter, _ string) { w.WriteHeader(502) }, 500},
	} {
		cfg, _ := secured(t, apigateway.Config{}, startAuthorizer(t, tt.answer).cfg)
		start(t, says(), cfg).refused(t, "/dev?token=x", tt.want)
	}
}

func TestItem8(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{`{"isAuthorized":true,"context":{"a":"b"}}`: 101, `{"isAuthorized":false}`: 403} {
		cfg, _ := secured(t, apigateway.Config{}, startAuthorizer(t, always(answer)).cfg)
		r := start(t, says(), cfg)
		if want == 101 {
			r.connect(t, "/dev?token=x")
		} else {
			r.refused(t, "/dev?token=x", want)
		}
	}
}

// Items 9 and 11: what the authorizer says goes with every event, and it is
// asked once.
func TestItem9(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	a := startAuthorizer(t, always(policy("Allow", anyResource)))
	cfg, _ := secured(t, api("$connect", back.url, "$default", back.url, "$disconnect", back.url), a.cfg)
	c := start(t, says(), cfg).connect(t, "/prod?token=x")
	c.send("hello")
	events := []event{back.next(t, "CONNECT"), back.next(t, "MESSAGE")}
	_ = c.ws.CloseNow()
	for _, ev := range append(events, back.next(t, "DISCONNECT")) {
		got := ev.Context.Authorizer
		_, timed := got["integrationLatency"].(float64)
		if got["principalId"] != "ada" || got["plan"] != "pro" || got["seats"] != "3" || got["admin"] != "true" || !timed {
			t.Errorf("%s: %v", ev.Context.EventType, got)
		}
	}
	var asked struct {
		Type, MethodArn string
		RequestContext  struct{ ConnectionID, RouteKey, Stage, APIID string }
	}
	if err := json.Unmarshal([]byte(*a.event.Load()), &asked); err != nil {
		t.Fatal(err)
	}
	if about := asked.RequestContext; asked.Type != "REQUEST" || !strings.HasSuffix(asked.MethodArn, ":api/prod/$connect") ||
		about.ConnectionID != events[0].Context.ConnectionID || about.RouteKey != "$connect" || about.Stage != "prod" {
		t.Errorf("the authorizer was asked %s", *a.event.Load())
	}
}

func TestItem10(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]int{
		anyResource: 101, "arn:aws:execute-api:*:*:api/prod/*/*": 403, "arn:aws:execute-api:*:*:api/dev/*": 403,
	} {
		cfg, _ := secured(t, api("ping", ""), startAuthorizer(t, always(policy("Allow", resource))).cfg)
		r := start(t, says(), cfg)
		if want == 101 {
			r.connect(t, "/prod?token=x")
		} else {
			r.refused(t, "/prod?token=x", want)
		}
	}
}

func TestItem11(t *testing.T) {
	t.Parallel()
	a := startAuthorizer(t, always(policy("Allow", "*")))
	cfg, _ := secured(t, api("ping", "", "$disconnect", ""), a.cfg)
	c := start(t, says(), cfg).connect(t, "/prod?token=x")
	for range 5 {
		c.send(`{"action":"ping"}`)
	}
	c.expectSilence()
	if n := a.asked.Load(); n != 1 {
		t.Errorf("the authorizer was asked %d times", n)
	}
}

// A pool is a Cognito user pool with one key.
type pool struct {
	key *ecdsa.PrivateKey
	cfg auth.Config
}

const poolIssuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab12Cd34E"

func newPool(t *testing.T) *pool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"}}}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return &pool{key, auth.Config{Issuers: []auth.Issuer{{Issuer: poolIssuer, JWKSFile: file, ClientIDs: []string{"app"}}}}}
}

func (p *pool) token(t *testing.T, expires time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{
		"iss": poolIssuer, "aud": "app", "token_use": "id", "sub": "ada", "email": "ada@example.com",
		"iat": time.Now().Unix(), "exp": expires.Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestItem12(t *testing.T) {
	t.Parallel()
	ours, other := newPool(t), newPool(t)
	back := startBackend(t, answers(ok))
	cfg, _ := secured(t, api("$connect", back.url), ours.cfg)
	r := start(t, says(), cfg)
	soon := time.Now().Add(time.Hour)
	r.refused(t, "/dev", 401)
	r.refused(t, "/dev?token=nonsense", 403)
	r.refused(t, "/dev?token="+ours.token(t, time.Now().Add(-time.Hour)), 403)
	r.refused(t, "/dev?token="+other.token(t, soon), 403)
	r.connect(t, "/dev?token="+ours.token(t, soon))
	got := back.next(t, "CONNECT").Context.Authorizer
	if got["principalId"] != "ada" || got["email"] != "ada@example.com" || got["exp"] == "" {
		t.Errorf("handlers see %v", got)
	}
}

// A connection ends with its token.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	ours := newPool(t)
	cfg, _ := secured(t, apigateway.Config{}, ours.cfg)
	r := start(t, says(), cfg)
	c := r.connect(t, "/dev?token="+ours.token(t, time.Now().Add(5*time.Second)))
	c.expectClose(4401, "the credentials have expired")
}

// Another user's session is not there, whichever route asks for it.
func TestForeignSession(t *testing.T) {
	t.Parallel()
	keys := make(map[string]string)
	var who auth.Config
	for _, name := range []string{"ada", "bob"} {
		key, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
		who.Keys = append(who.Keys, auth.Key{Name: name, Hash: hash, User: true})
	}
	cfg, service := secured(t, apigateway.Config{}, who)
	r := start(t, says("mine"), cfg)
	ada := r.connect(t, "/dev?sessionId=s&token="+keys["ada"])
	ada.send(`{"action":"sendtext","text":"hello"}`)
	ada.expect(`"mine"`)
	bob := r.connect(t, "/dev?sessionId=s&token="+keys["bob"])
	bob.send(`{"action":"sendtext","text":"hello"}`)
	bob.expectError("Forbidden")
	bob.send(`{"action":"runnel","type":"submit","id":"1","prompt":"hello"}`)
	bob.expect(`{"type":"error","id":"1","kind":"not_found","message":"no such session"}`)
	bob.send(`{"action":"runnel","type":"subscribe","id":"2","after":"0"}`)
	bob.expect(`{"type":"subscribed","id":"2","cursor":"0","session":"s"}`)
	bob.send(`{"action":"sendtext","after":"0"}`)
	// Nor may a user post to anybody's connection.
	if resp, _ := r.do(t, "POST", "/dev/@connections/L0SM9cOFvHcCIhw%3D?token="+keys["bob"], "x"); resp.StatusCode != 403 {
		t.Errorf("a user's post: %s", resp.Status)
	}
	// A key that is withdrawn ends its connections.
	who.Keys = who.Keys[:1]
	if err := service.Reload(who); err != nil {
		t.Fatal(err)
	}
	if shown := bob.expectClose(4401, "the credentials have been withdrawn"); shown != nil {
		t.Errorf("the other user was shown %q", shown)
	}
	ada.send(`{"action":"ping"}`)
	ada.expectSilence()
}

const (
	accessKey = "AKIDLOCAL"
	secret    = "a secret that is long enough"
)

// signatures returns a configuration that knows one access key, as the node has it.
func signatures(t *testing.T, keys ...sigv4.Key) auth.Config {
	t.Helper()
	if keys == nil {
		keys = []sigv4.Key{{AccessKey: accessKey, Secret: secret}}
	}
	verifier, err := sigv4.New(sigv4.Config{Keys: keys}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Config{Signatures: func(c auth.Credentials) (*runnel.Principal, error) {
		body := c.Body
		if body == nil {
			body = func() ([]byte, error) { return nil, nil }
		}
		service, _, _ := strings.Cut(c.Action, ":")
		id, err := verifier.Verify(sigv4.FromHTTP(c.Request, body), service)
		if err == nil {
			err = id.Allow(c.Action)
		}
		if err != nil {
			return nil, err
		}
		return id.Principal(), nil
	}}
}

var signer = aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// presign returns the path and query of a handshake as the Lex Web UI signs it:
// for the host without its port.
func (r *rig) presign(t *testing.T, at time.Time) string {
	t.Helper()
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+u.Hostname()+"/prod?sessionId=us-east-1%3A1234&X-Amz-Expires=3600", nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), signer, req, emptyHash, "execute-api", "us-east-1", at)
	if err != nil {
		t.Fatal(err)
	}
	return signed[strings.Index(signed, "/prod"):]
}

func TestItem13(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	cfg, _ := secured(t, api("$connect", back.url), signatures(t))
	r := start(t, says(), cfg)
	r.connect(t, r.presign(t, time.Now())) // the rig's port is not 443
	ev := back.next(t, "CONNECT")
	if ev.Context.Identity["accessKey"] != accessKey || ev.Context.Identity["userArn"] == "" || ev.Query["sessionId"] != "us-east-1:1234" {
		t.Errorf("got %s", ev.raw)
	}
	if body := r.refused(t, "/prod", 403); body != `{"message":"Missing Authentication Token"}` {
		t.Errorf("got %s", body)
	}
	if body := r.refused(t, strings.Replace(r.presign(t, time.Now()), "1234", "1235", 1), 403); !strings.Contains(body, "signature") {
		t.Errorf("got %s", body)
	}
}

func TestItem14(t *testing.T) {
	t.Parallel()
	r := start(t, says(), apigateway.Config{})
	r.connect(t, r.presign(t, time.Now().Add(-9*time.Hour)))
}

func TestItem15(t *testing.T) {
	t.Parallel()
	cfg, _ := secured(t, apigateway.Config{}, signatures(t))
	r := start(t, says(), cfg)
	r.refused(t, r.presign(t, time.Now().Add(-2*time.Hour)), 403)
}

// signed sends a request to the management API as an SDK signs it.
func (r *rig) signed(t *testing.T, method, path, body string, who aws.Credentials, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), who, req, hex.EncodeToString(sum[:]), "execute-api", "us-east-1", time.Now()); err != nil {
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

func TestItem54(t *testing.T) {
	t.Parallel()
	narrow := sigv4.Key{AccessKey: "AKIDNARROW", Secret: secret, Actions: []string{"execute-api:Invoke"}}
	cfg, _ := secured(t, apigateway.Config{}, signatures(t, sigv4.Key{AccessKey: accessKey, Secret: secret}, narrow))
	r := start(t, says(), cfg)
	const path = "/dev/@connections/L0SM9cOFvHcCIhw%3D"
	resp, body := r.do(t, "POST", path, "x")
	if got := resp.Header.Get("x-amzn-ErrorType"); resp.StatusCode != 403 || got != "MissingAuthenticationTokenException" || body != `{"message":"Missing Authentication Token"}` {
		t.Errorf("unsigned: %s %s %s", resp.Status, got, body)
	}
	for _, tt := range []struct{ key, secret, want string }{
		{accessKey, "some other secret, as long", "InvalidSignatureException"},
		{"AKIDNOBODY", secret, "UnrecognizedClientException"},
		{"AKIDNARROW", secret, "AccessDeniedException"},
	} {
		resp, body := r.signed(t, "POST", path, "x", aws.Credentials{AccessKeyID: tt.key, SecretAccessKey: tt.secret})
		if got := resp.Header.Get("x-amzn-ErrorType"); resp.StatusCode != 403 || got != tt.want || !strings.HasPrefix(body, `{"message":"`) {
			t.Errorf("%s: %s %s %s", tt.want, resp.Status, got, body)
		}
	}
	if resp, body := r.signed(t, "POST", path, "x", signer); resp.StatusCode != 410 {
		t.Errorf("signed: %s %s", resp.Status, body)
	}
}

// What SDKs sign differs; all of it is accepted. Their own requests are in make
// interop, but for Go's.
func TestItem57(t *testing.T) {
	t.Parallel()
	cfg, _ := secured(t, apigateway.Config{Conns: wsconn.Config{}}, signatures(t))
	r := start(t, says(), cfg)
	const path = "/dev/@connections/L0SM9cOFvHcCIhw%3D"
	for name, header := range map[string][]string{
		"boto3":      nil,
		"JavaScript": {"X-Amz-Content-Sha256", hashOf("hello"), "Content-Type", "application/octet-stream", "Amz-Sdk-Invocation-Id", "a", "Amz-Sdk-Request", "attempt=1; max=3"},
		"Go":         {"Content-Type", "application/octet-stream", "Amz-Sdk-Invocation-Id", "a"},
	} {
		if resp, body := r.signed(t, "POST", path, "hello", signer, header...); resp.StatusCode != 410 {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
