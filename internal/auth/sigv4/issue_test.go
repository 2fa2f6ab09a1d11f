package sigv4_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// Issued credentials are good for what they are for, as long as they last, with
// every issuer that has the same secret.
func TestIssuer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	issuer := sigv4.NewIssuer("a secret that nodes share", "lex:*")
	good := issuer.Issue("us-east-1:abc", now.Add(time.Hour))
	other := sigv4.NewIssuer("", "lex:*").Issue("us-east-1:abc", now.Add(time.Hour))
	change := func(f func(*sigv4.Key)) sigv4.Key { k := good; f(&k); return k }
	for _, tt := range []struct {
		name    string
		key     sigv4.Key
		service string
		later   time.Duration
		want    sigv4.Code // empty: accepted
	}{
		{"good", good, "lex", 0, ""},
		{"of another service", good, "bedrock", 0, sigv4.AccessDenied},
		{"ended", good, "lex", time.Hour, sigv4.ExpiredToken},
		{"of another issuer", other, "lex", 0, sigv4.UnknownClient},
		{"without its token", change(func(k *sigv4.Key) { k.SessionToken = "" }), "lex", 0, sigv4.UnknownClient},
		{"with another's token", change(func(k *sigv4.Key) { k.SessionToken = other.SessionToken }), "lex", 0, sigv4.UnknownClient},
		{"with another's key", change(func(k *sigv4.Key) {
			k.SessionToken = issuer.Issue("us-east-1:abd", now.Add(time.Hour)).SessionToken
		}), "lex", 0, sigv4.UnknownClient},
		{"with a guessed secret", change(func(k *sigv4.Key) { k.Secret = other.Secret }), "lex", 0, sigv4.InvalidSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := now.Add(tt.later)
			v, err := sigv4.New(sigv4.Config{}, func() time.Time { return at })
			if err != nil {
				t.Fatal(err)
			}
			v.Accept(sigv4.NewIssuer("a secret that nodes share", "lex:*"))
			r := httptest.NewRequest("POST", "http://localhost/bots/b", nil)
			creds := aws.Credentials{AccessKeyID: tt.key.AccessKey, SecretAccessKey: string(tt.key.Secret), SessionToken: string(tt.key.SessionToken)}
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hashOf(""), tt.service, "us-east-1", at); err != nil {
				t.Fatal(err)
			}
			who, err := v.Verify(sigv4.FromHTTP(r, nil), tt.service)
			if e, _ := errors.AsType[*sigv4.Error](err); tt.want != "" {
				if e == nil || e.Code != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := who.Principal(); p.ID != "identity:us-east-1:abc" || p.Service || !p.Expires.Equal(now.Add(time.Hour)) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// FuzzIssued: no token but an issued one, with its own access key, is good.
func FuzzIssued(f *testing.F) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	issuer := sigv4.NewIssuer("a secret that nodes share", "lex:*")
	good := issuer.Issue("us-east-1:abc", at.Add(time.Hour))
	v, err := sigv4.New(sigv4.Config{}, func() time.Time { return at })
	if err != nil {
		f.Fatal(err)
	}
	v.Accept(issuer)
	f.Add(good.AccessKey, string(good.SessionToken))
	f.Add(good.AccessKey, "")
	f.Fuzz(func(t *testing.T, access, token string) {
		r := httptest.NewRequest("POST", "http://localhost/bots/b", nil)
		creds := aws.Credentials{AccessKeyID: access, SecretAccessKey: string(good.Secret), SessionToken: token}
		if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hashOf(""), "lex", "us-east-1", at); err != nil {
			t.Skip(err)
		}
		_, err := v.Verify(sigv4.FromHTTP(r, nil), "lex")
		if issued := access == good.AccessKey && token == string(good.SessionToken); issued != (err == nil) {
			t.Errorf("%q, %q: %v", access, token, err)
		}
	})
}
