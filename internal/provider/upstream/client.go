package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// Config describes a model server.
type Config struct {
	Provider string // for the log: "openai"
	Model    string // named to clients when the server does not know it
	BaseURL  string // with or without a slash at its end

	// Header goes along with every request.
	Header http.Header
	// Secret is the key in Header, to be kept out of the log; it may be empty.
	Secret string
}

// A Client calls one model server. It may be used concurrently.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// NewClient returns a client. The error, for a base URL that is not one, is of
// kind Invalid.
func NewClient(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, runnel.Errorf(runnel.Invalid, "%s: the base URL must look like https://host/path", cfg.Provider)
	}
	return &Client{
		cfg:  cfg,
		base: base,
		http: &http.Client{
			Transport:     newTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// newTransport returns a connection pool fit for many long answers from one host.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 1024, // as many as may answer at once; the default, 2, would close the rest each time
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a compressor would hold tokens back
		ForceAttemptHTTP2:   true,
		// A dead peer must not look like a model that thinks.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// post sends a JSON body and returns the answer, whose media type is one of
// accept, or none. Its body must be ended with done or closed.
func (c *Client) post(ctx context.Context, path string, body []byte, accept []string) (*response, error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%s: make request: %w", c.cfg.Provider, err)
	}
	maps.Copy(req.Header, c.cfg.Header)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept[0])
	req.Header.Set("User-Agent", "runnel")
	runnel.TraceFrom(ctx).SetHeaders(req.Header.Set)
	resp, err := c.http.Do(req)
	if err != nil {
		cancel()
		return nil, unreachable(err)
	}
	r := &response{body: resp.Body, cancel: cancel}
	switch {
	case resp.StatusCode != http.StatusOK:
		err = &Failure{Status: resp.StatusCode, Detail: r.excerpt(), RetryAfter: retryAfter(resp.Header, time.Now())}
	case !accepts(accept, resp.Header.Get("Content-Type")):
		err = fmt.Errorf("content type %.80q: %s", resp.Header.Get("Content-Type"), c.redact(r.excerpt()))
	default:
		return r, nil
	}
	r.close()
	return nil, err
}

// accepts reports whether the answer may be what was asked for. A type that says
// nothing is given the benefit of the doubt: what follows is checked anyway.
func accepts(accept []string, contentType string) bool {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch mediaType {
	case "", "text/plain", "application/octet-stream":
		return true
	}
	return slices.Contains(accept, mediaType)
}

// redact takes the key out of a text for the log.
func (c *Client) redact(text string) string {
	if c.cfg.Secret == "" {
		return text
	}
	return strings.ReplaceAll(text, c.cfg.Secret, "[key]")
}

// A response is the body of an answer together with its connection.
type response struct {
	body   io.ReadCloser
	cancel context.CancelFunc
}

func (r *response) Read(p []byte) (int, error) { return r.body.Read(p) }

// close ends the answer and its connection. Cancelling first keeps the
// transport from reading on for the sake of the connection.
func (r *response) close() {
	r.cancel()
	_ = r.body.Close()
}

// within closes the answer unless it has ended when d is over.
func (r *response) within(d time.Duration) *time.Timer { return time.AfterFunc(d, r.cancel) }

// done ends an answer whose last frame has been read. What is left is normally
// the end of the body, which has come in the same packet; reading it sets the
// connection free for the next prompt.
func (r *response) done() {
	const patience, most = 50 * time.Millisecond, 64 << 10
	defer r.within(patience).Stop()
	_, _ = io.CopyN(io.Discard, r.body, most)
}

// excerpt reads the beginning of an error's body, for the log.
func (r *response) excerpt() string {
	const patience, most = 5 * time.Second, 2 << 10
	defer r.within(patience).Stop()
	text, _ := io.ReadAll(io.LimitReader(r.body, most))
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\uFFFD")), " ")
}
