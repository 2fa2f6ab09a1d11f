package echo

import (
	"context"
	"iter"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A Provider answers prompts with their own words. It holds no state.
type Provider struct{ cfg Config }

var _ runnel.Continuer = (*Provider)(nil)

// New returns an echo that behaves as cfg says.
func New(cfg Config) *Provider { return &Provider{cfg: cfg} }

// Continues implements [runnel.Continuer].
func (e *Provider) Continues() bool { return e.cfg.Prefill }

// Generate implements [runnel.Provider].
func (e *Provider) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		says := write(&e.cfg, &p)
		if says.another {
			yield(runnel.Delta{}, runnel.Errorf(runnel.Invalid, "the echo cannot go on with what it would not have said"))
			return
		}
		pace := pacer{start: time.Now(), cfg: &e.cfg}
		defer pace.stop()
		sent := 0
		for d := range says.deltas() {
			if d.End == nil {
				if e.cfg.Fail && sent == e.cfg.FailAfter {
					yield(runnel.Delta{}, runnel.Errorf(runnel.Unavailable, "the echo failed after %d tokens, as it was told to", sent))
					return
				}
				if err := pace.wait(ctx, sent); err != nil {
					yield(runnel.Delta{}, err)
					return
				}
				sent++
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// A pacer says when each token is due. It counts from the start of the stream
// and not from the last token, so that being late once does not slow the rest.
type pacer struct {
	start time.Time
	cfg   *Config
	timer *time.Timer // made when the stream first waits
}

// wait returns when token n, counted from 0, is due, or with ctx's error.
func (p *pacer) wait(ctx context.Context, n int) error {
	due := p.cfg.TTFT
	if p.cfg.TPS > 0 {
		due += time.Duration(float64(n) / p.cfg.TPS * float64(time.Second))
	}
	early := due - time.Since(p.start)
	if early <= 0 {
		return upstream.ContextError(ctx)
	}
	if p.timer == nil {
		p.timer = time.NewTimer(early)
	} else {
		p.timer.Reset(early)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		return upstream.ContextError(ctx)
	}
}

func (p *pacer) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
