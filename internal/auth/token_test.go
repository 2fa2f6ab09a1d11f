package auth_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/peer"
)

func TestTokenOfEachFamily(t *testing.T) {
	t.Parallel()
	rsa, ec := newRSASigner("r", 2048), newECSigner("e")
	for _, s := range []signer{rsa, {"r2", jose.PS384, rsa.key}, ec} {
		t.Run(string(s.alg), func(t *testing.T) {
			t.Parallel()
			svc := newWorld().issuer(s).service(t, issuerConfig())
			c := claims("groups", []string{"staff"}, "email", "ann@example.com")
			got, err := svc.Authenticate(t.Context(), withToken(s.sign(c)))
			if err != nil {
				t.Fatal(err)
			}
			want := &runnel.Principal{
				ID: "user:" + issuerURL + "#ann", Scheme: auth.SchemeOIDC, Groups: []string{"staff"},
				Expires: time.Unix(c["exp"].(int64), 0),
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(runnel.Principal{}, "Claims", "Revoked")); diff != "" {
				t.Error(diff)
			}
			if got.Claims["email"] != "ann@example.com" {
				t.Errorf("got the claims %v", got.Claims)
			}
		})
	}
}

// The table of attacks: whoever shows one of these is nobody.
func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	good := newRSASigner("k1", 2048)
	evil := signer{"k1", jose.RS256, newRSASigner("", 2048).key}
	w := newWorld().issuer(good, newECSigner("k2"))
	// Whoever follows what a header says asks these.
	w.at("https://evil.example/keys", serve(keySet(evil)))
	svc := w.service(t, issuerConfig())

	valid := good.sign(claims())
	parts := strings.Split(valid, ".")
	header := func(h string) string { return base64.RawURLEncoding.EncodeToString([]byte(h)) }
	der, err := x509.MarshalPKIXPublicKey(good.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	spki := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hmac := func(secret []byte) string {
		js, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := json.Marshal(claims())
		jws, _ := js.Sign(payload)
		token, _ := jws.CompactSerialize()
		return token
	}
	withHeader := func(name string, value any) func(*jose.SignerOptions) {
		return func(o *jose.SignerOptions) { o.WithHeader(jose.HeaderKey(name), value) }
	}
	duplicate, _ := json.Marshal(claims())
	duplicate = append([]byte(`{"sub":"bob",`), duplicate[1:]...)

	for name, tc := range map[string]struct{ token, reason string }{
		"no signature":            {header(`{"alg":"none","kid":"k1"}`) + "." + parts[1] + ".", "algorithm"},
		"none in capitals":        {header(`{"alg":"NONE","kid":"k1"}`) + "." + parts[1] + ".", "algorithm"},
		"signature cut off":       {parts[0] + "." + parts[1] + ".", "signature"},
		"HMAC with public PEM":    {hmac(spki), "algorithm"},
		"HMAC with public DER":    {hmac(der), "algorithm"},
		"other key, same id":      {evil.sign(claims()), "signature"},
		"other payload":           {parts[0] + "." + header(strings.Replace(mustJSON(claims()), "ann", "bob", 1)) + "." + parts[2], "signature"},
		"algorithm of other key":  {signer{"k2", jose.RS256, good.key}.sign(claims()), "algorithm"},
		"PS with a key for RS":    {signer{"k1", jose.PS256, good.key}.sign(claims()), "algorithm"},
		"embedded key":            {evil.sign(claims(), func(o *jose.SignerOptions) { o.EmbedJWK = true }), "signature"},
		"jku":                     {evil.sign(claims(), withHeader("jku", "https://evil.example/keys")), "signature"},
		"x5u":                     {evil.sign(claims(), withHeader("x5u", "https://evil.example/keys")), "signature"},
		"key id is a path":        {signer{"../../../../dev/null", jose.RS256, evil.key}.sign(claims()), "unknown_signing_key"},
		"key id is a URL":         {signer{"https://evil.example/keys", jose.RS256, evil.key}.sign(claims()), "unknown_signing_key"},
		"no key id, several keys": {signer{"", jose.RS256, good.key}.sign(claims()), "unknown_signing_key"},
		"critical extension":      {good.sign(claims(), withHeader("crit", []string{"exp"}), withHeader("exp", 1)), "signature"},
		"payload not encoded":     {header(`{"alg":"RS256","kid":"k1","b64":false,"crit":["b64"]}`) + "." + parts[1] + "." + parts[2], "signature"},
		"logout token":            {good.sign(claims(), func(o *jose.SignerOptions) { o.WithType("logout+jwt") }), "token_use"},
		"expired":                 {good.sign(claims("exp", time.Now().Add(-time.Second).Unix())), "expired"},
		"without end":             {good.sign(claims("exp", nil)), "malformed"},
		"end is text":             {good.sign(claims("exp", "9999999999")), "malformed"},
		"end is absurd":           {good.sign(claims("exp", 1e300)), "malformed"},
		"not yet valid":           {good.sign(claims("nbf", time.Now().Add(time.Minute).Unix())), "not_yet_valid"},
		"beginning is a list":     {good.sign(claims("nbf", []int{1})), "malformed"},
		"another's audience":      {good.sign(claims("aud", "mail")), "audience"},
		"no audience":             {good.sign(claims("aud", nil)), "audience"},
		"audience is a number":    {good.sign(claims("aud", 1)), "audience"},
		"audiences of two kinds":  {good.sign(claims("aud", []any{"chat", 1})), "audience"},
		"unknown issuer":          {good.sign(claims("iss", "https://evil.example")), "issuer"},
		"issuer as prefix":        {good.sign(claims("iss", issuerURL+".evil.example")), "issuer"},
		"issuer is a list":        {good.sign(claims("iss", []string{issuerURL})), "issuer"},
		"issuer in capitals, too": {good.signBytes([]byte(`{"iss":"https://evil.example","ISS":"` + issuerURL + `","sub":"ann","aud":"chat","exp":9999999999}`)), "issuer"},
		"nobody":                  {good.sign(claims("sub", "")), "malformed"},
		"subject is a number":     {good.sign(claims("sub", 7)), "malformed"},
		"subject breaks lines":    {good.sign(claims("sub", "ann\nbob")), "malformed"},
		"subject without end":     {good.sign(claims("sub", strings.Repeat("a", 300))), "malformed"},
		"duplicate claims":        {good.signBytes(duplicate), "malformed"},
		"groups are an object":    {good.sign(claims("groups", map[string]any{"staff": true})), "malformed"},
		"scope is a number":       {good.sign(claims("scope", 1)), "malformed"},
		"huge":                    {good.sign(claims("x", strings.Repeat("a", 20_000))), "malformed"},
		"nested without end":      {good.signBytes([]byte(`{"iss":"` + issuerURL + `","x":` + strings.Repeat("[", 9000))), "issuer"},
		"payload is a list":       {good.signBytes([]byte(`[]`)), "issuer"},
		"dots":                    {"..", "unknown_credentials"},
		"encrypted":               {parts[0] + ".a.b.c.d", "unknown_credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refusedFor(t, svc, withToken(tc.token), tc.reason, runnel.Unauthenticated)
		})
	}
	if _, err := svc.Authenticate(t.Context(), withToken(valid)); err != nil {
		t.Errorf("a good token does not count any more: %v", err)
	}
	if n := w.asked("https://evil.example/keys"); n != 0 {
		t.Errorf("a URL in a header was asked %d times", n)
	}
	if n := w.asked(keysURL); n != 1 {
		t.Errorf("the issuer was asked %d times, want 1", n)
	}
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestTokenWithoutKeyID(t *testing.T) {
	t.Parallel()
	s := newECSigner("")
	svc := newWorld().issuer(s).service(t, issuerConfig())
	if _, err := svc.Authenticate(t.Context(), withToken(s.sign(claims()))); err != nil {
		t.Errorf("a token that names no key, of an issuer that has one: %v", err)
	}
}

func TestTokenDemands(t *testing.T) {
	t.Parallel()
	s := newECSigner("k")
	type mod = func(*auth.Issuer)
	for name, tc := range map[string]struct {
		issuer mod
		claims map[string]any
		reason string // empty: admitted
		kind   runnel.Kind
	}{
		"one audience of two":       {func(*auth.Issuer) {}, claims("aud", []string{"mail", "chat"}), "", 0},
		"client of an access":       {func(i *auth.Issuer) { i.ClientIDs = []string{"app"} }, claims("client_id", "app"), "", 0},
		"azp":                       {func(i *auth.Issuer) { i.ClientIDs = []string{"app"} }, claims("azp", "app"), "", 0},
		"another client":            {func(i *auth.Issuer) { i.ClientIDs = []string{"app"} }, claims("client_id", "app2"), "audience", runnel.Unauthenticated},
		"another client, our azp":   {func(i *auth.Issuer) { i.ClientIDs = []string{"app"} }, claims("client_id", "x", "azp", "app"), "audience", runnel.Unauthenticated},
		"access wanted, id shown":   {func(i *auth.Issuer) { i.TokenUse = "access" }, claims("token_use", "id"), "token_use", runnel.Unauthenticated},
		"id wanted, access shown":   {func(i *auth.Issuer) { i.TokenUse = "id" }, claims("token_use", "access"), "token_use", runnel.Unauthenticated},
		"id wanted, nothing said":   {func(i *auth.Issuer) { i.TokenUse = "id" }, claims(), "token_use", runnel.Unauthenticated},
		"a use nobody knows":        {func(i *auth.Issuer) { i.TokenUse = "any" }, claims("token_use", "refresh"), "token_use", runnel.Unauthenticated},
		"use is a number":           {func(*auth.Issuer) {}, claims("token_use", 1), "token_use", runnel.Unauthenticated},
		"a required group":          {func(i *auth.Issuer) { i.Groups = []string{"a", "b"} }, claims("groups", []string{"b"}), "", 0},
		"no required group":         {func(i *auth.Issuer) { i.Groups = []string{"a", "b"} }, claims("groups", []string{"c"}), "group", runnel.Denied},
		"groups elsewhere":          {func(i *auth.Issuer) { i.Groups, i.GroupClaim = []string{"a"}, "realm_access.roles" }, claims("realm_access", map[string]any{"roles": []string{"a"}}), "", 0},
		"group claim with dots":     {func(i *auth.Issuer) { i.Groups, i.GroupClaim = []string{"a"}, "https://x.example/groups" }, claims("https://x.example/groups", []string{"a"}), "", 0},
		"groups on no path":         {func(i *auth.Issuer) { i.GroupClaim = "realm_access.roles" }, claims("realm_access", "x"), "malformed", runnel.Unauthenticated},
		"all scopes":                {func(i *auth.Issuer) { i.Scopes = []string{"a", "b"} }, claims("scope", "b a c"), "", 0},
		"scopes in scp":             {func(i *auth.Issuer) { i.Scopes = []string{"a", "b"} }, claims("scp", []string{"a", "b"}), "", 0},
		"a scope is missing":        {func(i *auth.Issuer) { i.Scopes = []string{"a", "b"} }, claims("scope", "ab a"), "scope", runnel.Denied},
		"within leeway":             {func(i *auth.Issuer) { i.Leeway = time.Minute }, claims("exp", time.Now().Add(-30*time.Second).Unix()), "", 0},
		"a clock ahead of ours":     {func(*auth.Issuer) {}, claims("nbf", time.Now().Add(4*time.Second).Unix()), "", 0},
		"slash at the issuer's end": {func(i *auth.Issuer) { i.Issuer += "/" }, claims(), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := issuerConfig()
			tc.issuer(&cfg.Issuers[0])
			w := newWorld().issuer(s)
			svc := w.service(t, cfg)
			if tc.reason != "" {
				w.refusedFor(t, svc, withToken(s.sign(tc.claims)), tc.reason, tc.kind)
			} else if _, err := svc.Authenticate(t.Context(), withToken(s.sign(tc.claims))); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("the header says access", func(t *testing.T) {
		t.Parallel()
		cfg := issuerConfig()
		cfg.Issuers[0].TokenUse = "access"
		token := s.sign(claims(), func(o *jose.SignerOptions) { o.WithType("at+jwt") })
		if _, err := newWorld().issuer(s).service(t, cfg).Authenticate(t.Context(), withToken(token)); err != nil {
			t.Error(err)
		}
	})
}

func TestCognito(t *testing.T) {
	t.Parallel()
	const (
		pool  = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123"
		newer = "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123"
	)
	s := newRSASigner("k", 2048)
	id := map[string]any{"token_use": "id", "aud": "app", "client_id": nil, "cognito:groups": []string{"staff"}}
	access := map[string]any{"token_use": "access", "aud": nil, "client_id": "app", "cognito:groups": []string{"staff"}, "scope": "chat"}
	token := func(iss string, more map[string]any) string {
		c := claims("iss", iss)
		for name, v := range more {
			c[name] = v
			if v == nil {
				delete(c, name)
			}
		}
		return s.sign(c)
	}
	for _, configured := range []string{pool, newer} {
		w := newWorld().at(configured+"/.well-known/jwks.json", serve(keySet(s)))
		svc := w.service(t, auth.Config{Issuers: []auth.Issuer{{Issuer: configured, ClientIDs: []string{"app"}, Groups: []string{"staff"}}}})
		for _, iss := range []string{pool, newer} {
			for use, c := range map[string]map[string]any{"id": id, "access": access} {
				p, err := svc.Authenticate(t.Context(), withToken(token(iss, c)))
				if err != nil {
					t.Fatalf("%s, %s token of %s: %v", configured, use, iss, err)
				}
				if p.ID != "user:"+pool+"#ann" || p.Scheme != auth.SchemeCognito || p.Groups[0] != "staff" {
					t.Errorf("got %+v", p)
				}
			}
		}
		other := map[string]any{"token_use": "access", "aud": nil, "client_id": "other"}
		w.refusedFor(t, svc, withToken(token(pool, other)), "audience", runnel.Unauthenticated)
		if n := w.asked(configured + "/.well-known/jwks.json"); n != 1 {
			t.Errorf("the pool was asked %d times, want 1", n)
		}
	}
}

// A token of one issuer is not vouched for by the keys of another.
func TestIssuersKeepApart(t *testing.T) {
	t.Parallel()
	a, b := newECSigner("k"), newECSigner("k")
	w := newWorld().issuer(a).at("https://b.example/keys", serve(keySet(b)))
	cfg := issuerConfig()
	cfg.Issuers = append(cfg.Issuers, auth.Issuer{Issuer: "https://b.example", JWKSURL: "https://b.example/keys", Audiences: []string{"chat"}, Service: true})
	svc := w.service(t, cfg)
	w.refusedFor(t, svc, withToken(b.sign(claims())), "signature", runnel.Unauthenticated)
	p, err := svc.Authenticate(t.Context(), withToken(b.sign(claims("iss", "https://b.example"))))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "user:https://b.example#ann" || !p.Service {
		t.Errorf("got %+v", p)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	s := newECSigner("k")
	token := s.sign(claims())
	cfg := issuerConfig()
	cfg.Issuers[0].Cookie = "id"
	var err error
	if cfg.Origins, err = peer.ParseOrigins([]string{"https://app.example"}); err != nil {
		t.Fatal(err)
	}
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keys = []auth.Key{{Name: "ci", Hash: hash}}
	svc := newWorld().issuer(s).service(t, cfg)

	type headers = map[string]string
	const user, service, nobody = "user:" + issuerURL + "#ann", "key:ci", ""
	for name, tc := range map[string]struct {
		target string
		header headers
		want   string
	}{
		"bearer":                          {"/", headers{"Authorization": "Bearer " + token}, user},
		"bearer in small letters":         {"/", headers{"Authorization": "bearer  " + token}, user},
		"authorization alone":             {"/", headers{"Authorization": token}, user},
		"query":                           {"/dev?x=1&token=" + token, nil, user},
		"cookie":                          {"/", headers{"Cookie": "a=b; id=" + token}, user},
		"cookie, our page":                {"/", headers{"Cookie": "id=" + token, "Origin": "http://example.com", "Sec-Fetch-Site": "same-origin"}, user},
		"cookie, a trusted page":          {"/", headers{"Cookie": "id=" + token, "Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}, user},
		"cookie, another site's page":     {"/", headers{"Cookie": "id=" + token, "Origin": "https://evil.example"}, nobody},
		"cookie, another site, no origin": {"/", headers{"Cookie": "id=" + token, "Sec-Fetch-Site": "cross-site"}, nobody},
		"cookie, no origin at all":        {"/", headers{"Cookie": "id=" + token, "Origin": "null"}, nobody},
		"another cookie":                  {"/", headers{"Cookie": "session=" + token}, nobody},
		"x-api-key":                       {"/", headers{"X-Api-Key": key}, service},
		"key as bearer":                   {"/", headers{"Authorization": "Bearer " + key}, service},
		"key in the query":                {"/?token=" + key, nil, service},
		"x-api-key counts first":          {"/", headers{"X-Api-Key": key, "Authorization": "Bearer " + token}, service},
		"no second try after x-api-key":   {"/", headers{"X-Api-Key": "wrong", "Authorization": "Bearer " + token}, nobody},
		"authorization before query":      {"/?token=" + token, headers{"Authorization": "Bearer " + key}, service},
		"no second try after a header":    {"/?token=" + token, headers{"Authorization": "Bearer wrong"}, nobody},
		"two tokens in the query":         {"/?token=" + token + "&token=" + token, nil, nobody},
		"nothing":                         {"/", nil, nobody},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(http.MethodGet, "http://example.com"+tc.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range tc.header {
				r.Header.Set(name, value)
			}
			p, err := svc.Authenticate(t.Context(), auth.FromRequest(r))
			got := ""
			if err == nil {
				got = p.ID
			}
			if got != tc.want {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		r, _ := http.NewRequest(http.MethodGet, "http://example.com", nil)
		r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token}
		if p, err := svc.Authenticate(t.Context(), auth.FromRequest(r)); err == nil {
			t.Errorf("got %v", p.ID)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		r, _ := http.NewRequest(http.MethodGet, "http://example.com/graphql/realtime?token=wrong", nil)
		r.Header.Set("X-Api-Key", "wrong")
		c := auth.FromHandshake(r, headers{"host": "gw.example:8080", "Authorization": token}, "/graphql/connect", []byte("{}"))
		if c.Request.Host != "gw.example:8080" {
			t.Errorf("got the host %q", c.Request.Host)
		}
		if _, err := svc.Authenticate(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	t.Run("handshake with two headers", func(t *testing.T) {
		t.Parallel()
		r, _ := http.NewRequest(http.MethodGet, "http://example.com/graphql/realtime", nil)
		for other, want := range map[string]bool{token: true, "wrong": false} {
			c := auth.FromHandshake(r, headers{"authorization": other, "Authorization": token}, "/graphql", nil)
			if _, err := svc.Authenticate(t.Context(), c); (err == nil) != want {
				t.Errorf("beside %.10q: got %v", other, err)
			}
		}
	})
}
