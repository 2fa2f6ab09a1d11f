package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	firstWait = 250 * time.Millisecond // doubled at each try
	longWait  = 10 * time.Second
	maxCalls  = 4 // tries of a request that is not a stream
)

// A backoff spaces out the tries of one call or stream. The zero value is ready.
type backoff struct {
	tries int  // failed ones in a row
	down  bool // the caller was told of a failure, and not yet of its end
}

// wait tells the caller's notify and sleeps, for as long as the gateway asks or
// longer at every try; with jitter, so that the clients of a gateway that
// restarts do not all come back at once.
func (b *backoff) wait(ctx context.Context, c *Client, err error) error {
	d := min(firstWait<<min(b.tries, 10), longWait)
	d = d/2 + rand.N(d/2)
	if e, ok := errors.AsType[*runnel.Error](err); ok {
		d = max(d, e.RetryAfter)
	}
	b.tries++
	b.down = true
	c.notify(err, d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recovered tells the caller's notify that the gateway answers again.
func (b *backoff) recovered(c *Client) {
	if b.down {
		b.down = false
		c.notify(nil, 0)
	}
}
