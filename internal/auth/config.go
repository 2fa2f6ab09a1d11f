package auth

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/peer"
)

// Config says who may use the gateway. The zero value asks nobody.
type Config struct {
	Keys    []Key    `yaml:"keys"`
	Issuers []Issuer `yaml:"issuers"`
	Webhook *Webhook `yaml:"webhook"`

	// Signatures returns whose AWS signature a request carries, if it is good.
	// Nil: signatures are not understood.
	Signatures func(Credentials) (*runnel.Principal, error) `yaml:"-"`
	// Origins are the web origins, besides our own, whose pages may use the
	// cookie that an issuer names.
	Origins peer.Origins `yaml:"-"`
}

// A Key is an API key.
type Key struct {
	Name    string    `yaml:"name"`
	Hash    string    `yaml:"hash"`    // as [HashKey] returns it
	Expires time.Time `yaml:"expires"` // zero: never
	// User makes the key stand for one user, who owns the sessions it begins.
	// Otherwise it is a service's, which may touch any session.
	User   bool    `yaml:"user"`
	Grants []Grant `yaml:"grants"` // none: everything but administration
}

// An Issuer issues tokens: an OIDC provider or a Cognito user pool.
type Issuer struct {
	Issuer   string `yaml:"issuer"`    // as in the tokens' iss
	JWKSURL  string `yaml:"jwks_url"`  // where its keys are; empty: discovered
	JWKSFile string `yaml:"jwks_file"` // its keys themselves, in place of a URL

	// A token must be meant for us: its aud one of Audiences, its client one
	// of ClientIDs. At least one of the lists is needed.
	Audiences []string `yaml:"audiences"`
	ClientIDs []string `yaml:"client_ids"`
	TokenUse  string   `yaml:"token_use"` // id, access or any; empty: any

	Groups     []string `yaml:"groups"`      // one of them is required
	GroupClaim string   `yaml:"group_claim"` // empty: cognito:groups for Cognito, groups otherwise
	Scopes     []string `yaml:"scopes"`      // all of them are required

	// Leeway is for how long a token counts after its end, and before its
	// beginning; the latter at least five seconds.
	Leeway time.Duration `yaml:"leeway"`
	Cookie string        `yaml:"cookie"` // the name of a cookie that may hold the token

	// SignIn lets people sign in with the issuer on the chat page. One issuer at
	// most has it.
	SignIn *SignIn `yaml:"sign_in"`

	// Service lets its tokens' holders touch any session.
	Service bool    `yaml:"service"`
	Grants  []Grant `yaml:"grants"` // none: everything but administration
}

// A SignIn says as what the chat page asks an issuer for tokens: a public client,
// which has no secret.
type SignIn struct {
	ClientID string `yaml:"client_id"`
	Scope    string `yaml:"scope"`    // empty: openid
	Resource string `yaml:"resource"` // what the token is for, where issuers want to be told so (RFC 8707)
	Audience string `yaml:"audience"` // the same, where it has that name
	Token    string `yaml:"token"`    // which token the page shows: id or access; empty: access
}

// Cognito reports whether the issuer is a Cognito user pool.
func (i Issuer) Cognito() bool { return strings.HasPrefix(canonicalIssuer(i.Issuer), cognitoPrefix) }

// The forms of [Webhook] requests and responses.
const (
	FormAppSync    = "appsync"
	FormAPIGateway = "apigateway"
)

// A Webhook decides about credentials that no other scheme knows.
type Webhook struct {
	URL  string `yaml:"url"`
	Form string `yaml:"form"` // appsync or apigateway
	// IdentitySources are what the decision rests on, in API Gateway's words,
	// such as route.request.querystring.token. A request without one of them
	// is refused unasked; the answer is kept for one that has the same. In the
	// AppSync form the authorization token is the source, and none is named.
	IdentitySources []string `yaml:"identity_sources"`
	// TTL is how long an answer is kept, unless it says so itself; zero is
	// not at all. Without identity sources no answer is kept.
	TTL     time.Duration `yaml:"ttl"`
	Timeout time.Duration `yaml:"timeout"` // zero: 5 s

	Service bool    `yaml:"service"` // its principals may touch any session
	Grants  []Grant `yaml:"grants"`  // none: everything but administration
}

// A Grant allows actions on sessions.
type Grant struct {
	Actions  []runnel.Action `yaml:"actions"`
	Sessions []string        `yaml:"sessions"` // patterns of ids, as [path.Match] has them; none: all
	Groups   []string        `yaml:"groups"`   // for members of one of them; none: for all
}

// Enabled reports whether anybody is asked for credentials.
func (c Config) Enabled() bool {
	return len(c.Keys) > 0 || len(c.Issuers) > 0 || c.Webhook != nil || c.Signatures != nil
}

// Validate returns what is wrong first, with its place and what is allowed there.
func (c Config) Validate() error {
	names, digests := map[string]bool{}, map[[32]byte]bool{}
	for i, k := range c.Keys {
		digest, err := k.validate()
		switch {
		case err != nil:
		case names[k.Name]:
			err = fmt.Errorf("name: another key is called %q", k.Name)
		case digests[digest]:
			err = errors.New("hash: another key has the same")
		}
		if err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
		names[k.Name], digests[digest] = true, true
	}
	issuers := map[string]bool{}
	signIn := false
	for i, is := range c.Issuers {
		err := is.validate()
		switch {
		case err != nil:
		case issuers[canonicalIssuer(is.Issuer)]:
			err = fmt.Errorf("issuer: %s is listed twice", is.Issuer)
		case is.SignIn != nil && signIn:
			err = errors.New("sign_in: the page signs in with one issuer only, and another has it already")
		}
		signIn = signIn || is.SignIn != nil
		if err != nil {
			return fmt.Errorf("issuers[%d].%w", i, err)
		}
		issuers[canonicalIssuer(is.Issuer)] = true
	}
	if c.Webhook != nil {
		if err := c.Webhook.validate(); err != nil {
			return fmt.Errorf("webhook.%w", err)
		}
	}
	return nil
}

func (k Key) validate() (digest [32]byte, err error) {
	if k.Name == "" || len(k.Name) > maxName || strings.ContainsFunc(k.Name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return digest, fmt.Errorf("name: %q must be 1 to %d bytes without spaces", k.Name, maxName)
	}
	if digest, err = parseHash(k.Hash); err != nil {
		return digest, fmt.Errorf("hash: %w", err)
	}
	return digest, validateGrants(k.Grants, false)
}

func (is Issuer) validate() error {
	if err := validateURL(is.Issuer, true); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if is.JWKSURL != "" {
		if is.JWKSFile != "" {
			return errors.New("jwks_file: allowed without jwks_url only")
		}
		if err := validateURL(is.JWKSURL, true); err != nil {
			return fmt.Errorf("jwks_url: %w", err)
		}
	}
	if len(is.Audiences) == 0 && len(is.ClientIDs) == 0 {
		return errors.New("audiences: name at least one, or a client in client_ids; tokens for other applications would be accepted otherwise")
	}
	if slices.Contains(slices.Concat(is.Audiences, is.ClientIDs, is.Groups, is.Scopes), "") {
		return errors.New("issuer: one of audiences, client_ids, groups and scopes has an empty entry")
	}
	if !slices.Contains([]string{"", useID, useAccess, useAny}, is.TokenUse) {
		return fmt.Errorf("token_use: %q is not one of the allowed words; allowed: id, access or any", is.TokenUse)
	}
	if is.Leeway < 0 || is.Leeway > maxLeeway {
		return fmt.Errorf("leeway: %v is out of range; allowed: 0s to %v", is.Leeway, maxLeeway)
	}
	if is.SignIn != nil {
		if err := is.SignIn.validate(is.ClientIDs); err != nil {
			return fmt.Errorf("sign_in.%w", err)
		}
	}
	return validateGrants(is.Grants, true)
}

// validate checks a sign-in of an issuer that accepts tokens of the given clients.
func (s SignIn) validate(clients []string) error {
	if s.ClientID == "" {
		return errors.New("client_id: name the client that the page is to the issuer")
	}
	if len(clients) > 0 && !slices.Contains(clients, s.ClientID) {
		return fmt.Errorf("client_id: %q is not one of client_ids: its tokens would be refused", s.ClientID)
	}
	if s.Scope != "" && !slices.Contains(strings.Fields(s.Scope), scopeOpenID) {
		return fmt.Errorf("scope: %q lacks %s", s.Scope, scopeOpenID)
	}
	if !slices.Contains([]string{"", useID, useAccess}, s.Token) {
		return fmt.Errorf("token: %q is not one of the allowed words; allowed: id or access", s.Token)
	}
	return nil
}

func (w Webhook) validate() error {
	if u, err := url.Parse(w.URL); err != nil || u.Scheme != "function" || u.Host == "" { // which the client knows
		if err := validateURL(w.URL, false); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	switch w.Form {
	case FormAPIGateway:
		for _, text := range w.IdentitySources {
			if _, err := parseSource(text); err != nil {
				return fmt.Errorf("identity_sources: %w", err)
			}
		}
	case FormAppSync:
		if len(w.IdentitySources) > 0 {
			return errors.New("identity_sources: allowed with the form apigateway only; with appsync it is the authorization token")
		}
	default:
		return fmt.Errorf("form: %q is not one of the allowed words; allowed: appsync or apigateway", w.Form)
	}
	if w.TTL < 0 || w.TTL > maxTTL {
		return fmt.Errorf("ttl: %v is out of range; allowed: 0s to %v", w.TTL, maxTTL)
	}
	if w.Timeout != 0 && (w.Timeout < minTimeout || w.Timeout > maxTimeout) {
		return fmt.Errorf("timeout: %v is out of range; allowed: %v to %v", w.Timeout, minTimeout, maxTimeout)
	}
	return validateGrants(w.Grants, false)
}

// validateURL accepts absolute URLs. With secure set they must be https, except
// on this machine: whoever can change an issuer's keys on their way is everybody.
func validateURL(text string, secure bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("%q must look like https://host/path", text)
	}
	if secure && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return fmt.Errorf("%q must begin with https://; http is for this machine only", text)
	}
	return nil
}

// validateGrants checks grants of callers who may have groups or not.
func validateGrants(grants []Grant, grouped bool) error {
	for i, g := range grants {
		if len(g.Actions) == 0 {
			return fmt.Errorf("grants[%d].actions: name at least one; allowed: %s", i, actionList())
		}
		for _, a := range g.Actions {
			if !slices.Contains(actions(), a) {
				return fmt.Errorf("grants[%d].actions: %q is not one of the allowed words; allowed: %s", i, a, actionList())
			}
		}
		for _, p := range g.Sessions {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				return fmt.Errorf("grants[%d].sessions: %q is not a pattern; *, ? and [a-z] are understood", i, p)
			}
		}
		if len(g.Groups) > 0 && !grouped {
			return fmt.Errorf("grants[%d].groups: only the tokens of issuers have groups", i)
		}
	}
	return nil
}

func actions() []runnel.Action {
	return []runnel.Action{runnel.Submit, runnel.Read, runnel.Cancel, runnel.Publish, runnel.Manage, runnel.Admin}
}

func actionList() string {
	var words []string
	for _, a := range actions() {
		words = append(words, string(a))
	}
	return strings.Join(words, ", ")
}
