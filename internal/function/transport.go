package function

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/runnelhq/runnel"
)

// Scheme is that of URLs which stand for functions, as in function://NAME.
const Scheme = "function"

// Named returns the name in a function's URL; false if it is another URL.
func Named(text string) (name string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != Scheme {
		return "", false
	}
	return u.Host, true
}

// Transport returns a transport like base that also knows the URLs of functions:
// what asks somebody over HTTP may then ask a function. A POST is answered by the
// function's result, and with X-Amz-Function-Error if that failed; with
// X-Amz-Invocation-Type: Event it is accepted, and run some time.
func (s *Set) Transport(base *http.Transport) *http.Transport {
	t := base.Clone()
	t.RegisterProtocol(Scheme, roundTripper{s})
	return t
}

type roundTripper struct{ set *Set }

// RoundTrip implements [http.RoundTripper].
func (rt roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	var payload []byte
	if req.Body != nil {
		var err error
		payload, err = io.ReadAll(io.LimitReader(req.Body, MaxPayload+1))
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	f, ok := rt.set.Lookup(req.URL.Host)
	if !ok {
		return respond(req, http.StatusNotFound, nil), nil
	}
	r := Request{Payload: payload}
	if req.Header.Get("X-Amz-Invocation-Type") == "Event" {
		if err := rt.set.Enqueue(f, r); err != nil {
			return refuseWith(req, err), nil
		}
		return respond(req, http.StatusAccepted, nil), nil
	}
	res, err := f.Invoke(req.Context(), r)
	if req.Context().Err() != nil {
		return nil, req.Context().Err()
	}
	if err != nil {
		return refuseWith(req, err), nil
	}
	resp := respond(req, http.StatusOK, res.Payload)
	if res.Failure != nil {
		resp.Header.Set("X-Amz-Function-Error", "Unhandled")
	}
	return resp, nil
}

func refuseWith(req *http.Request, err error) *http.Response {
	code := http.StatusServiceUnavailable
	switch runnel.KindOf(err) {
	case runnel.Limited:
		code = http.StatusTooManyRequests
	case runnel.Invalid:
		code = http.StatusBadRequest
	case runnel.Internal:
		code = http.StatusInternalServerError
	}
	resp := respond(req, code, nil)
	if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	return resp
}

func respond(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(code) + " " + http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
