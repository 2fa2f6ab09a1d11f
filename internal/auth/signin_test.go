package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

// endpoints is a discovery document with the members that sign-in needs.
func endpoints(token string) http.HandlerFunc {
	return serve(fmt.Appendf(nil, `{"issuer": %q, "authorization_endpoint": "%[1]s/auth", "token_endpoint": %q, "id_token_signing_alg_values_supported": ["ES256"]}`, issuerURL, token))
}

func signInConfig(mods ...func(*auth.Issuer)) auth.Config {
	cfg := issuerConfig()
	cfg.Issuers[0].SignIn = &auth.SignIn{ClientID: "page"}
	for _, mod := range mods {
		mod(&cfg.Issuers[0])
	}
	return cfg
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld().at(discoveryURL, endpoints("https://tokens.example:8443/get"))
	if p, err := w.service(t, issuerConfig()).SignIn(t.Context()); p != nil || err != nil {
		t.Errorf("got %v and %v, with nobody to sign in with", p, err)
	}
	want := &auth.Provider{
		Issuer: issuerURL, AuthorizationEndpoint: issuerURL + "/auth", TokenEndpoint: "https://tokens.example:8443/get",
		Algorithms: []string{"ES256"}, ClientID: "page", Scope: "openid", Token: "access",
	}
	got, err := w.service(t, signInConfig()).SignIn(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if origin := got.TokenOrigin(); origin != "https://tokens.example:8443" {
		t.Errorf("the token's origin is %s", origin)
	}
	got, err = w.service(t, signInConfig(func(i *auth.Issuer) {
		i.SignIn.Token, i.SignIn.Scope, i.SignIn.Resource = "id", "openid email", "https://chat"
	})).SignIn(t.Context())
	if err != nil || got.Token != "id" || got.Scope != "openid email" || got.Resource != "https://chat" {
		t.Errorf("got %+v and %v", got, err)
	}
}

// What an issuer says of itself decides where the page sends its users.
func TestSignInEndpointsAreChecked(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "http://login.example/token", "javascript:alert(1)", "https://x/#y", "https://x;sandbox/"} {
		w := newWorld().at(discoveryURL, endpoints(endpoint))
		if p, err := w.service(t, signInConfig()).SignIn(t.Context()); runnel.KindOf(err) != runnel.Unavailable {
			t.Errorf("%q: got %v and %v", endpoint, p, err)
		}
		if !strings.Contains(w.logged(), "token_endpoint") {
			t.Errorf("%q: the log does not say what is wrong: %s", endpoint, w.logged())
		}
	}
}

// An issuer that is away costs one request in ten seconds, and what it has said
// before stays true.
func TestSignInWithoutIssuer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		svc := w.service(t, signInConfig())
		for range 5 {
			if p, err := svc.SignIn(t.Context()); err == nil {
				t.Errorf("got %v", p)
			}
		}
		if n := w.asked(discoveryURL); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		w.at(discoveryURL, endpoints(issuerURL+"/token"))
		time.Sleep(11 * time.Second)
		for range 2 {
			if p, err := svc.SignIn(t.Context()); p == nil {
				t.Error(err)
			}
			w.at(discoveryURL, http.NotFound)
			time.Sleep(2 * time.Hour)
		}
		if n := w.asked(discoveryURL); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
	})
}
