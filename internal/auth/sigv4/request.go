package sigv4

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Request is what a signature covers.
type Request struct {
	Method string
	Target string // path and query as they are on the wire, still encoded
	Host   string
	Header http.Header // without Host
	// Body returns the whole body. It is called once at the most, and only if
	// all that can be checked without it is right, so that nobody without a key
	// makes us read one. nil is the empty body.
	Body func() ([]byte, error)
}

// FromHTTP returns the parts of a request that a server has received.
func FromHTTP(r *http.Request, body func() ([]byte, error)) Request {
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	// A client that believes us to be a proxy sends an absolute URL.
	if _, rest, ok := strings.Cut(target, "://"); ok && target[0] != '/' {
		i := strings.IndexAny(rest, "/?")
		if i < 0 {
			i = len(rest)
		}
		target = rest[i:]
	}
	return Request{Method: r.Method, Target: target, Host: r.Host, Header: r.Header, Body: body}
}

// Realtime returns the HTTP request that a client of AppSync's realtime
// protocols signed in place of a WebSocket message: a POST of the body to the
// target, with the headers that it put into its handshake or message. Target is
// the path of the HTTP endpoint, with /connect for the connection of GraphQL.
func Realtime(headers map[string]string, target string, body []byte) Request {
	h := make(http.Header, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		h.Add(name, headers[name])
	}
	var host string
	if hosts := h.Values("Host"); len(hosts) == 1 {
		host = hosts[0]
	}
	h.Del("Host")
	return Request{
		Method: http.MethodPost, Target: target, Host: host, Header: h,
		Body: func() ([]byte, error) { return body, nil },
	}
}

// Signed reports whether r carries a signature, good or bad.
func Signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), schemePrefix) || strings.Contains(r.URL.RawQuery, paramSignature+"=")
}

// one returns the value of a header that may be there once; ok is false if it is
// there more often.
func (r Request) one(name string) (value string, ok bool) {
	switch values := r.Header.Values(name); len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	}
	return "", false
}
