package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

func TestConfigFile(t *testing.T) {
	t.Parallel()
	hash := auth.HashKey("x")
	const text = `
keys:
  - name: ci
    hash: HASH
    expires: 2027-01-31T00:00:00Z
    grants:
      - actions: [submit, read]
        sessions: ["ci-*"]
  - {name: bot, hash: "sha256:` + "0000000000000000000000000000000000000000000000000000000000000000" + `", user: true}
issuers:
  - issuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123
    client_ids: [app]
    token_use: access
    groups: [staff]
    scopes: [chat/ask]
    leeway: 30s
    cookie: id_token
    sign_in: {client_id: app, scope: openid chat/ask, resource: https://chat, audience: chat, token: access}
    grants:
      - actions: [admin]
        groups: [ops]
webhook:
  url: http://authorizer:9000/check
  form: apigateway
  identity_sources: [route.request.header.X-Tenant]
  ttl: 5m
  timeout: 2s
`
	var got auth.Config
	if err := yaml.UnmarshalWithOptions([]byte(strings.Replace(text, "HASH", hash, 1)), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	want := auth.Config{
		Keys: []auth.Key{
			{Name: "ci", Hash: hash, Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), Grants: []auth.Grant{
				{Actions: []runnel.Action{runnel.Submit, runnel.Read}, Sessions: []string{"ci-*"}},
			}},
			{Name: "bot", Hash: "sha256:" + strings.Repeat("0", 64), User: true},
		},
		Issuers: []auth.Issuer{{
			Issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123", ClientIDs: []string{"app"}, TokenUse: "access",
			Groups: []string{"staff"}, Scopes: []string{"chat/ask"}, Leeway: 30 * time.Second, Cookie: "id_token",
			SignIn: &auth.SignIn{ClientID: "app", Scope: "openid chat/ask", Resource: "https://chat", Audience: "chat", Token: "access"},
			Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Admin}, Groups: []string{"ops"}}},
		}},
		Webhook: &auth.Webhook{
			URL: "http://authorizer:9000/check", Form: auth.FormAPIGateway,
			IdentitySources: []string{"route.request.header.X-Tenant"}, TTL: 5 * time.Minute, Timeout: 2 * time.Second,
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(auth.Config{}, "Signatures", "Origins")); diff != "" {
		t.Error(diff)
	}
	if !got.Enabled() || (auth.Config{}).Enabled() {
		t.Error("who is asked is wrong")
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	hash := auth.HashKey("x")
	issuer := func(mod func(*auth.Issuer)) auth.Config {
		cfg := issuerConfig()
		mod(&cfg.Issuers[0])
		return cfg
	}
	webhook := func(mod func(*auth.Webhook)) auth.Config {
		cfg := gatewayConfig()
		mod(cfg.Webhook)
		return cfg
	}
	grant := func(g auth.Grant) auth.Config {
		return auth.Config{Keys: []auth.Key{{Name: "a", Hash: hash, Grants: []auth.Grant{g}}}}
	}
	read := []runnel.Action{runnel.Read}
	for want, cfg := range map[string]auth.Config{
		`keys[0].name: "a b" must be`:                     {Keys: []auth.Key{{Name: "a b", Hash: hash}}},
		`keys[0].hash: it must be sha256:`:                {Keys: []auth.Key{{Name: "a", Hash: "sha256:00"}}},
		`keys[1].name: another key is called "a"`:         {Keys: []auth.Key{{Name: "a", Hash: hash}, {Name: "a", Hash: auth.HashKey("y")}}},
		`keys[1].hash: another key has the same`:          {Keys: []auth.Key{{Name: "a", Hash: hash}, {Name: "b", Hash: hash[:7] + strings.ToUpper(hash[7:])}}},
		`grants[0].actions: name at least one; allowed:`:  grant(auth.Grant{}),
		`"fly" is not one of the allowed words; allowed`:  grant(auth.Grant{Actions: []runnel.Action{"fly"}}),
		`grants[0].sessions: "[" is not a pattern`:        grant(auth.Grant{Actions: read, Sessions: []string{"["}}),
		`only the tokens of issuers have groups`:          grant(auth.Grant{Actions: read, Groups: []string{"g"}}),
		`issuers[0].issuer: "x" must look like https`:     issuer(func(i *auth.Issuer) { i.Issuer = "x" }),
		`"http://login.example" must begin with https`:    issuer(func(i *auth.Issuer) { i.Issuer = "http://login.example" }),
		`jwks_url: "http://x/y" must begin with https`:    issuer(func(i *auth.Issuer) { i.JWKSURL = "http://x/y" }),
		`jwks_file: allowed without jwks_url only`:        issuer(func(i *auth.Issuer) { i.JWKSURL, i.JWKSFile = "https://x/y", "z" }),
		`audiences: name at least one, or a client`:       issuer(func(i *auth.Issuer) { i.Audiences = nil }),
		`has an empty entry`:                              issuer(func(i *auth.Issuer) { i.Groups = []string{""} }),
		`token_use: "refresh" is not one of the allowed`:  issuer(func(i *auth.Issuer) { i.TokenUse = "refresh" }),
		`leeway: 1h0m0s is out of range; allowed: 0s to`:  issuer(func(i *auth.Issuer) { i.Leeway = time.Hour }),
		`sign_in.client_id: name the client that the`:     issuer(func(i *auth.Issuer) { i.SignIn = &auth.SignIn{} }),
		`sign_in.client_id: "b" is not one of client_ids`: issuer(func(i *auth.Issuer) { i.ClientIDs, i.SignIn = []string{"a"}, &auth.SignIn{ClientID: "b"} }),
		`sign_in.scope: "chat" lacks openid`:              issuer(func(i *auth.Issuer) { i.SignIn = &auth.SignIn{ClientID: "a", Scope: "chat"} }),
		`sign_in.token: "any" is not one of the allowed`:  issuer(func(i *auth.Issuer) { i.SignIn = &auth.SignIn{ClientID: "a", Token: "any"} }),
		`issuers[1].sign_in: the page signs in with one`: {Issuers: []auth.Issuer{
			{Issuer: issuerURL, Audiences: []string{"chat"}, SignIn: &auth.SignIn{ClientID: "a"}},
			{Issuer: issuerURL + "/b", Audiences: []string{"chat"}, SignIn: &auth.SignIn{ClientID: "a"}},
		}},
		`webhook.url: "" must look like https://host`:    webhook(func(w *auth.Webhook) { w.URL = "" }),
		`webhook.form: "rest" is not one of the allowed`: webhook(func(w *auth.Webhook) { w.Form = "rest" }),
		`"context.x" is not understood; allowed: route.`: webhook(func(w *auth.Webhook) { w.IdentitySources = []string{"context.x"} }),
		`identity_sources: allowed with the form apiga`:  webhook(func(w *auth.Webhook) { w.Form, w.IdentitySources = "appsync", []string{queryToken} }),
		`ttl: -1s is out of range; allowed: 0s to 1h0m`:  webhook(func(w *auth.Webhook) { w.TTL = -time.Second }),
		`timeout: 1ms is out of range; allowed: 100ms`:   webhook(func(w *auth.Webhook) { w.Timeout = time.Millisecond }),
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := auth.New(cfg, nil, discard()); err == nil {
			t.Errorf("a service was made of it: %s", want)
		}
	}
	for _, text := range []string{"http://localhost:8080", "http://127.0.0.1/x", "http://[::1]:1"} {
		if err := issuer(func(i *auth.Issuer) { i.Issuer = text }).Validate(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	twice := issuerConfig()
	twice.Issuers = append(twice.Issuers, twice.Issuers[0])
	twice.Issuers[1].Issuer += "/"
	if err := twice.Validate(); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Errorf("got %v", err)
	}
}
