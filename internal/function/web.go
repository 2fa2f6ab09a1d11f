package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
)

// newTransport returns connections fit for many long answers from one host.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: maxConcurrency,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a compressor would hold answers back
		ForceAttemptHTTP2:   true,
	}
}

// web is a function behind a URL. Its event is the body of a POST, its answer
// that of the response. X-Amz-Function-Error says that it failed, as in the
// Invoke API.
type web struct {
	cfg   Config
	http  *http.Client
	slots chan struct{} // as many as may run at once
}

func newWeb(c Config) *web {
	return &web{
		cfg: c, slots: make(chan struct{}, c.Concurrency),
		http: &http.Client{
			Transport:     newTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// call implements [backend].
func (w *web) call(ctx context.Context, r Request) (*Response, error) {
	return w.send(ctx, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.HTTP, bytes.NewReader(r.Payload))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Amzn-Requestid", r.ID)
		return req, nil
	})
}

// send makes a request within the function's limits, and returns the answer.
func (w *web) send(ctx context.Context, request func(context.Context) (*http.Request, error)) (*Response, error) {
	select {
	case w.slots <- struct{}{}:
	default:
		return nil, runnel.Errorf(runnel.Limited, "the function %s has too many invocations", w.cfg.Name)
	}
	call, cancel := context.WithTimeoutCause(ctx, w.cfg.Timeout,
		newFailure(typeTimeout, "Error: Task timed out after %.2f seconds", w.cfg.Timeout.Seconds()))
	release := func() {
		cancel()
		<-w.slots
	}
	resp, err := w.do(call, request)
	if err != nil {
		release()
		return nil, err
	}
	return &Response{
		ContentType: resp.Header.Get("Content-Type"), Streamed: resp.ContentLength < 0,
		Body: &webBody{ctx: call, body: resp.Body, release: release},
	}, nil
}

func (w *web) do(ctx context.Context, request func(context.Context) (*http.Request, error)) (*http.Response, error) {
	req, err := request(ctx)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "runnel")
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	kind := resp.Header.Get("X-Amz-Function-Error")
	if kind == "" && resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxFailure))
	switch {
	case err != nil:
		return nil, unreachable(ctx, err)
	case kind != "":
		return nil, readFailure(text, kind)
	}
	return nil, refusal(resp)
}

// unreachable says why there is no answer. When ctx is done it is the reason.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return runnel.Errorf(runnel.Unavailable, "the function cannot be reached").Because(err)
}

// refusal returns what a status other than 200 means.
func refusal(resp *http.Response) error {
	e := runnel.Errorf(runnel.Unavailable, "the function has failed").Because(fmt.Errorf("status %s", resp.Status))
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind, e.Msg = runnel.Denied, "the function refused our credentials"
	case code == http.StatusTooManyRequests:
		e.Kind, e.Msg = runnel.Limited, "the function takes no more events for now"
	case code >= 400 && code < 500:
		e.Kind, e.Msg = runnel.Invalid, "the function refused the event, or its address is wrong"
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= int(24*time.Hour/time.Second) {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// A webBody is the answer of a function behind a URL.
type webBody struct {
	ctx     context.Context //nolint:containedctx // it is the answer's, whose end is told by Read
	body    io.ReadCloser
	release func()
	read    int
	closed  bool
}

// Read implements [io.Reader].
func (b *webBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.read += n
	switch {
	case b.read > maxStreamed:
		return 0, newFailure(typeTooLarge, "Response payload size exceeded maximum allowed payload size (%d bytes).", maxStreamed)
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case b.ctx.Err() != nil:
		return n, context.Cause(b.ctx)
	}
	return n, newFailure(typeBroken, "Error: the function broke off its answer")
}

// Close implements [io.Closer].
func (b *webBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.release() // first, or Close would wait for more of the answer
	return b.body.Close()
}
