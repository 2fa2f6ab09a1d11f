package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

const issuerURL = "https://login.example"

// A world is everything outside: an issuer and an authorizer, in memory.
type world struct {
	mu       sync.Mutex
	answers  map[string]http.HandlerFunc // by URL
	requests map[string]int              // by URL
	log      bytes.Buffer
}

func newWorld() *world {
	return &world{answers: map[string]http.HandlerFunc{}, requests: map[string]int{}}
}

// at says what is at a URL.
func (w *world) at(url string, h http.HandlerFunc) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[url] = h
	return w
}

func (w *world) asked(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests[url]
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
	w.mu.Lock()
	w.requests[url]++
	h := w.answers[url]
	w.mu.Unlock()
	if h == nil {
		h = http.NotFound
	}
	rec := httptest.NewRecorder()
	h(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// Write implements [io.Writer], for the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) service(t testing.TB, cfg auth.Config) *auth.Service {
	t.Helper()
	s, err := auth.New(cfg, &http.Client{Transport: w}, slog.New(slog.NewJSONHandler(w, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A signer signs an issuer's tokens.
type signer struct {
	kid string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newECSigner(kid string) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{kid, jose.ES256, key}
}

func newRSASigner(kid string, bits int) signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return signer{kid, jose.RS256, key}
}

func (s signer) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"}
}

// sign returns a token with these claims, and what mod does to its header.
func (s signer) sign(claims map[string]any, mods ...func(*jose.SignerOptions)) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return s.signBytes(payload, mods...)
}

func (s signer) signBytes(payload []byte, mods ...func(*jose.SignerOptions)) string {
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if s.kid != "" {
		opts.WithHeader("kid", s.kid)
	}
	for _, mod := range mods {
		mod(opts)
	}
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, opts)
	if err != nil {
		panic(err)
	}
	jws, err := js.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// keySet returns what an issuer with these keys serves.
func keySet(signers ...signer) []byte {
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, s.jwk())
	}
	data, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return data
}

func serve(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

const (
	discoveryURL = issuerURL + "/.well-known/openid-configuration"
	keysURL      = issuerURL + "/keys"
)

// issuer puts an issuer with these keys into the world.
func (w *world) issuer(signers ...signer) *world {
	w.at(discoveryURL, serve([]byte(`{"issuer":"`+issuerURL+`","jwks_uri":"`+keysURL+`"}`)))
	return w.at(keysURL, serve(keySet(signers...)))
}

func issuerConfig() auth.Config {
	return auth.Config{Issuers: []auth.Issuer{{Issuer: issuerURL, Audiences: []string{"chat"}}}}
}

// claims returns those of a good token, changed by the pairs that follow; nil
// takes one away.
func claims(pairs ...any) map[string]any {
	c := map[string]any{
		"iss": issuerURL, "sub": "ann", "aud": "chat", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i].(string)] = pairs[i+1]
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func withToken(token string) auth.Credentials { return auth.Credentials{Token: token} }

// lines returns the audit log's lines.
func (w *world) lines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(w.logged()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l["component"] == "audit" {
			lines = append(lines, l)
		}
	}
	return lines
}

// refusedFor checks that credentials are refused for a reason, with a kind.
func (w *world) refusedFor(t *testing.T, s *auth.Service, c auth.Credentials, reason string, kind runnel.Kind) {
	t.Helper()
	before := len(w.lines(t))
	p, err := s.Authenticate(t.Context(), c)
	if err == nil {
		t.Fatalf("got %+v, want a refusal for %s", p, reason)
	}
	if got := runnel.KindOf(err); got != kind {
		t.Errorf("got %v (%v), want %v", got, err, kind)
	}
	lines := w.lines(t)[before:]
	if len(lines) != 1 || lines[0]["msg"] != "refused" || lines[0]["reason"] != reason {
		t.Errorf("got the audit lines %v, want one with the reason %q", lines, reason)
	}
	if c.Token != "" && strings.Contains(w.logged(), c.Token) {
		t.Error("the log has the credentials")
	}
}

func readBody(r *http.Request) string {
	data, _ := io.ReadAll(r.Body)
	return string(data)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
