package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/aws/aws-lambda-go/events"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

// errUnauthorized is the one text that API Gateway answers with 401.
var errUnauthorized = errors.New("Unauthorized") //nolint:staticcheck // its spelling counts

// maxClaim is the longest claim that handlers are told; a context has 8 KB.
const maxClaim = 512

// An authorizer decides about connections.
type authorizer struct{ callers *auth.Service }

// handle decides about a connection. An error other than errUnauthorized is
// answered with 500: nobody knows, then.
func (a *authorizer) handle(ctx context.Context, ev events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
	r := &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{}, RemoteAddr: ev.RequestContext.Identity.SourceIP}
	for name, value := range ev.Headers {
		r.Header.Set(name, value)
	}
	query := url.Values{}
	for name, value := range ev.QueryStringParameters {
		query.Set(name, value)
	}
	r.URL.RawQuery = query.Encode()
	c := auth.FromRequest(r)
	if c.Token == "" && c.APIKey == "" {
		return events.APIGatewayCustomAuthorizerResponse{}, errUnauthorized
	}
	c.Request = nil // nothing else of it is credentials here
	p, err := a.callers.Authenticate(ctx, c)
	switch {
	case err == nil:
		return events.APIGatewayCustomAuthorizerResponse{
			PrincipalID: p.ID, PolicyDocument: policy("Allow", ev.MethodArn), Context: claims(p),
		}, nil
	case runnel.KindOf(err) == runnel.Unavailable:
		return events.APIGatewayCustomAuthorizerResponse{}, err
	}
	return events.APIGatewayCustomAuthorizerResponse{PrincipalID: "nobody", PolicyDocument: policy("Deny", ev.MethodArn)}, nil
}

func policy(effect, resource string) events.APIGatewayCustomAuthorizerPolicy {
	return events.APIGatewayCustomAuthorizerPolicy{Version: "2012-10-17", Statement: []events.IAMPolicyStatement{
		{Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{resource}},
	}}
}

// claims returns what handlers are told of the caller: API Gateway takes strings,
// numbers and booleans only.
func claims(p *runnel.Principal) map[string]any {
	out := map[string]any{}
	for name, value := range p.Claims {
		switch v := value.(type) {
		case string:
			if len(v) <= maxClaim {
				out[name] = v
			}
		case bool, float64, json.Number:
			out[name] = v
		}
	}
	return out
}
