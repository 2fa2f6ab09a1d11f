package appsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/peer"
)

// maxRemote bounds the answers of endpoints.
const maxRemote = 5 << 20

// function returns what asks a function, as AppSync's direct resolvers do.
func (h *Handler) function(b *binding) (graphql.Resolver, error) {
	if h.cfg.Functions == nil {
		return nil, errors.New("there are no functions")
	}
	fn, ok := h.cfg.Functions.Lookup(b.Function)
	if !ok {
		return nil, fmt.Errorf("there is no function %q", b.Function)
	}
	return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
		r := function.Request{Payload: h.resolverEvent(ctx, f)}
		if b.Async {
			if err := h.cfg.Functions.Enqueue(fn, r); err != nil {
				return graphql.Value{}, err
			}
			return b.result.fill(&scope{at: h.now(), args: f.Args, locale: h.api.Locale}), nil
		}
		ctx, cancel := within(ctx, b.Timeout)
		defer cancel()
		res, err := fn.Invoke(ctx, r)
		if ctx.Err() != nil {
			return graphql.Value{}, &graphql.Error{Type: "Lambda:ExecutionTimeoutException", Message: "Execution timed out."}
		}
		if err != nil {
			return graphql.Value{}, err
		}
		if res.Failure != nil {
			return graphql.Value{}, &graphql.Error{Type: "Lambda:Unhandled", Message: res.Failure.Message}
		}
		return graphql.ParseJSON(res.Payload)
	}, nil
}

func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// endpoint returns what asks somebody else, with the event that a function gets.
func (h *Handler) endpoint(b *binding) graphql.Resolver {
	return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
		ctx, cancel := within(ctx, b.Timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URL, bytes.NewReader(h.resolverEvent(ctx, f)))
		if err != nil {
			return graphql.Value{}, fmt.Errorf("appsync: ask endpoint: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		resp, err := h.cfg.Client.Do(req)
		if err != nil {
			return graphql.Value{}, runnel.Errorf(runnel.Unavailable, "the endpoint does not answer").Because(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxRemote+1))
		switch {
		case err != nil:
			return graphql.Value{}, runnel.Errorf(runnel.Unavailable, "the endpoint does not answer").Because(err)
		case len(data) > maxRemote:
			return graphql.Value{}, runnel.Errorf(runnel.Unavailable, "the endpoint's answer has more than %d bytes", maxRemote)
		case resp.StatusCode < 200 || resp.StatusCode > 299:
			return graphql.Value{}, runnel.Errorf(runnel.Unavailable, "the endpoint answers with status %d", resp.StatusCode)
		case len(bytes.TrimSpace(data)) == 0:
			return graphql.Null(), nil
		}
		v, err := graphql.ParseJSON(data)
		if err != nil {
			return graphql.Value{}, runnel.Errorf(runnel.Unavailable, "the endpoint's answer is not JSON").Because(err)
		}
		return v, nil
	}
}

type requestKey struct{}

// resolverEvent is what a function gets to know of a field.
func (h *Handler) resolverEvent(ctx context.Context, f *graphql.Field) []byte {
	headers := map[string]string{}
	var address string
	if r, ok := ctx.Value(requestKey{}).(*http.Request); ok {
		for name, values := range r.Header {
			if name != "Cookie" {
				headers[strings.ToLower(name)] = strings.Join(values, ", ")
			}
		}
		address = peer.Addr(r).String()
	}
	return encode(map[string]any{
		"arguments": f.Args, "identity": identityOf(runnel.PrincipalFrom(ctx), address), "source": nil, "prev": nil, "stash": map[string]any{},
		"request": map[string]any{"headers": headers, "domainName": nil},
		"info": map[string]any{
			"fieldName": f.Name, "parentTypeName": f.Parent, "variables": f.Variables,
			"selectionSetList": f.SelectionSetList(), "selectionSetGraphQL": f.SelectionSetGraphQL(),
		},
	})
}

// identityOf returns what AppSync tells functions about a caller.
func identityOf(p *runnel.Principal, address string) any {
	claim := func(name string) any { return p.Claims[name] }
	switch p.Scheme {
	case auth.SchemeCognito:
		username := claim("username")
		if username == nil {
			username = claim("cognito:username")
		}
		return map[string]any{
			"sub": claim("sub"), "issuer": claim("iss"), "username": username, "claims": p.Claims, "groups": p.Groups,
			"sourceIp": []string{address}, "defaultAuthStrategy": "ALLOW",
		}
	case auth.SchemeOIDC:
		return map[string]any{"sub": claim("sub"), "issuer": claim("iss"), "claims": p.Claims}
	case auth.SchemeSigV4:
		return map[string]any{
			"accountId": "000000000000", "username": p.ID, "userArn": claim("arn"), "sourceIp": []string{address},
			"cognitoIdentityPoolId": nil, "cognitoIdentityId": nil, "cognitoIdentityAuthType": nil, "cognitoIdentityAuthProvider": nil,
		}
	case auth.SchemeWebhook:
		return map[string]any{"resolverContext": claim("resolverContext")}
	}
	return nil
}

// callerOf returns a principal as the schema's directives see it.
func callerOf(p *runnel.Principal) graphql.Caller {
	c := graphql.Caller{Mode: modeOf(p), Groups: p.Groups}
	if denied, ok := p.Claims["deniedFields"].([]string); ok {
		c.DeniedFields = denied
	}
	return c
}

func modeOf(p *runnel.Principal) graphql.Mode {
	switch p.Scheme {
	case auth.SchemeKey:
		return graphql.ModeAPIKey
	case auth.SchemeSigV4:
		return graphql.ModeIAM
	case auth.SchemeCognito:
		return graphql.ModeCognito
	case auth.SchemeOIDC:
		return graphql.ModeOIDC
	case auth.SchemeWebhook:
		return graphql.ModeLambda
	}
	return graphql.ModeUnchecked // nobody is asked
}
