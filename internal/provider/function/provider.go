package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/provider/settings"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A Provider is one function that is a model.
type Provider struct {
	f      *function.Function
	goesOn bool
}

var _ runnel.Continuer = (*Provider)(nil)

// Opener returns how the functions of a set are opened by their names.
func Opener(set *function.Set) func(model string, values url.Values) (runnel.Provider, error) {
	return func(model string, values url.Values) (runnel.Provider, error) {
		p := new(Provider)
		s := settings.Read("function", values)
		s.Bool("prefill", &p.goesOn)
		if err := s.Done(); err != nil {
			return nil, err
		}
		var ok bool
		if p.f, ok = set.Lookup(model); !ok {
			return nil, runnel.Errorf(runnel.Invalid, "there is no function %.40q in the configuration", model)
		}
		return p, nil
	}
}

// Continues implements [runnel.Continuer]. Nobody but its author knows of a handler.
func (p *Provider) Continues() bool { return p.goesOn }

// Generate implements [runnel.Provider].
func (p *Provider) Generate(ctx context.Context, prompt runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		event, err := encode(&prompt)
		if err != nil {
			yield(runnel.Delta{}, err)
			return
		}
		call, abandon := context.WithCancel(ctx)
		defer abandon()
		resp, err := p.f.Stream(call, function.Request{Payload: event})
		if err != nil {
			yield(runnel.Delta{}, classify(ctx, err))
			return
		}
		defer resp.Body.Close()
		a, err := begin(resp, prompt.Generation)
		if err != nil {
			yield(runnel.Delta{}, classify(ctx, err))
			return
		}
		var deltas []runnel.Delta
		for {
			deltas, err = a.next(deltas[:0])
			for _, d := range deltas {
				more := yield(d, nil)
				if d.End != nil {
					finish(resp.Body, abandon)
					return
				}
				if !more {
					return
				}
			}
			if err != nil {
				yield(runnel.Delta{}, classify(ctx, err))
				return
			}
		}
	}
}

// finish reads what follows the end, normally nothing, so that the handler's
// process may go on: to close an answer before its end would kill it.
func finish(body io.Reader, abandon context.CancelFunc) {
	const patience = 500 * time.Millisecond
	defer time.AfterFunc(patience, abandon).Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 64<<10))
}

// An answer gives out deltas until it returns an error, or the delta with the end.
type answer interface {
	next(dst []runnel.Delta) ([]runnel.Delta, error)
}

// begin chooses how an answer is read.
func begin(resp *function.Response, gen runnel.GenerationID) (answer, error) {
	contentType, body := resp.ContentType, io.Reader(resp.Body)
	if function.Integrates(contentType) {
		head, first, err := function.ReadHead(body)
		if runnel.KindOf(err) == runnel.Invalid {
			err = unreadable(err)
		}
		if err != nil {
			return nil, err
		}
		if head.Status >= 400 {
			return nil, ofStatus(head.Status, first)
		}
		contentType = "text/plain"
		for name, value := range head.Headers {
			if strings.EqualFold(name, "content-type") {
				contentType = value
			}
		}
		body = io.MultiReader(bytes.NewReader(first), body)
	}
	switch mediaType, _, _ := mime.ParseMediaType(contentType); mediaType {
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return newFrames(lines(body), gen), nil
	case "text/event-stream":
		return newFrames(events(body), gen), nil
	case "application/json":
		return &whole{body: body}, nil
	case "", "application/octet-stream":
		if !resp.Streamed { // what Go's client declares of any value
			return &whole{body: body}, nil
		}
	case "text/html":
		return nil, unreadable(fmt.Errorf("content type %.80q", contentType))
	}
	return &text{body: body, buf: make([]byte, 32<<10)}, nil
}

func unreadable(err error) error {
	return runnel.Errorf(runnel.Unavailable, "the function sent something unreadable").Because(err)
}

// A failure is what a handler itself says went wrong.
type failure struct {
	kind    runnel.Kind
	message string // which may quote the prompt
}

// Error returns what is for the log.
func (f *failure) Error() string { return "the function reported a failure: " + f.kind.String() }

// Told returns the handler's own text, for whoever looks for a fault.
func (f *failure) Told() string { return f.message }

// ofStatus returns the failure that the head of an answer stands for.
func ofStatus(status int, text []byte) *failure {
	f := &failure{kind: runnel.Unavailable, message: string(text)}
	switch {
	case status == http.StatusTooManyRequests:
		f.kind = runnel.Limited
	case status < 500:
		f.kind = runnel.Invalid
	}
	return f
}

// classify returns err as a [*runnel.Error]. When ctx is done it is the reason
// for everything else.
func classify(ctx context.Context, err error) error {
	if ended := upstream.ContextError(ctx); ended != nil {
		return ended
	}
	if e, ok := errors.AsType[*runnel.Error](err); ok {
		return e
	}
	e := runnel.Errorf(runnel.Unavailable, "the function has failed").Because(fmt.Errorf("function: %w", err))
	if f, ok := errors.AsType[*failure](err); ok {
		switch e.Kind = f.kind; f.kind {
		case runnel.Limited:
			e.Msg = "the function takes no more prompts for now"
		case runnel.Invalid:
			e.Msg = "the function refused the prompt"
		}
	}
	return e
}
