package appsync_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const (
	pool      = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool"
	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// A guard is who may use a door, and the credentials to do it with.
type guard struct {
	t       testing.TB
	service *auth.Service
	cfg     auth.Config
	apiKey  string
	signer  jose.Signer
}

// secured returns the configuration of a door that asks for credentials: an API
// key, a signature, or a token of Cognito's.
func secured(t testing.TB) (*guard, appsync.Config) {
	t.Helper()
	g := &guard{t: t}
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	g.apiKey = key
	verifier, err := sigv4.New(sigv4.Config{Keys: []sigv4.Key{{AccessKey: accessKey, Secret: secretKey}}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	g.cfg = auth.Config{
		Keys:    []auth.Key{{Name: "page", Hash: hash}},
		Issuers: []auth.Issuer{{Issuer: pool, JWKSFile: g.keys(), ClientIDs: []string{"client"}, Audiences: []string{"client"}}},
		Signatures: func(c auth.Credentials) (*runnel.Principal, error) {
			service, _, _ := strings.Cut(c.Action, ":")
			id, err := verifier.Verify(sigv4.FromHTTP(c.Request, c.Body), service)
			if err != nil {
				return nil, err
			}
			return id.Principal(), nil
		},
	}
	if g.service, err = auth.New(g.cfg, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return g, appsync.Config{
		Authenticate: g.service.Authenticate, Bind: g.service.Bind, Asks: true, Mode: graphql.ModeAPIKey,
	}
}

// keys returns a file with the issuer's key.
func (g *guard) keys() string {
	g.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: private.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		g.t.Fatal(err)
	}
	file := filepath.Join(g.t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		g.t.Fatal(err)
	}
	return file
}

// token returns a token of the pool.
func (g *guard) token(use string, lasts time.Duration, groups ...string) string {
	g.t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": pool, "sub": "ann", "token_use": use, "exp": now.Add(lasts).Unix(), "iat": now.Unix(), "cognito:groups": groups,
	}
	if use == "id" {
		claims["aud"] = "client"
	} else {
		claims["client_id"] = "client"
	}
	data, err := json.Marshal(claims)
	if err != nil {
		g.t.Fatal(err)
	}
	signed, err := g.signer.Sign(data)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

// sign returns the header of a POST of body to path, signed as AWS's SDKs do.
func sign(host, path, body string, more ...string) map[string]string {
	stamp := time.Now().UTC().Format("20060102T150405Z")
	header := map[string]string{"host": host, "x-amz-date": stamp}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	var names []string
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	canonical := "POST\n" + path + "\n\n"
	for _, name := range names {
		canonical += name + ":" + header[name] + "\n"
	}
	canonical += "\n" + strings.Join(names, ";") + "\n" + digest(body)
	scope := stamp[:8] + "/us-east-1/appsync/aws4_request"
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{stamp[:8], "us-east-1", "appsync", "aws4_request"} {
		key = mac(key, part)
	}
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+digest(canonical)))
	header["Authorization"] = "AWS4-HMAC-SHA256 Credential=" + accessKey + "/" + scope +
		", SignedHeaders=" + strings.Join(names, ";") + ", Signature=" + signature
	return header
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// pairs returns a header for requests over HTTP.
func pairs(header map[string]string) (list []string) {
	for name, value := range header {
		if name != "host" {
			list = append(list, name, value)
		}
	}
	return list
}

func asJSON(v any) []byte {
	data, _ := json.Marshal(v)
	return data
}
