package apigateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/runnelhq/runnel/internal/wsapi"
)

// maxResponse is how long a handler's response may be: that of a message, with
// room for what JSON makes of it.
const maxResponse = 1 << 20

var errFunction = errors.New("apigateway: the function has failed")

// An endpoint is a handler behind HTTP: it gets the event as the body of a POST,
// and answers with its proxy response. One that answers with nothing, or with a
// status of 400 to 499, is understood, too.
type endpoint struct {
	url    string
	client *http.Client
}

// NewEndpoints returns what opens integrations of the kind http.
func NewEndpoints(client *http.Client) Opener {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(route *wsapi.Route) (Integration, error) {
		return &endpoint{url: route.URL, client: &own}, nil
	}
}

// Invoke implements [Integration].
func (e *endpoint) Invoke(ctx context.Context, ev []byte) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(ev))
	if err != nil {
		return Response{}, fmt.Errorf("apigateway: invoke: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return Response{}, fmt.Errorf("apigateway: invoke: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return Response{}, fmt.Errorf("apigateway: read response: %w", err)
	case len(data) > maxResponse:
		return Response{}, fmt.Errorf("apigateway: the response has more than %d bytes", maxResponse)
	case resp.Header.Get("X-Amz-Function-Error") != "": // a function that is invoked by URL
		return Response{}, errFunction // without its words: they may hold what the client has asked
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return Response{StatusCode: resp.StatusCode}, nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return Response{}, fmt.Errorf("apigateway: the handler answers with %s", resp.Status)
	case len(bytes.TrimSpace(data)) == 0:
		return Response{StatusCode: resp.StatusCode}, nil
	}
	r, err := ParseResponse(data)
	if err != nil {
		return Response{}, fmt.Errorf("apigateway: %w", err)
	}
	return r, nil
}
