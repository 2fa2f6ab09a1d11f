package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// appSync is the form of AppSync's Lambda authorizers. Its principals' claims
// are resolverContext, an object, and deniedFields, a list.
type appSync struct{}

func (appSync) identity(c Credentials) ([]string, bool) {
	return []string{c.Token}, c.Token != ""
}

func (appSync) question(c Credentials) any {
	headers := map[string]string{}
	if c.Request != nil {
		for name, values := range c.Request.Header {
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return map[string]any{"authorizationToken": c.Token, "requestContext": orEmpty(c.Context), "requestHeaders": headers}
}

func (appSync) answer(body []byte) (answer, error) {
	var a struct {
		IsAuthorized    *bool          `json:"isAuthorized"`
		ResolverContext map[string]any `json:"resolverContext"`
		DeniedFields    []string       `json:"deniedFields"`
		TTLOverride     *float64       `json:"ttlOverride"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	if a.IsAuthorized == nil {
		return answer{}, errors.New("read answer: isAuthorized is missing")
	}
	// AppSync has no name for the caller; the context is where one can be given.
	principal, _ := a.ResolverContext["principalId"].(string)
	result := answer{
		principal: principal,
		claims:    map[string]any{"resolverContext": orEmpty(a.ResolverContext), "deniedFields": a.DeniedFields},
		allows:    func(string) bool { return *a.IsAuthorized },
		denied:    runnel.Unauthenticated,
	}
	if a.TTLOverride != nil {
		seconds := max(0, min(*a.TTLOverride, maxTTL.Seconds()))
		ttl := time.Duration(seconds * float64(time.Second))
		result.ttl = &ttl
	}
	return result, nil
}

// orEmpty makes a missing object one without members.
func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
