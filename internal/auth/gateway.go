package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel"
)

// gateway is the form of API Gateway's Lambda authorizers: events of type
// REQUEST, answered by a policy, or simply by isAuthorized. Its principals'
// claims are principalId and the answer's context as strings, which is what
// handlers get to see of it.
type gateway struct{ sources []source }

// newGateway takes sources that Validate has seen.
func newGateway(texts []string) gateway {
	var g gateway
	for _, text := range texts {
		if s, err := parseSource(text); err == nil {
			g.sources = append(g.sources, s)
		}
	}
	return g
}

func (g gateway) identity(c Credentials) ([]string, bool) {
	var values []string
	for _, s := range g.sources {
		value := s.of(c.Request)
		if value == "" {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

func (g gateway) question(c Credentials) any {
	event := map[string]any{
		"type": "REQUEST", "methodArn": c.resource(), "stageVariables": map[string]any{}, "requestContext": orEmpty(c.Context),
	}
	headers, query := http.Header{}, map[string][]string{}
	if c.Request != nil {
		headers = c.Request.Header.Clone()
		headers.Set("Host", c.Request.Host)
		query = c.Request.URL.Query()
	}
	event["headers"], event["multiValueHeaders"] = last(headers), headers
	event["queryStringParameters"], event["multiValueQueryStringParameters"] = last(query), query
	return event
}

// last returns the value of each name that API Gateway shows where only one fits.
func last(all map[string][]string) map[string]string {
	single := make(map[string]string, len(all))
	for name, values := range all {
		if len(values) > 0 {
			single[name] = values[len(values)-1]
		}
	}
	return single
}

func (g gateway) answer(body []byte) (answer, error) {
	var a struct {
		PrincipalID    string                     `json:"principalId"`
		PolicyDocument json.RawMessage            `json:"policyDocument"`
		IsAuthorized   *bool                      `json:"isAuthorized"`
		Context        map[string]json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	result := answer{claims: make(map[string]any, len(a.Context)+1), denied: runnel.Denied}
	for name, value := range a.Context {
		if text, ok := plain(value); ok {
			result.claims[name] = text
		}
	}
	named, _ := result.claims["principalId"].(string)
	result.claims["principalId"] = a.PrincipalID
	hasPolicy := len(a.PolicyDocument) > 0 && string(a.PolicyDocument) != "null"
	switch {
	case hasPolicy && a.IsAuthorized != nil:
		return answer{}, errors.New("read answer: it has both policyDocument and isAuthorized")
	case hasPolicy:
		if a.PrincipalID == "" {
			return answer{}, errors.New("read answer: principalId is missing")
		}
		p, err := parsePolicy(a.PolicyDocument)
		if err != nil {
			return answer{}, err
		}
		result.principal, result.allows = a.PrincipalID, p.allows
	case a.IsAuthorized != nil:
		result.principal, result.allows = named, func(string) bool { return *a.IsAuthorized }
	default:
		return answer{}, errors.New("read answer: it has neither policyDocument nor isAuthorized")
	}
	return result, nil
}

// plain returns a value of an authorizer's context as the string that handlers
// get: strings without their quotes, everything else as JSON has it.
func plain(value json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(value, &text) == nil && value[0] == '"' {
		return text, true
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, value)
	return compact.String(), err == nil && compact.String() != "null"
}

// resource returns what a policy must allow.
func (c Credentials) resource() string {
	if c.Resource != "" {
		return c.Resource
	}
	method, path := "", ""
	if c.Request != nil {
		method, path = c.Request.Method, strings.TrimPrefix(c.Request.URL.EscapedPath(), "/")
	}
	return "arn:aws:execute-api:local:000000000000:runnel/$default/" + method + "/" + path
}

// A source is a part of a request that an answer rests on.
type source struct {
	query bool
	name  string
}

// parseSource reads an identity source, with the prefix of WebSocket, REST or
// HTTP APIs.
func parseSource(text string) (source, error) {
	for _, prefix := range []string{"route.request.", "method.request.", "$request."} {
		rest, ok := strings.CutPrefix(text, prefix)
		if !ok {
			continue
		}
		switch kind, name, _ := strings.Cut(rest, "."); {
		case name == "":
		case kind == "querystring":
			return source{query: true, name: name}, nil
		case kind == "header":
			return source{name: name}, nil
		}
	}
	return source{}, fmt.Errorf("%q is not understood; allowed: route.request.querystring.NAME and route.request.header.NAME", text)
}

// of returns the source's value in r; empty if there is none. All values count
// where there are several: the authorizer sees them, too.
func (s source) of(r *http.Request) string {
	switch {
	case r == nil:
		return ""
	case s.query:
		return strings.Join(r.URL.Query()[s.name], "\x00")
	case strings.EqualFold(s.name, "host"):
		return r.Host
	}
	return strings.Join(r.Header.Values(s.name), "\x00")
}
