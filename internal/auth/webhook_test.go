package auth_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

const hookURL = "http://authorizer/check"

func appSyncConfig() auth.Config {
	return auth.Config{Webhook: &auth.Webhook{URL: hookURL, Form: auth.FormAppSync, TTL: time.Minute}}
}

func gatewayConfig(sources ...string) auth.Config {
	return auth.Config{Webhook: &auth.Webhook{URL: hookURL, Form: auth.FormAPIGateway, TTL: time.Minute, IdentitySources: sources}}
}

const queryToken = "route.request.querystring.token"

// upgrade returns the credentials of a WebSocket handshake, as a door shows them.
func upgrade(t *testing.T, query string) auth.Credentials {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://gw.example.com/prod?"+query, nil)
	r.Header["X-Two"] = []string{"a", "b"}
	c := auth.FromRequest(r)
	c.Resource = "arn:aws:execute-api:us-east-1:123456789012:abc123/prod/$connect"
	c.Context = map[string]any{"routeKey": "$connect", "connectionId": "c1"}
	return c
}

// asked is a webhook that answers the same to everybody, and shows the question.
func asked(question *map[string]any, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = json.Unmarshal([]byte(readBody(r)), question)
		_, _ = io.WriteString(w, answer)
	}
}

func TestAppSyncAuthorizer(t *testing.T) {
	t.Parallel()
	var question map[string]any
	w := newWorld().at(hookURL, asked(&question,
		`{"isAuthorized":true,"resolverContext":{"principalId":"ann","plan":"pro"},"deniedFields":["Query.secret"]}`))
	svc := w.service(t, appSyncConfig())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", nil)
	r.Header.Set("Authorization", "custom-authorized")
	c := auth.FromRequest(r)
	c.Context = map[string]any{"operationName": "Ask"}
	p, err := svc.Authenticate(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"authorizationToken": "custom-authorized",
		"requestContext":     map[string]any{"operationName": "Ask"},
		"requestHeaders":     map[string]any{"authorization": "custom-authorized"},
	}
	if diff := cmp.Diff(want, question); diff != "" {
		t.Errorf("asked: %s", diff)
	}
	wantClaims := map[string]any{
		"resolverContext": map[string]any{"principalId": "ann", "plan": "pro"}, "deniedFields": []string{"Query.secret"},
	}
	if diff := cmp.Diff(wantClaims, p.Claims); diff != "" || p.ID != "auth:ann" || p.Service {
		t.Errorf("got %+v %s", p, diff)
	}
	w.refusedFor(t, svc, auth.Credentials{}, "no_credentials", runnel.Unauthenticated)
	if n := w.asked(hookURL); n != 1 {
		t.Errorf("asked %d times, want 1: nothing needs no question", n)
	}
}

func TestGatewayAuthorizer(t *testing.T) {
	t.Parallel()
	var question map[string]any
	w := newWorld().at(hookURL, asked(&question, `{"principalId":"ann","policyDocument":{"Version":"2012-10-17","Statement":[
		{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"arn:aws:execute-api:*:abc123/prod/*"}]},
		"context":{"text":"a","number":1.50,"yes":true,"none":null,"list":[1, "x"]}}`))
	svc := w.service(t, gatewayConfig(queryToken))
	p, err := svc.Authenticate(t.Context(), upgrade(t, "token=1&token=2"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "REQUEST", "methodArn": "arn:aws:execute-api:us-east-1:123456789012:abc123/prod/$connect",
		"headers":                         map[string]any{"Host": "gw.example.com", "X-Two": "b"},
		"multiValueHeaders":               map[string]any{"Host": []any{"gw.example.com"}, "X-Two": []any{"a", "b"}},
		"queryStringParameters":           map[string]any{"token": "2"},
		"multiValueQueryStringParameters": map[string]any{"token": []any{"1", "2"}},
		"stageVariables":                  map[string]any{},
		"requestContext":                  map[string]any{"routeKey": "$connect", "connectionId": "c1"},
	}
	if diff := cmp.Diff(want, question); diff != "" {
		t.Errorf("asked: %s", diff)
	}
	wantClaims := map[string]any{"principalId": "ann", "text": "a", "number": "1.50", "yes": "true", "list": `[1,"x"]`}
	if diff := cmp.Diff(wantClaims, p.Claims); diff != "" || p.ID != "auth:ann" {
		t.Errorf("got %+v %s", p, diff)
	}
	w.refusedFor(t, svc, upgrade(t, "other=1"), "no_credentials", runnel.Unauthenticated)
	w.refusedFor(t, svc, upgrade(t, "token="), "no_credentials", runnel.Unauthenticated)
	if n := w.asked(hookURL); n != 1 {
		t.Errorf("asked %d times, want 1: a missing source needs no question", n)
	}
}

// A source that an answer was kept for is judged again for another resource.
func TestKeptPolicyIsAskedAgain(t *testing.T) {
	t.Parallel()
	var question map[string]any
	w := newWorld().at(hookURL, asked(&question, `{"principalId":"ann","policyDocument":{"Statement":
		{"Action":"*","Effect":"Allow","Resource":"arn:aws:execute-api:us-east-1:123456789012:abc123/prod/$connect"}}}`))
	svc := w.service(t, gatewayConfig(queryToken))
	c := upgrade(t, "token=x1y2z3")
	if _, err := svc.Authenticate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Resource = ""
	w.refusedFor(t, svc, c, "denied_by_authorizer", runnel.Denied)
	if n := w.asked(hookURL); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}

// When in doubt the answer is no.
func TestAuthorizerFailures(t *testing.T) {
	t.Parallel()
	answers := func(body string) http.HandlerFunc { return serve([]byte(body)) }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"isAuthorized":true}`)
		}
	}
	function := func(message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = fmt.Fprintf(w, `{"errorMessage":%q,"isAuthorized":true}`, message)
		}
	}
	policy := func(statement string) http.HandlerFunc {
		return answers(`{"principalId":"ann","policyDocument":{"Statement":[` + statement + `]}}`)
	}
	const unusable, down = "authorizer_answer_unusable", "authorizer_unavailable"
	both, gateway := []auth.Config{appSyncConfig(), gatewayConfig(queryToken)}, []auth.Config{gatewayConfig(queryToken)}
	for name, tc := range map[string]struct {
		configs []auth.Config
		answer  http.HandlerFunc
		reason  string
		kind    runnel.Kind
	}{
		"status 500":              {both, status(500), down, runnel.Unavailable},
		"status 204":              {both, status(204), down, runnel.Unavailable},
		"redirect":                {both, http.RedirectHandler("http://evil/", http.StatusTemporaryRedirect).ServeHTTP, down, runnel.Unavailable},
		"status 401":              {both, status(401), "unknown_credentials", runnel.Unauthenticated},
		"function: Unauthorized":  {both, function("Unauthorized"), "unknown_credentials", runnel.Unauthenticated},
		"function fails":          {both, function("oops"), down, runnel.Unavailable},
		"garbage":                 {both, answers("<html>"), unusable, runnel.Unavailable},
		"nothing":                 {both, answers(""), unusable, runnel.Unavailable},
		"null":                    {both, answers("null"), unusable, runnel.Unavailable},
		"a list":                  {both, answers(`[{"isAuthorized":true}]`), unusable, runnel.Unavailable},
		"authorized in words":     {both, answers(`{"isAuthorized":"true"}`), unusable, runnel.Unavailable},
		"authorized as a number":  {both, answers(`{"isAuthorized":1}`), unusable, runnel.Unavailable},
		"authorized is null":      {both, answers(`{"isAuthorized":null}`), unusable, runnel.Unavailable},
		"huge":                    {both, answers(`{"isAuthorized":true}` + strings.Repeat(" ", 65<<10)), down, runnel.Unavailable},
		"no, to AppSync":          {both[:1], answers(`{"isAuthorized":false}`), "denied_by_authorizer", runnel.Unauthenticated},
		"no, to API Gateway":      {gateway, answers(`{"isAuthorized":false}`), "denied_by_authorizer", runnel.Denied},
		"both answers":            {gateway, answers(`{"isAuthorized":true,"principalId":"ann","policyDocument":{"Statement":[]}}`), unusable, runnel.Unavailable},
		"no statement":            {gateway, policy(``), "denied_by_authorizer", runnel.Denied},
		"no principal":            {gateway, answers(`{"policyDocument":{"Statement":[{"Action":"*","Effect":"Allow","Resource":"*"}]}}`), unusable, runnel.Unavailable},
		"principal without end":   {gateway, answers(`{"principalId":"` + strings.Repeat("a", 300) + `","policyDocument":{}}`), unusable, runnel.Unavailable},
		"a condition":             {gateway, policy(`{"Action":"*","Effect":"Allow","Resource":"*","Condition":{"Bool":{"x":"true"}}}`), unusable, runnel.Unavailable},
		"not an action":           {gateway, policy(`{"NotAction":"x","Effect":"Allow","Resource":"*"}`), unusable, runnel.Unavailable},
		"no resource":             {gateway, policy(`{"Action":"*","Effect":"Allow"}`), unusable, runnel.Unavailable},
		"effect in small letters": {gateway, policy(`{"Action":"*","Effect":"allow","Resource":"*"}`), unusable, runnel.Unavailable},
		"policy as text":          {gateway, answers(`{"principalId":"ann","policyDocument":"{}"}`), unusable, runnel.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, cfg := range tc.configs {
				w := newWorld().at(hookURL, tc.answer).at("http://evil/", answers(`{"isAuthorized":true}`))
				w.refusedFor(t, w.service(t, cfg), upgrade(t, "token=x1y2z3"), tc.reason, tc.kind)
			}
		})
	}
}

func TestAuthorizerTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().at(hookURL, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		cfg := appSyncConfig()
		cfg.Webhook.Timeout = 2 * time.Second
		svc := w.service(t, cfg)
		begin := time.Now()
		w.refusedFor(t, svc, withToken("x1y2z3"), "authorizer_unavailable", runnel.Unavailable)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("it took %v, want 2 s", took)
		}
	})
}

func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := `{"isAuthorized":true}`
		w := newWorld().at(hookURL, func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, answer) })
		count := func(svc *auth.Service, token string, want int) {
			t.Helper()
			before := w.asked(hookURL)
			_, _ = svc.Authenticate(t.Context(), withToken(token))
			if got := w.asked(hookURL) - before; got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		}
		svc := w.service(t, appSyncConfig())
		count(svc, "a", 1)
		count(svc, "a", 0)
		count(svc, "b", 1)
		time.Sleep(61 * time.Second)
		count(svc, "a", 1)

		answer = `{"isAuthorized":true,"ttlOverride":5}`
		count(svc, "short", 1)
		time.Sleep(4 * time.Second)
		count(svc, "short", 0)
		time.Sleep(2 * time.Second)
		count(svc, "short", 1)
		answer = `{"isAuthorized":true,"ttlOverride":0}`
		count(svc, "never", 1)
		count(svc, "never", 1)
		answer = `{"isAuthorized":false}`
		count(svc, "no", 1)
		count(svc, "no", 0)
		answer = `garbage`
		count(svc, "broken", 1)
		count(svc, "broken", 1)

		off := appSyncConfig()
		off.Webhook.TTL = 0
		answer = `{"isAuthorized":true}`
		svc = w.service(t, off)
		count(svc, "a", 1)
		count(svc, "a", 1)
	})
}

// Callers whom the authorizer does not name own what they began, each alone.
func TestCallersWithoutNames(t *testing.T) {
	t.Parallel()
	w := newWorld().at(hookURL, serve([]byte(`{"isAuthorized":true,"context":{"x":"y"}}`)))
	svc := w.service(t, gatewayConfig(queryToken))
	ids := map[string]bool{}
	for _, token := range []string{"a", "b", "a"} {
		p, err := svc.Authenticate(t.Context(), upgrade(t, "token="+token))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.ID, token+"=") || len(p.ID) < 20 {
			t.Errorf("got the id %q", p.ID)
		}
		ids[p.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("got %d callers, want 2", len(ids))
	}
	w.refusedFor(t, w.service(t, gatewayConfig()), upgrade(t, ""), "authorizer_answer_unusable", runnel.Unavailable)
}

// What another scheme has recognised is not the webhook's business.
func TestWebhookComesLast(t *testing.T) {
	t.Parallel()
	s := newECSigner("k")
	key, hash := newKey(t)
	cfg := issuerConfig()
	cfg.Keys = []auth.Key{{Name: "ci", Hash: hash}}
	cfg.Webhook = appSyncConfig().Webhook
	w := newWorld().issuer(s).at(hookURL, serve([]byte(`{"isAuthorized":true}`)))
	svc := w.service(t, cfg)
	expired := s.sign(claims("exp", 1))
	w.refusedFor(t, svc, withToken(expired), "expired", runnel.Unauthenticated)
	w.refusedFor(t, svc, withToken(key[:20]), "unknown_credentials", runnel.Unauthenticated)
	w.refusedFor(t, svc, auth.Credentials{APIKey: "wrong", Token: "opaque"}, "unknown_credentials", runnel.Unauthenticated)
	if n := w.asked(hookURL); n != 0 {
		t.Errorf("asked %d times, want 0", n)
	}
	for name, token := range map[string]string{"opaque": "opaque", "another issuer's": s.sign(claims("iss", "https://other.example"))} {
		if p, err := svc.Authenticate(t.Context(), withToken(token)); err != nil || p.Scheme != auth.SchemeWebhook {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}

func TestIdentitySources(t *testing.T) {
	t.Parallel()
	w := newWorld().at(hookURL, serve([]byte(`{"isAuthorized":true}`)))
	svc := w.service(t, gatewayConfig("$request.header.x-tenant", "method.request.header.Host", queryToken))
	c := upgrade(t, "token=x1y2z3")
	w.refusedFor(t, svc, c, "no_credentials", runnel.Unauthenticated)
	for tenant, want := range map[string]int{"red": 1, "blue": 1} {
		c.Request.Header.Set("X-Tenant", tenant)
		before := w.asked(hookURL)
		for range 3 {
			if _, err := svc.Authenticate(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.asked(hookURL) - before; got != want {
			t.Errorf("%s: asked %d times, want %d", tenant, got, want)
		}
	}
}
