package sigv4_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// TestOracle signs random requests with the SDK and checks that each is
// accepted, and that it no longer is with any one thing changed.
func TestOracle(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testing.Short() {
		n = 500
	}
	v := newVerifier(t, noon(), sigv4.Config{})
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		c := randomCall(rnd)
		r := c.sign(t)
		id, err := verify(v, r, c.body)
		if err != nil || id.AccessKey != accessKey || id.Service != c.service {
			t.Fatalf("request %d: %+v\n%s %s %v\ngot %+v, %v", i, c, r.Method, r.RequestURI, r.Header, id, err)
		}
		body, what := tamper(rnd, r, c.body)
		if id, err := verify(v, r, body); err == nil {
			t.Fatalf("request %d, with %s changed: %+v\n%s %s %v\naccepted as %+v", i, what, c, r.Method, r.RequestURI, r.Header, id)
		}
	}
}

func randomCall(rnd *rand.Rand) call {
	c := call{
		method:  pick(rnd, "GET", "POST", "PUT", "DELETE"),
		service: pick(rnd, "execute-api", "appsync", "bedrock", "lambda", "lex", "dynamodb"),
		header:  http.Header{},
	}
	u := url.URL{Scheme: "http", Host: pick(rnd, "localhost", "localhost:18600", "[::1]:8080", "gateway.example.com")}
	for range 1 + rnd.IntN(4) {
		u.Path += "/" + randomText(rnd, 8)
	}
	// What JoinPath would clean up is not for this test.
	u.Path = strings.ReplaceAll(u.Path, "//", "/x/")
	if rnd.IntN(2) == 0 {
		// Some clients encode more than they need to.
		u.RawPath = strings.NewReplacer("@", "%40", "+", "%2B", "=", "%3D").Replace(u.EscapedPath())
	}
	query := url.Values{}
	for i := range rnd.IntN(4) {
		// The SDK sorts before it encodes. Letters in keys, and in the values
		// of a repeated key, sort alike either way.
		query.Add(fmt.Sprintf("k%d", i), randomText(rnd, 10))
	}
	if rnd.IntN(3) == 0 {
		query["dup"] = []string{"b", "a", "b"}
	}
	u.RawQuery = query.Encode()
	c.url = u.String()
	if rnd.IntN(2) == 0 {
		c.body = randomText(rnd, 60)
	}
	if rnd.IntN(3) == 0 {
		c.token = "tok/" + randomText(rnd, 5) + "=="
		c.token = strings.Map(func(r rune) rune {
			if r > ' ' && r < 127 {
				return r
			}
			return 'x'
		}, c.token)
	}
	if rnd.IntN(3) == 0 {
		c.expires = time.Duration(1+rnd.IntN(7*24*3600)) * time.Second
		return c
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Custom", "Amz-Sdk-Request"} {
		if rnd.IntN(2) == 0 {
			c.header[name] = []string{pick(rnd, "plain", "  two   spaces  ", "a,b", "", "é")}
		}
	}
	if rnd.IntN(4) == 0 {
		c.header["X-Custom"] = []string{"one", " two "}
	}
	if rnd.IntN(4) == 0 {
		c.header["X-Amz-Content-Sha256"] = []string{hashOf(c.body)}
	}
	return c
}

// tamper changes one thing of r or its body, and says which.
func tamper(rnd *rand.Rand, r *http.Request, body string) (newBody, what string) {
	switch rnd.IntN(5) {
	case 0:
		return body + "x", "body"
	case 1:
		path, query, found := strings.Cut(r.RequestURI, "?")
		if r.RequestURI = path + "x"; found {
			r.RequestURI += "?" + query
		}
		return body, "path"
	case 2:
		r.RequestURI += pick(rnd, "&", "?") + "k9=1"
		if strings.Count(r.RequestURI, "?") == 0 {
			return body + "x", "body and path"
		}
		return body, "query"
	case 3:
		r.Method += "X"
		return body, "method"
	}
	r.Host = "elsewhere.example.com"
	return body, "host"
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

func randomText(rnd *rand.Rand, n int) string {
	alphabet := []rune("abcXYZ019-_.~ %:@=+&,;!*'()$#?é日😀\"<>|")
	var b strings.Builder
	b.WriteByte('p')
	for range rnd.IntN(n) {
		b.WriteRune(alphabet[rnd.IntN(len(alphabet))])
	}
	return b.String()
}
