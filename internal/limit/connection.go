package limit

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Connection is a place that a caller takes up until nobody holds it any more.
// Its methods may be called on nil, which is no place.
type Connection struct {
	limiter *Limiter
	account *account
	holders atomic.Int32
}

// Release gives the place back, unless somebody else holds it.
func (c *Connection) Release() {
	if c == nil || c.holders.Add(-1) > 0 {
		return
	}
	l := c.limiter
	l.mu.Lock()
	c.account.connections--
	l.mu.Unlock()
	l.release(c.account)
}

type connectionKey struct{}

// WithConnection returns a context of a request that takes up the place.
func WithConnection(ctx context.Context, c *Connection) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

// Hold keeps the place that a request takes up, also after the request has been
// answered, until release is called, once or more often. It is for streams that
// leave the handler they began in.
func Hold(ctx context.Context) (release func()) {
	c, ok := ctx.Value(connectionKey{}).(*Connection)
	if !ok {
		return func() {}
	}
	c.holders.Add(1)
	return sync.OnceFunc(c.Release)
}
