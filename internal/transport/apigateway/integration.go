package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runnelhq/runnel/internal/wsapi"
)

// An Integration is somebody else's handler. It is called concurrently.
type Integration interface {
	// Invoke gives the handler an event and returns its proxy response. An error
	// means that the handler failed, or said something that is none; its cause is
	// for the log.
	Invoke(ctx context.Context, event []byte) (Response, error)
}

// A Response is what a handler answers.
type Response struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}

// OK reports whether a handler at $connect lets the client in.
func (r Response) OK() bool { return r.StatusCode >= 200 && r.StatusCode < 300 }

// An Opener makes the integration of a route of its kind.
type Opener func(route *wsapi.Route) (Integration, error)

var errNoResponse = errors.New("the handler's answer is not a proxy response")

// ParseResponse reads a proxy response: an object with a statusCode.
func ParseResponse(data []byte) (Response, error) {
	var raw struct {
		StatusCode json.RawMessage            `json:"statusCode"`
		Headers    map[string]json.RawMessage `json:"headers"`
		Body       *string                    `json:"body"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return Response{}, fmt.Errorf("%w: %w", errNoResponse, err)
	}
	var r Response
	text := string(raw.StatusCode)
	if json.Unmarshal(raw.StatusCode, &text) == nil { // some write it as a string
		raw.StatusCode = json.RawMessage(text)
	}
	if json.Unmarshal(raw.StatusCode, &r.StatusCode) != nil || r.StatusCode < 100 || r.StatusCode > 599 {
		return Response{}, errNoResponse
	}
	for name, value := range raw.Headers {
		if r.Headers == nil {
			r.Headers = make(map[string]string, len(raw.Headers))
		}
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		r.Headers[name] = s
	}
	if raw.Body != nil {
		r.Body = *raw.Body
	}
	return r, nil
}

// maxInvocation bounds a handler's time whatever the route says, as AWS Lambda does.
const maxInvocation = 15 * time.Minute
