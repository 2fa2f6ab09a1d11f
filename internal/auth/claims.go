package auth

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"github.com/runnelhq/runnel"
)

// What a token is used for, in Cognito's words.
const (
	useID     = "id"
	useAccess = "access"
	useAny    = "any"
)

// tokenType returns what the header says about a token's use, if anything. It
// reports false for a JWT that is not meant to be shown to us at all, such as
// a logout token: an issuer signs them with the same keys.
func tokenType(head jose.Header) (use string, ok bool) {
	text, _ := head.ExtraHeaders[jose.HeaderType].(string)
	switch strings.TrimPrefix(strings.ToLower(text), "application/") {
	case "", "jwt":
		return "", true
	case "at+jwt":
		return useAccess, true
	}
	return "", false
}

// claims are the members of a token's payload.
type claims map[string]any

// parseClaims reads a payload. A member that is there twice is an error:
// another reader may have taken the other one.
func parseClaims(payload []byte) (claims, error) {
	var c claims
	if err := josejson.Unmarshal(payload, &c); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errors.New("the payload is null")
	}
	return c, nil
}

// text returns a string; false if it is something else. A claim that is
// missing is empty.
func (c claims) text(name string) (string, bool) {
	if c[name] == nil {
		return "", true
	}
	s, ok := c[name].(string)
	return s, ok
}

// texts returns a list of strings, of which issuers write a single one plainly.
func (c claims) texts(name string) ([]string, bool) {
	switch v := c[name].(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	return nil, false
}

// instant returns a point in time; the zero one if the claim is missing.
func (c claims) instant(name string) (time.Time, bool) {
	if c[name] == nil {
		return time.Time{}, true
	}
	seconds, ok := c[name].(float64)
	if !ok || seconds < 0 || seconds > 253402300799 { // the end of the year 9999
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// groups returns the list at a name, or, as Keycloak's realm_access.roles, at a
// path of names.
func (c claims) groups(name string) ([]string, bool) {
	if first, rest, found := strings.Cut(name, "."); found && c[name] == nil {
		inner, ok := c[first].(map[string]any)
		if !ok {
			return nil, c[first] == nil
		}
		return claims(inner).groups(rest)
	}
	return c.texts(name)
}

// scopes returns what the token allows: scope, separated by spaces, or scp.
func (c claims) scopes() ([]string, bool) {
	for _, name := range []string{"scope", "scp"} {
		if c[name] != nil {
			list, ok := c.texts(name)
			return strings.Fields(strings.Join(list, " ")), ok
		}
	}
	return nil, true
}

// admit returns the principal of a token whose signature holds, if it is for
// us, and now. The header has said what use it is for, or nothing.
func (is *issuer) admit(c claims, use string, now time.Time) (*runnel.Principal, error) {
	if named, ok := c.text("iss"); !ok || canonicalIssuer(named) != is.name {
		return nil, refuse(is.scheme, reasonIssuer, errBad)
	}
	sub, ok := c.text("sub")
	if !ok || sub == "" || len(sub) > maxSubject || strings.ContainsFunc(sub, unicode.IsControl) {
		return nil, refuse(is.scheme, reasonMalformed, errBad)
	}
	id := "user:" + is.name + "#" + sub
	groups, ok := c.groups(is.cfg.GroupClaim)
	expires, err := is.when(c, now)
	switch {
	case err != nil:
		return nil, err.of(id)
	case !ok:
		return nil, refuse(is.scheme, reasonMalformed, errBad).of(id)
	}
	for _, check := range []func(claims, string) *refusal{is.checkUse, is.checkAudience, is.checkScopes} {
		if err := check(c, use); err != nil {
			return nil, err.of(id)
		}
	}
	if len(is.cfg.Groups) > 0 && !overlap(groups, is.cfg.Groups) {
		return nil, refuse(is.scheme, reasonGroup, runnel.Errorf(runnel.Denied, "the caller is in none of the groups that may do this")).of(id)
	}
	return &runnel.Principal{
		ID: id, Service: is.cfg.Service, Scheme: is.scheme, Groups: groups, Grants: granted(is.cfg.Grants, groups),
		Claims: c, Expires: expires, Revoked: is.lease.done(),
	}, nil
}

// when returns until when a token counts.
func (is *issuer) when(c claims, now time.Time) (time.Time, *refusal) {
	exp, ok := c.instant("exp")
	nbf, ok2 := c.instant("nbf")
	if !ok || !ok2 || exp.IsZero() {
		return exp, refuse(is.scheme, reasonMalformed, errBad)
	}
	exp = exp.Add(is.cfg.Leeway)
	if !now.Before(exp) {
		return exp, refuse(is.scheme, reasonExpired, errExpired)
	}
	if now.Add(max(is.cfg.Leeway, clockSkew)).Before(nbf) {
		return exp, refuse(is.scheme, reasonNotYetValid, errNotYetValid)
	}
	return exp, nil
}

func (is *issuer) checkUse(c claims, use string) *refusal {
	named, ok := c.text("token_use")
	if use == "" {
		use = named
	}
	if ok && (named == "" || named == use) {
		switch is.cfg.TokenUse {
		case "", useAny:
			if use == "" || use == useID || use == useAccess {
				return nil
			}
		case use:
			return nil
		}
	}
	return refuse(is.scheme, reasonTokenUse, errBad)
}

// checkAudience asks whom the token is for. An access token of Cognito names
// nobody but its client.
func (is *issuer) checkAudience(c claims, _ string) *refusal {
	aud, ok := c.texts("aud")
	clients, ok2 := c.texts("client_id")
	azp, ok3 := c.texts("azp")
	if len(clients) == 0 {
		clients = azp
	}
	if len(clients) == 0 {
		clients = aud // of an ID token
	}
	meant := len(is.cfg.Audiences) == 0 || overlap(aud, is.cfg.Audiences) || overlap(aud, is.cfg.ClientIDs) ||
		len(aud) == 0 && len(is.cfg.ClientIDs) > 0
	trusted := len(is.cfg.ClientIDs) == 0 || overlap(clients, is.cfg.ClientIDs)
	if !ok || !ok2 || !ok3 || !meant || !trusted {
		return refuse(is.scheme, reasonAudience, errBad)
	}
	return nil
}

func (is *issuer) checkScopes(c claims, _ string) *refusal {
	scopes, ok := c.scopes()
	if !ok {
		return refuse(is.scheme, reasonMalformed, errBad)
	}
	for _, s := range is.cfg.Scopes {
		if !slices.Contains(scopes, s) {
			return refuse(is.scheme, reasonScope, runnel.Errorf(runnel.Denied, "the credentials lack the scope %q", s))
		}
	}
	return nil
}

// overlap reports whether the lists share an entry.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
