package auth_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/auth"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	const api = "arn:aws:execute-api:us-east-1:123456789012:abc123/prod/"
	allow := func(resource string) string {
		return `{"Action":"execute-api:Invoke","Effect":"Allow","Resource":` + resource + `}`
	}
	const denyAdmin = `{"Sid":"x","Action":["execute-api:Invoke"],"Effect":"Deny","Resource":"*/admin"}`
	for _, tc := range []struct {
		statements, route string
		want              bool
	}{
		{allow(`"` + api + `$connect"`), "$connect", true},
		{allow(`"` + api + `$connect"`), "$default", false},
		{allow(`"` + api + `*"`), "$connect", true},
		{allow(`"arn:aws:execute-api:*:*:*/*/$connect"`), "$connect", true},
		{allow(`"` + api + `*/*"`), "$connect", false},
		{allow(`"` + api + `?connect"`), "$connect", true},
		{allow(`"` + api + `?onnect"`), "$connect", false},
		{allow(`"*"`), "anything/at/all", true},
		{allow(`["x","*"]`), "$connect", true},
		{allow(`[]`), "$connect", false},
		{`{"Action":"EXECUTE-API:*","Effect":"Allow","Resource":"*"}`, "$connect", true},
		{`{"Action":["s3:GetObject","execute-api:ManageConnections"],"Effect":"Allow","Resource":"*"}`, "$connect", false},
		{allow(`"*"`) + "," + denyAdmin, "user", true},
		{allow(`"*"`) + "," + denyAdmin, "admin", false},
		{denyAdmin + "," + allow(`"*"`), "admin", false},
		{denyAdmin, "user", false},
	} {
		got, err := auth.Allows(`{"Version":"2012-10-17","Statement":[`+tc.statements+`]}`, api+tc.route)
		if got != tc.want {
			t.Errorf("%s: %s: got %v (%v), want %v", tc.route, tc.statements, got, err, tc.want)
		}
	}
}

func TestMatchesTakesBoundedTime(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	pattern := strings.Repeat("*a", 2000) + "b"
	if auth.Matches(pattern, strings.Repeat("a", 8000)) {
		t.Error("it matches")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Matching agrees with a regular expression of the same meaning.
func FuzzMatches(f *testing.F) {
	f.Add("arn:*:?x/*", "arn:a:bx/")
	f.Add("***", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 200 || len(text) > 200 {
			return
		}
		var expr strings.Builder
		for _, r := range []byte(pattern) {
			switch r {
			case '*':
				expr.WriteString(".*")
			case '?':
				expr.WriteString(".")
			default:
				_, _ = fmt.Fprintf(&expr, `\x{%x}`, r)
			}
		}
		// One rune a byte, so that the expression sees what the pattern sees.
		wide := make([]rune, len(text))
		for i := range len(text) {
			wide[i] = rune(text[i])
		}
		want := regexp.MustCompile("(?s)^" + expr.String() + "$").MatchString(string(wide))
		if got := auth.Matches(pattern, text); got != want {
			t.Errorf("%q, %q: got %v, want %v", pattern, text, got, want)
		}
	})
}

// Nothing that others send makes a parser panic.
func FuzzForeignDocuments(f *testing.F) {
	f.Add([]byte(`{"principalId":"a","policyDocument":{"Statement":[{"Action":"*","Effect":"Allow","Resource":["*"]}]},"context":{"a":1}}`))
	f.Add([]byte(`{"isAuthorized":true,"resolverContext":{"a":"b"},"deniedFields":["A.b"],"ttlOverride":10}`))
	f.Add(keySet(newECSigner("k")))
	f.Add([]byte(`{"Statement":{"Action":null,"Effect":"Deny","Resource":[null]}}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		auth.Answers(data)
		_, _ = auth.Allows(string(data), "arn")
		_, _ = auth.ParseKeys(data)
	})
}

// No token counts that the issuer has not signed.
func FuzzTokens(f *testing.F) {
	s := newECSigner("k")
	good := s.sign(claims("exp", time.Now().Add(1000*time.Hour).Unix()))
	w := newWorld().issuer(s)
	svc := w.service(f, issuerConfig())
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUifQ.")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Fuzz(func(t *testing.T, token string) {
		p, err := svc.Authenticate(t.Context(), withToken(token))
		// The last characters of base64 can be written in several ways; the
		// signed bytes are the same then.
		if err == nil && !strings.HasPrefix(token, good[:strings.LastIndexByte(good, '.')]) {
			t.Errorf("%q is %s", token, p.ID)
		}
	})
}
