package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"
)

const (
	accessKey   = "AKIDBENCH"
	audience    = "bench"
	webhookWord = "open sesame"
	tokenLife   = time.Hour
)

// others are those whose word a gateway takes, an issuer of tokens and a
// webhook, and what their users show. All of it is made anew for each run.
type others struct {
	url       string
	server    http.Server
	serving   sync.WaitGroup
	fetches   atomic.Int64 // of the issuer's keys
	questions atomic.Int64 // to the webhook

	secret string // the API key, and that of the access key
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
}

// startOthers listens on a free port of this machine.
func startOthers(ctx context.Context) (*others, error) {
	o := &others{secret: rand.Text() + rand.Text()}
	var err error
	if o.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if o.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	o.url = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", o.serveKeys)
	mux.HandleFunc("POST /authorize", o.serveWord)
	o.server.Handler, o.server.ReadHeaderTimeout = mux, dialTimeout
	o.serving.Go(func() { _ = o.server.Serve(listener) }) // until it is closed; whoever misses it says so
	return o, nil
}

func (o *others) close() {
	_ = o.server.Close()
	o.serving.Wait()
}

func (o *others) serveKeys(w http.ResponseWriter, _ *http.Request) {
	o.fetches.Add(1)
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: o.rsa.Public(), KeyID: "rsa", Use: "sig"}, {Key: o.ec.Public(), KeyID: "ec", Use: "sig"},
	}})
}

func (o *others) serveWord(w http.ResponseWriter, r *http.Request) {
	o.questions.Add(1)
	var question struct {
		Token string `json:"authorizationToken"`
	}
	err := json.NewDecoder(r.Body).Decode(&question)
	_ = json.NewEncoder(w).Encode(map[string]bool{"isAuthorized": err == nil && question.Token == webhookWord})
}

// config is what a gateway is to know of them.
func (o *others) config() map[string]any {
	digest := sha256.Sum256([]byte(o.secret))
	return map[string]any{
		"keys":    []any{map[string]any{"name": "bench", "hash": "sha256:" + hex.EncodeToString(digest[:])}},
		"iam":     map[string]any{"keys": []any{map[string]any{"access_key": accessKey, "secret": o.secret}}},
		"issuers": []any{map[string]any{"issuer": o.url, "jwks_url": o.url + "/keys", "audiences": []string{audience}, "service": true}},
		"webhook": map[string]any{"url": o.url + "/authorize", "form": "appsync", "ttl": "1h", "service": true},
	}
}

// A proof is what the callers of one scheme show.
type proof struct {
	name string
	once bool // each is shown once
	// lines returns the header lines of n requests for a URL. A single entry
	// is for all of them.
	lines func(target *url.URL, n int) ([]string, error)
}

// proofs begin with that of somebody who has none.
func (o *others) proofs() []proof {
	always := func(line string) func(*url.URL, int) ([]string, error) {
		return func(*url.URL, int) ([]string, error) { return []string{line}, nil }
	}
	tokens := func(alg jose.SignatureAlgorithm, n int) func(*url.URL, int) ([]string, error) {
		return func(_ *url.URL, all int) ([]string, error) { return o.tokens(alg, min(n, all)) }
	}
	const each = 1 << 30
	return []proof{
		{name: "none", lines: always("")},
		{name: "API key", lines: always(o.keyLine())},
		{name: "JWT, RS256", lines: tokens(jose.RS256, 1)},
		{name: "JWT, ES256", lines: tokens(jose.ES256, 1)},
		{name: "JWT not seen before, RS256", once: true, lines: tokens(jose.RS256, each)},
		{name: "JWT not seen before, ES256", once: true, lines: tokens(jose.ES256, each)},
		{name: "AWS signature", lines: o.sign},
		{name: "what a webhook knows", lines: always("Authorization: " + webhookWord + "\r\n")},
	}
}

func (o *others) keyLine() string { return "X-Api-Key: " + o.secret + "\r\n" }

// tokens returns header lines with n different tokens.
func (o *others) tokens(alg jose.SignatureAlgorithm, n int) ([]string, error) {
	key := jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: o.rsa, KeyID: "rsa"}}
	if alg == jose.ES256 {
		key.Key = jose.JSONWebKey{Key: o.ec, KeyID: "ec"}
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		return nil, fmt.Errorf("bench: sign tokens: %w", err)
	}
	lines := make([]string, n)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range lines {
		g.Go(func() error {
			claims, _ := json.Marshal(map[string]any{ // of texts and numbers: cannot fail
				"iss": o.url, "sub": "bench", "aud": audience, "jti": rand.Text(), "exp": time.Now().Add(tokenLife).Unix(),
			})
			jws, err := signer.Sign(claims)
			if err != nil {
				return err
			}
			token, err := jws.CompactSerialize()
			lines[i] = "Authorization: Bearer " + token + "\r\n"
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("bench: sign tokens: %w", err)
	}
	return lines, nil
}

// sign returns the header lines of a signed GET, which can be sent again: what
// it costs the caller to sign is not what is measured.
func (o *others) sign(target *url.URL, _ int) ([]string, error) {
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	scope := day + "/us-east-1/execute-api/aws4_request"
	canonical := fmt.Sprintf("GET\n%s\n\nhost:%s\nx-amz-date:%s\n\nhost;x-amz-date\n%x", target.EscapedPath(), target.Host, stamp, sha256.Sum256(nil))
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", stamp, scope, sha256.Sum256([]byte(canonical)))
	sum := []byte("AWS4" + o.secret)
	for _, part := range append(strings.Split(scope, "/"), text) {
		h := hmac.New(sha256.New, sum)
		h.Write([]byte(part))
		sum = h.Sum(nil)
	}
	return []string{fmt.Sprintf("X-Amz-Date: %s\r\nAuthorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=host;x-amz-date, Signature=%x\r\n",
		stamp, accessKey, scope, sum)}, nil
}
