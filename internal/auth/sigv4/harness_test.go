package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

const (
	accessKey = "AKIDEXAMPLE"
	secret    = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// noon is when the tests sign.
func noon() time.Time { return time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC) }

// at returns a clock that stands still.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func exampleKey() sigv4.Key { return sigv4.Key{AccessKey: accessKey, Secret: secret} }

func newVerifier(t testing.TB, now time.Time, cfg sigv4.Config) *sigv4.Verifier {
	t.Helper()
	if cfg.Keys == nil {
		cfg.Keys = []sigv4.Key{exampleKey()}
	}
	v, err := sigv4.New(cfg, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A call is a request to be signed by the SDK's signer.
type call struct {
	method, url, body string
	header            http.Header
	service           string // execute-api
	hash              string // the body's
	region            string // us-east-1
	token             string
	expires           time.Duration // presigned if set
}

// sign returns what a server receives for the call, signed at noon. Its body can
// be read by body alone.
func (c call) sign(t testing.TB) *http.Request {
	t.Helper()
	if c.service == "" {
		c.service = "execute-api"
	}
	if c.region == "" {
		c.region = "us-east-1"
	}
	if c.hash == "" {
		c.hash = hashOf(c.body)
	}
	if c.method == "" {
		c.method = http.MethodPost
	}
	out, err := http.NewRequest(c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.header {
		out.Header[name] = values
	}
	creds := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret, SessionToken: c.token}
	signer, ctx := v4.NewSigner(), context.Background()
	if c.expires > 0 {
		query := out.URL.Query()
		query.Set("X-Amz-Expires", strconv.Itoa(int(c.expires/time.Second)))
		out.URL.RawQuery = query.Encode()
		signed, _, err := signer.PresignHTTP(ctx, creds, out, c.hash, c.service, c.region, noon())
		if err != nil {
			t.Fatal(err)
		}
		if out.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
	} else if err := signer.SignHTTP(ctx, creds, out, c.hash, c.service, c.region, noon()); err != nil {
		t.Fatal(err)
	}
	in := httptest.NewRequest(c.method, out.URL.RequestURI(), nil)
	in.Host, in.Header = out.URL.Host, out.Header
	if len(c.body) > 0 {
		in.Header.Set("Content-Length", strconv.Itoa(len(c.body)))
	}
	return in
}

func verify(v *sigv4.Verifier, r *http.Request, body string) (*sigv4.Identity, error) {
	return v.Verify(sigv4.FromHTTP(r, func() ([]byte, error) { return []byte(body), nil }), "")
}

// wantCode fails unless err is a refusal with the code.
func wantCode(t *testing.T, err error, want sigv4.Code) {
	t.Helper()
	if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
