package e2e_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel/internal/auth"
)

const (
	awsKey    = "AKIDATTACK"
	awsSecret = "a-secret-that-is-long-enough"
)

// A fortress is a gateway with credentials of every kind, and an issuer.
type fortress struct {
	*gateway
	issuer  string
	signer  *ecdsa.PrivateKey
	fetches atomic.Int64 // of the issuer's keys

	service, ann, bob string // API keys: one for everything, and two users'
}

func newFortress(t *testing.T, flags ...string) *fortress {
	t.Helper()
	f := &fortress{}
	f.startIssuer(t)
	text := fmt.Sprintf("issuers:\n  - {issuer: %q, audiences: [chat], token_use: access}\niam:\n  keys:\n    - {access_key: %s, secret: %s}\nkeys:\n",
		f.issuer, awsKey, awsSecret)
	for _, k := range []struct {
		name string
		user bool
		key  *string
	}{{"service", false, &f.service}, {"ann", true, &f.ann}, {"bob", true, &f.bob}} {
		key, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		*k.key = key
		text += fmt.Sprintf("  - {name: %s, hash: %q, user: %t}\n", k.name, hash, k.user)
	}
	file := filepath.Join(t.TempDir(), "runnel.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.gateway = newGateway(t, append([]string{"--config", file, "--model", "echo?ttft=0s&tps=0&tokens=3"}, flags...)...)
	return f
}

// startIssuer serves what an OIDC provider does of its keys.
func (f *fortress) startIssuer(t *testing.T) {
	t.Helper()
	var err error
	if f.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.issuer = server.URL
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": f.issuer, "jwks_uri": f.issuer + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		f.fetches.Add(1)
		key := jose.JSONWebKey{Key: f.signer.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	})
}

// token returns one that the issuer has signed, with other claims than usual.
func (f *fortress) token(t *testing.T, kid string, changed map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": f.issuer, "sub": "ann", "aud": "chat", "token_use": "access", "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changed)
	return sign(t, jose.ES256, f.signer, kid, claims)
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// request returns one that asks for an answer in a session.
func (f *fortress) request(t *testing.T, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url("/v1/sessions/health/prompts"), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	return req
}

const hello = `{"prompt":"hello"}`

// healthy asks a question, and waits for the whole answer.
func (f *fortress) healthy(t *testing.T) {
	t.Helper()
	req := f.request(t, hello)
	req.Header.Set("X-Api-Key", f.service)
	if code, body := do(t, req); code != http.StatusOK || !strings.Contains(body, "event: generation.done") {
		t.Errorf("the gateway is not well: %d %s", code, body)
	}
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// waitLog waits until the log says something after its first bytes.
func (f *fortress) waitLog(t *testing.T, after int, text string) {
	t.Helper()
	for giveUp := time.Now().Add(20 * time.Second); !strings.Contains(f.log.String()[after:], text); retryPause() {
		if time.Now().After(giveUp) {
			t.Errorf("the log does not say %s:\n%s", text, f.log.String()[after:])
			return
		}
	}
}

// TestAttackCredentials shows credentials that are not good, each nearly. The
// answer tells an attacker nothing; the audit log tells the operator the reason.
func TestAttackCredentials(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	der, err := x509.MarshalPKIXPublicKey(f.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	valid := f.token(t, "k1", nil)
	_, rest, _ := strings.Cut(valid, ".")
	payload, _, _ := strings.Cut(rest, ".")
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for _, tt := range []struct {
		name, token, reason string
	}{
		{"alg none", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`)) + "." + payload + ".", "algorithm"},
		{"HS256 with the public key", sign(t, jose.HS256, der, "k1", map[string]any{
			"iss": f.issuer, "sub": "ann", "aud": "chat", "token_use": "access", "exp": ago(-time.Hour),
		}), "algorithm"},
		{"expired", f.token(t, "k1", map[string]any{"exp": ago(time.Hour)}), "expired"},
		{"not yet valid", f.token(t, "k1", map[string]any{"nbf": ago(-time.Hour)}), "not_yet_valid"},
		{"another audience", f.token(t, "k1", map[string]any{"aud": "mail"}), "audience"},
		{"an ID token", f.token(t, "k1", map[string]any{"token_use": "id"}), "token_use"},
		{"another issuer", f.token(t, "k1", map[string]any{"iss": f.issuer + ".evil.test"}), "issuer"},
		{"a changed signature", valid[:len(valid)-8] + "AAAAAAAA", "signature"},
		{"an invented key", "rnl_" + strings.Repeat("0", 64), "unknown_credentials"},
		{"nothing", "", "no_credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := len(f.log.String())
			req := f.request(t, hello)
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			if code, body := do(t, req); code != http.StatusUnauthorized || !strings.HasPrefix(body, `{"error":{"kind":"unauthenticated","message":"`) {
				t.Errorf("got %d %s", code, body)
			}
			f.waitLog(t, said, `"reason":"`+tt.reason+`"`)
			f.healthy(t)
		})
	}
	req := f.request(t, `{"prompt":"hello"}`)
	req.Header.Set("Authorization", "Bearer "+f.token(t, "k1", nil))
	req.URL.Path = "/v1/sessions/of-ann/prompts"
	if code, body := do(t, req); code != http.StatusOK {
		t.Errorf("the real token: %d %s", code, body)
	}
}

// TestAttackSignatures replays and changes signed requests.
func TestAttackSignatures(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	credentials := aws.Credentials{AccessKeyID: awsKey, SecretAccessKey: awsSecret}
	signed := func(req *http.Request, body string, when time.Time) *http.Request {
		hash := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, req, hex.EncodeToString(hash[:]), "lambda", "us-east-1", when); err != nil {
			t.Fatal(err)
		}
		return req
	}
	presigned := func(when time.Time) *http.Request {
		get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/v1/sessions/health?X-Amz-Expires=60"), nil)
		if err != nil {
			t.Fatal(err)
		}
		empty := sha256.Sum256(nil)
		url, _, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, get, hex.EncodeToString(empty[:]), "lambda", "us-east-1", when)
		if err != nil {
			t.Fatal(err)
		}
		replay, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return replay
	}
	for _, tt := range []struct {
		name string
		req  *http.Request
		want int
	}{
		{"a signed request", signed(f.request(t, hello), hello, time.Now()), http.StatusOK},
		{"with another body", signed(f.request(t, strings.Replace(hello, "hello", "jello", 1)), hello, time.Now()), http.StatusUnauthorized},
		{"an hour later", signed(f.request(t, hello), hello, time.Now().Add(-time.Hour)), http.StatusUnauthorized},
		{"a presigned URL", presigned(time.Now()), http.StatusOK},
		{"past its end", presigned(time.Now().Add(-2 * time.Minute)), http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, body := do(t, tt.req); code != tt.want {
				t.Errorf("got %d %s, want %d", code, body, tt.want)
			}
			f.healthy(t)
		})
	}
}

// TestAttackKeyIDs floods the gateway with tokens whose key nobody knows.
func TestAttackKeyIDs(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	begin := time.Now()
	atOnce(300, 16, func(i int) {
		req := f.request(t, hello)
		req.Header.Set("Authorization", "Bearer "+f.token(t, fmt.Sprint("invented-", i), nil))
		if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v, %v", resp, err)
		} else {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	// One for a start, and one in ten seconds for those that are not there.
	if n, most := f.fetches.Load(), int64(2+time.Since(begin)/(10*time.Second)); n < 1 || n > most {
		t.Errorf("the issuer was asked %d times, want 1 to %d", n, most)
	}
	f.healthy(t)
}

// talk sends raw bytes and returns the statuses of the answers.
func (f *fortress) talk(t *testing.T, text string) []int {
	t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, text)
	var codes []int
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return codes
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		codes = append(codes, resp.StatusCode)
	}
}
