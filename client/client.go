package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	callTimeout = 30 * time.Second // of one request that is not a stream
	maxReply    = 64 << 20         // transcripts are the longest
)

// A Client talks to one gateway. It may be used concurrently.
type Client struct {
	base   *url.URL
	http   *http.Client
	apiKey string
	notify func(err error, wait time.Duration)
}

// An Option changes how a [Client] works.
type Option func(*Client)

// WithAPIKey shows the gateway an API key or a token with every request, as
// Authorization: Bearer. Empty is none.
func WithAPIKey(key string) Option {
	return func(c *Client) { c.apiKey = key }
}

// WithHTTPClient uses h in place of [http.DefaultClient], for example to
// authenticate in another way. A time-out of h would end streams, so it should have none.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http = h }
}

// WithNotify calls f when the gateway cannot be reached or is out of order, with
// the time until the next try, and with a nil error when it works again. It is
// called on the goroutine of the call or stream that is waiting.
func WithNotify(f func(err error, wait time.Duration)) Option {
	return func(c *Client) { c.notify = f }
}

// New returns a client of the gateway at baseURL, such as
// http://127.0.0.1:8080. It does not connect.
func New(baseURL string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, runnel.Errorf(runnel.Invalid, "%q is not a gateway's address; write it like http://127.0.0.1:8080", baseURL)
	}
	c := &Client{base: u, http: http.DefaultClient, notify: func(error, time.Duration) {}}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

// A Prompt is what to ask. Everything but the text is optional.
type Prompt struct {
	Text        string            `json:"prompt"`
	Model       string            `json:"model,omitempty"` // a route of the gateway
	System      string            `json:"system,omitempty"`
	MaxTokens   int               `json:"max_tokens,omitempty"`
	Temperature *float64          `json:"temperature,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`

	// IdempotencyKey makes this submission and any other with the same key,
	// for a day, one and the same. Empty means a fresh one.
	IdempotencyKey string `json:"-"`
}

// Submit hands a prompt in. When it returns nil the prompt is durable and will
// be answered, whatever becomes of the caller. The session begins to exist with
// its first prompt.
func (c *Client) Submit(ctx context.Context, id runnel.SessionID, p Prompt) (runnel.Receipt, error) {
	var r runnel.Receipt
	body, err := json.Marshal(p)
	if err != nil {
		return r, fmt.Errorf("client: submit: %w", err)
	}
	key := p.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	if err := c.call(ctx, http.MethodPost, header, body, &r, "sessions", string(id), "prompts"); err != nil {
		return r, fmt.Errorf("client: submit to session %s: %w", id, err)
	}
	return r, nil
}

// Cancel stops a generation, durably, and returns how it stands. Stopping one
// that has ended changes nothing.
func (c *Client) Cancel(ctx context.Context, gen runnel.GenerationID) (runnel.Generation, error) {
	var g runnel.Generation
	if err := c.call(ctx, http.MethodPost, nil, nil, &g, "generations", string(gen), "cancel"); err != nil {
		return g, fmt.Errorf("client: cancel generation %s: %w", gen, err)
	}
	return g, nil
}

// Generation returns how a generation stands.
func (c *Client) Generation(ctx context.Context, gen runnel.GenerationID) (runnel.Generation, error) {
	var g runnel.Generation
	if err := c.call(ctx, http.MethodGet, nil, nil, &g, "generations", string(gen)); err != nil {
		return g, fmt.Errorf("client: look up generation %s: %w", gen, err)
	}
	return g, nil
}

// Transcript returns what a session has said so far.
func (c *Client) Transcript(ctx context.Context, id runnel.SessionID) (runnel.Transcript, error) {
	var t runnel.Transcript
	if err := c.call(ctx, http.MethodGet, nil, nil, &t, "sessions", string(id)); err != nil {
		return t, fmt.Errorf("client: read transcript of session %s: %w", id, err)
	}
	return t, nil
}

// call makes a request, again if need be, and decodes the reply.
func (c *Client) call(ctx context.Context, method string, header http.Header, body []byte, reply any, path ...string) error {
	var b backoff
	for {
		err := c.callOnce(ctx, method, header, body, reply, path)
		if err == nil {
			b.recovered(c)
			return nil
		}
		if !temporary(ctx, err) || b.tries == maxCalls-1 {
			return err
		}
		if err := b.wait(ctx, c, err); err != nil {
			return err
		}
	}
}

func (c *Client) callOnce(ctx context.Context, method string, header http.Header, body []byte, reply any, path []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, header, body, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return unreachable(err)
	}
	if err := json.Unmarshal(data, reply); err != nil {
		return fmt.Errorf("the reply is not what a gateway answers: %w", err)
	}
	return nil
}

// send makes one request below /v1 and returns the response if it is a success.
func (c *Client) send(ctx context.Context, method string, header http.Header, body []byte, path []string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path, query), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, replyError(resp)
}

func (c *Client) url(path []string, query url.Values) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(c.base.String(), "/"))
	b.WriteString("/v1")
	for _, segment := range path {
		b.WriteByte('/')
		if strings.Trim(segment, ".") == "" {
			// Servers take a bare . or .. for a step through the tree.
			b.WriteString(strings.ReplaceAll(segment, ".", "%2E"))
			continue
		}
		b.WriteString(url.PathEscape(segment))
	}
	if len(query) > 0 {
		b.WriteByte('?')
		b.WriteString(query.Encode())
	}
	return b.String()
}

// unreachable is the error of a request that got no reply.
func unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which the caller knows
	}
	return runnel.Errorf(runnel.Unavailable, "the gateway cannot be reached").Because(err)
}
