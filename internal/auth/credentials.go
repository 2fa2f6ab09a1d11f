package auth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/runnelhq/runnel/internal/peer"
)

// Credentials are what a caller shows. The zero value is nothing.
type Credentials struct {
	APIKey string // of the header x-api-key
	Token  string // a JWT, an API key, or whatever the webhook understands

	// Request carries an AWS signature, cookies, what the webhook is told, and
	// the address for the log. It may be nil.
	Request *http.Request
	// Body returns the request's body for the signature; nil: it is empty.
	Body func() ([]byte, error)
	// Action is what the signer of a request wants to do, in IAM's words, such
	// as bedrock:InvokeModel. Empty: the signature may be for any service.
	Action string

	// Resource is what an API Gateway authorizer's policy must allow: an ARN.
	// Empty: one that is made of the request's method and path.
	Resource string
	// Context is the requestContext that the webhook is told.
	Context map[string]any
}

const (
	signatureScheme = "AWS4-HMAC-SHA256"
	apiKeyHeader    = "X-Api-Key"
)

// FromRequest returns the credentials in a request's usual places: x-api-key,
// Authorization with or without Bearer, ?token=. [Service.Authenticate] looks
// for signatures and cookies itself.
func FromRequest(r *http.Request) Credentials {
	c := Credentials{Request: r}
	// Several lines of one header are one value to HTTP, and no credentials
	// look like it: two of a kind are refused rather than chosen from.
	c.APIKey = strings.Join(r.Header[apiKeyHeader], ", ")
	c.Token = bearer(strings.Join(r.Header["Authorization"], ", "))
	if c.Token == "" && r.URL != nil && strings.Contains(r.URL.RawQuery, "token=") {
		c.Token = bearer(strings.Join(r.URL.Query()["token"], ", "))
	}
	return c
}

// FromHandshake returns the credentials that a client put into the header
// object of a handshake or message, in place of those of the request r that
// began it. Names are as in HTTP, in any case. A signature among them is that
// of an HTTP request in its place: a POST of the body to the target, a path.
func FromHandshake(r *http.Request, header map[string]string, target string, body []byte) Credentials {
	h := make(http.Header, len(header))
	for name, value := range header {
		// Apollo's link writes x-api-key twice, once in capitals.
		if !slices.Contains(h.Values(name), value) {
			h.Add(name, value)
		}
	}
	inner := r.WithContext(r.Context()) // a copy
	inner.Method, inner.RequestURI, inner.URL = http.MethodPost, target, &url.URL{Path: target}
	if hosts := h["Host"]; len(hosts) == 1 {
		inner.Host = hosts[0]
	}
	h.Del("Host")
	inner.Header = h
	c := FromRequest(inner)
	c.Body = func() ([]byte, error) { return body, nil }
	return c
}

func bearer(value string) string {
	if len(value) > 7 && strings.EqualFold(value[:7], "bearer ") {
		value = value[7:]
	}
	return strings.TrimSpace(value)
}

// signed reports whether the caller shows an AWS signature.
func (c Credentials) signed() bool {
	if strings.HasPrefix(c.Token, signatureScheme) {
		return true
	}
	return c.Request != nil && c.Request.URL != nil && strings.Contains(c.Request.URL.RawQuery, "X-Amz-Signature=")
}

// cookie returns the value of the first cookie of these names. A browser sends
// cookies along with the requests of any site's page, so only our own pages'
// and those of the given origins count.
func (c Credentials) cookie(names []string, origins peer.Origins) string {
	if c.Request == nil || len(names) == 0 || !origins.Trust(c.Request) {
		return ""
	}
	for _, name := range names {
		if found, err := c.Request.Cookie(name); err == nil {
			return found.Value
		}
	}
	return ""
}

// looksLikeJWT reports whether a token has the form of a signed JWT.
func looksLikeJWT(token string) bool {
	head, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 || len(head) < 4 {
		return false
	}
	begin, err := base64.RawURLEncoding.DecodeString(head[:4])
	return err == nil && len(begin) > 0 && begin[0] == '{' // line breaks decode to nothing
}
