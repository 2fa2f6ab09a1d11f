package runnel

import "context"

// A Principal is an authenticated caller.
type Principal struct {
	// ID is stable and unique among the callers of one gateway. Empty means
	// that nobody was asked to authenticate.
	ID string
}

type principalKey struct{}

// WithPrincipal returns a context that carries the caller.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the caller of a request; the zero value if there is none.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
