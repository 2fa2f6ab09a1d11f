package runnel

import (
	"context"
	"path"
	"slices"
	"time"
)

// A Principal is an authenticated caller.
type Principal struct {
	// ID is stable and unique among the callers of one gateway, across schemes.
	// Empty means that nobody was asked to authenticate.
	ID string

	// Service is true for a caller that acts for others, such as a backend
	// with an API key: it may touch any session, and owns none. A session
	// belongs to the first principal that uses it and is not a service.
	Service bool

	// Account is to whose limits it counts what it uses. Empty means its own.
	Account string

	Scheme string   // how it authenticated, such as "api_key" or "oidc"
	Groups []string // as its issuer says
	// Grants say what it may do. None means everything but administration.
	Grants []Grant
	// Claims are what its token or authorizer said besides. The core does not
	// look at them; doors hand them on.
	Claims map[string]any

	// Expires is when the credentials end; the zero time is never.
	Expires time.Time
	// Revoked is closed when the credentials are withdrawn; nil is never.
	Revoked <-chan struct{}
}

// An Action is something that a principal may be allowed to do.
type Action string

// The actions.
const (
	Submit  Action = "submit"  // hand in prompts
	Read    Action = "read"    // follow sessions, see transcripts and generations
	Cancel  Action = "cancel"  // stop generations
	Publish Action = "publish" // append events from outside
	Manage  Action = "manage"  // post to other clients' connections, and close them
	Admin   Action = "admin"   // see and stop everybody's
)

// A Grant allows actions on sessions.
type Grant struct {
	Actions []Action
	// Sessions are patterns of session ids as [path.Match] has them. None
	// means all.
	Sessions []string
}

// May reports whether p is allowed to do a to the session, as far as its grants
// go. Who owns the session is another question.
func (p *Principal) May(a Action, id SessionID) bool {
	if len(p.Grants) == 0 {
		return a != Admin
	}
	for i := range p.Grants {
		if p.Grants[i].covers(a, id) {
			return true
		}
	}
	return false
}

// covers is asked for every batch of events that a reader gets.
func (g *Grant) covers(a Action, id SessionID) bool {
	if !slices.Contains(g.Actions, a) {
		return false
	}
	for _, pattern := range g.Sessions {
		if ok, err := path.Match(pattern, string(id)); ok && err == nil {
			return true
		}
	}
	return len(g.Sessions) == 0
}

type principalKey struct{}

// WithPrincipal returns a context that carries the caller, whom nobody may
// change from here on.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// nobody is the caller when nobody was asked to authenticate.
var nobody = &Principal{}

// PrincipalFrom returns the caller of a request; an empty one if there is none.
func PrincipalFrom(ctx context.Context) *Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return p
	}
	return nobody
}
