package awsfn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	callTimeout = 10 * time.Second // of one try
	maxAnswer   = 1 << 20

	firstPause = 100 * time.Millisecond // doubled at each repetition
	maxPause   = 5 * time.Second
)

// A Caller posts to services that have no client in the SDK, or a client of
// which only this is needed.
type Caller struct {
	Config  aws.Config // credentials and region
	Service string     // that the signature is for
	APIKey  string     // in place of a signature
	HTTP    *http.Client
}

// A Refusal is an answer that is not a success.
type Refusal struct {
	Status int
	Type   string // such as GoneException
	Body   string // the beginning of it
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s: %.200s", r.Status, r.Type, r.Body) }

// Post posts the body and returns what is answered. While ctx lasts it tries
// again what may pass: no connection, no answer, 429, 5xx, and what passing says
// of a success. An answer that is lost on its way is tried again as well; key, if
// it is not empty, lets a service notice that.
func (c *Caller) Post(ctx context.Context, url, contentType, key string, body []byte, passing func(answer []byte) error) error {
	for try := 1; ; try++ {
		answer, after, err := c.once(ctx, url, contentType, key, body)
		if err == nil && passing != nil {
			err = passing(answer)
		}
		if err == nil {
			return nil
		}
		if r, ok := errors.AsType[*Refusal](err); ok && r.Status != http.StatusTooManyRequests && r.Status < 500 {
			return err
		}
		if !pause(ctx, try, after) {
			return errors.Join(err, ctx.Err())
		}
	}
}

// once makes one try. after is how long the service wants to be left alone.
func (c *Caller) once(ctx context.Context, url, contentType, key string, body []byte) (answer []byte, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, &Refusal{Type: "InvalidURL", Body: err.Error()}
	}
	req.Header.Set("Content-Type", contentType)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if err := c.authorize(ctx, req, body); err != nil {
		return nil, 0, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		s, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
		return nil, time.Duration(s) * time.Second, &Refusal{resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), string(answer)}
	}
	return answer, 0, err
}

func (c *Caller) authorize(ctx context.Context, req *http.Request, body []byte) error {
	if c.APIKey != "" {
		req.Header.Set("X-Api-Key", c.APIKey)
		return nil
	}
	creds, err := c.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), c.Service, c.Config.Region, time.Now())
}

// pause waits before the next try; it reports false if there is no time for one.
func pause(ctx context.Context, try int, atLeast time.Duration) bool {
	step := min(firstPause<<min(try-1, 10), maxPause)
	wait := max(atLeast, step/2+rand.N(step/2))
	if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
