package bedrock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/provider/prefill"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A Provider is one model on Bedrock.
type Provider struct {
	family *family
	url    *url.URL
	auth   *authorizer
	http   bedrockruntime.HTTPClient
	goesOn bool
}

var _ runnel.Continuer = (*Provider)(nil)

// New returns the model that cfg describes.
func New(cfg Config) (*Provider, error) {
	if cfg.Model == "" {
		return nil, runnel.Errorf(runnel.Invalid, "bedrock: name a model, as in bedrock/anthropic.claude-3-sonnet-20240229-v1:0")
	}
	p := &Provider{family: &converse}
	operation := "converse-stream"
	switch {
	case cfg.Invoke:
		operation = "invoke-with-response-stream"
		var err error
		if p.family, err = chooseFamily(cfg.Model, cfg.Family); err != nil {
			return nil, err
		}
	case cfg.Family != "":
		return nil, runnel.Errorf(runnel.Invalid, "bedrock: the setting family goes with api=invoke")
	}
	p.goesOn = p.family.completes || prefill.Known("bedrock", cfg.Model)
	if cfg.Prefill != nil {
		p.goesOn = *cfg.Prefill
	}
	if cfg.AWS.Region == "" {
		return nil, runnel.Errorf(runnel.Invalid, "bedrock: there is no region; set AWS_REGION, or region= behind the model")
	}
	o := bedrockruntime.NewFromConfig(cfg.AWS, func(o *bedrockruntime.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
	}).Options()
	p.auth, p.http = newAuthorizer(o), o.HTTPClient
	var err error
	p.url, err = endpoint(context.Background(), o, cfg.Model, operation)
	return p, err
}

// Continues implements [runnel.Continuer].
func (p *Provider) Continues() bool { return p.goesOn }

// Generate implements [runnel.Provider].
func (p *Provider) Generate(ctx context.Context, prompt runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		resp, key, err := p.call(ctx, &prompt)
		if err != nil {
			yield(runnel.Delta{}, classify(ctx, err, key))
			return
		}
		defer func() {
			cancel() // first, or Close would wait for more of the answer
			_ = resp.Body.Close()
		}()
		a := answer{read: p.family.decode}
		more, err := a.run(eventstream.NewReader(resp.Body), yield)
		switch {
		case !more:
		case err != nil:
			yield(runnel.Delta{}, classify(ctx, err, key))
		case yield(runnel.Delta{End: a.end()}, nil):
			drain(resp.Body, cancel)
		}
	}
}

// call sends the prompt and returns the answer, of which nothing is read yet,
// and the key that was used, if any.
func (p *Provider) call(ctx context.Context, prompt *runnel.Prompt) (resp *http.Response, key string, err error) {
	request, err := p.family.request(prompt)
	if err != nil {
		return nil, "", err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, "", runnel.Errorf(runnel.Invalid, "the prompt holds something that is not JSON").Because(err)
	}
	if p.family == &claude { // Converse has a place of its own for them
		if body, err = upstream.Merge(body, prompt.Extra); err != nil {
			return nil, "", err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, "", fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", eventstream.ContentType)
	req.Header.Set("User-Agent", "runnel")
	runnel.TraceFrom(ctx).SetHeaders(req.Header.Set)
	if p.family != &converse {
		req.Header.Set("X-Amzn-Bedrock-Accept", "application/json")
	}
	if key, err = p.auth.authorize(ctx, req, body); err != nil {
		return nil, key, err
	}
	if resp, err = p.http.Do(req); err != nil {
		return nil, key, runnel.Errorf(runnel.Unavailable, "Bedrock cannot be reached").Because(err)
	}
	if err := check(resp); err != nil {
		_ = resp.Body.Close()
		return nil, key, err
	}
	return resp, key, nil
}

// check returns an error unless the response is a stream of messages.
func check(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return readRefusal(resp)
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != eventstream.ContentType {
		return unreadable(fmt.Errorf("content type %.80q", resp.Header.Get("Content-Type")))
	}
	return nil
}

// drain reads what is left after the last message: normally the end of the
// body, which has come in the same packet. That sets the connection free for
// the next prompt.
func drain(body io.Reader, cancel context.CancelFunc) {
	const patience, most = 50 * time.Millisecond, 64 << 10
	defer time.AfterFunc(patience, cancel).Stop()
	_, _ = io.CopyN(io.Discard, body, most)
}

// run yields the deltas of an answer until its end. more is false if the
// caller does not want any more; err says why the answer has no end.
func (a *answer) run(stream *eventstream.Reader, yield func(runnel.Delta, error) bool) (more bool, err error) {
	for !a.complete {
		m, err := stream.Read()
		switch {
		case err != nil && a.stopped: // all that can be missing is the usage
			return true, nil
		case errors.Is(err, eventstream.ErrMalformed):
			return true, unreadable(err)
		case err != nil:
			return true, runnel.Errorf(runnel.Unavailable, "Bedrock broke off its answer").Because(err)
		}
		if err := a.message(&m); err != nil {
			return true, err
		}
		for _, d := range a.deltas {
			if !yield(d, nil) {
				return false, nil
			}
		}
		a.deltas = a.deltas[:0]
	}
	return true, nil
}
