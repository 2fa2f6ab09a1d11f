package modelserver

import (
	"context"
	"time"
)

// A pacer waits for the moments at which tokens are due. They are reckoned
// from the start, so that neither a late timer nor a slow write adds up.
type pacer struct {
	start    time.Time
	ttft     time.Duration
	interval float64 // between tokens, in nanoseconds
	jitter   time.Duration
	seed     uint64
	timer    *time.Timer // nil until a token had to be waited for
}

func newPacer(start time.Time, o *Options, seed uint64) *pacer {
	p := &pacer{start: start, ttft: o.TTFT, jitter: o.Jitter, seed: seed}
	if o.TPS > 0 {
		p.interval = float64(time.Second) / o.TPS
	}
	return p
}

// due returns how long after the start a token is due.
func (p *pacer) due(i int) time.Duration {
	d := p.ttft + time.Duration(float64(i)*p.interval)
	if p.jitter > 0 {
		d += time.Duration(mix(^p.seed+uint64(i)) % uint64(p.jitter))
	}
	return d
}

// wait returns when token i is due, or false when ctx is done.
func (p *pacer) wait(ctx context.Context, i int) bool {
	d := p.due(i) - time.Since(p.start)
	if d <= 0 {
		return ctx.Err() == nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return true
	case <-ctx.Done():
		p.timer.Stop()
		return false
	}
}
