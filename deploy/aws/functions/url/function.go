package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/reply"
)

// A function answers requests.
type function struct {
	model   *awsfn.Model
	callers *auth.Service // nil: the URL asks itself who it is
	log     *slog.Logger
}

type (
	request  = events.LambdaFunctionURLRequest
	response = events.LambdaFunctionURLStreamingResponse
)

// handle answers a request as soon as the first piece of the answer, or a failure,
// is there. A failure after it breaks the stream, so that nobody takes half an
// answer for a whole one.
func (f *function) handle(ctx context.Context, r request) (*response, error) {
	prompt, err := f.admit(ctx, &r)
	if err != nil {
		return refuse(err), nil
	}
	body, w := io.Pipe()
	first := make(chan error, 1) // how it begins; holds one
	go func() {
		began := false
		err := f.model.Ask(ctx, prompt, func(_ context.Context, text string) error {
			if !began {
				began = true
				first <- nil
			}
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			f.log.WarnContext(ctx, "an answer is not complete", "kind", runnel.KindOf(err).String(), "err", err)
		}
		if !began {
			first <- err
		}
		w.CloseWithError(err)
	}()
	select {
	case err := <-first:
		if err != nil {
			return refuse(modelError(err)), nil
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return &response{
		StatusCode: http.StatusOK, Body: body,
		Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache"},
	}, nil
}

// admit returns the prompt of somebody who may ask.
func (f *function) admit(ctx context.Context, r *request) (string, error) {
	if f.callers != nil {
		h := http.Header{}
		for name, value := range r.Headers {
			h.Set(name, value)
		}
		c := auth.FromRequest(&http.Request{Header: h})
		c.Request = nil // nothing else of it is credentials here
		if _, err := f.callers.Authenticate(ctx, c); err != nil {
			return "", err
		}
	}
	if r.RequestContext.HTTP.Method != http.MethodPost {
		return "", reply.StatusError{Status: http.StatusMethodNotAllowed, Err: runnel.Errorf(runnel.Invalid, "the method must be POST")}
	}
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return "", runnel.Errorf(runnel.Invalid, "the body is not base64").Because(err)
		}
	}
	var in struct {
		Prompt string `json:"prompt"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", runnel.Errorf(runnel.Invalid, `the body must be {"prompt": "…"}`).Because(err)
	}
	if strings.TrimSpace(in.Prompt) == "" {
		return "", runnel.Errorf(runnel.Invalid, "the prompt is empty")
	}
	return in.Prompt, nil
}

// modelError gives a failure before the first text its status: it is the model's,
// not the request's, and may pass or not.
func modelError(err error) error {
	status := http.StatusBadGateway
	if kind := runnel.KindOf(err); kind == runnel.Limited || kind == runnel.Unavailable {
		status = http.StatusServiceUnavailable
	}
	return reply.StatusError{Status: status, Err: err}
}

// refuse answers with a failure.
func refuse(err error) *response {
	body, _ := json.Marshal(map[string]string{"error": runnel.PublicMessage(err)}) // strings always encode
	return &response{StatusCode: reply.Status(err), Headers: map[string]string{"Content-Type": "application/json"}, Body: bytes.NewReader(body)}
}
