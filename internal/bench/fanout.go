package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/modelserver"
	"github.com/runnelhq/runnel/internal/sse"
)

const fanOutRate = 50 // events per second

// fanOutTargets are the longest p99 by the number of viewers.
func fanOutTargets() map[int]time.Duration {
	return map[int]time.Duration{1000: 12 * time.Millisecond, 5000: 250 * time.Millisecond}
}

// measureFanOut shows one answer to many viewers.
func (s *suite) measureFanOut(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("One answer of %d tokens per second, each an event of its own (`--flush-interval 0s`), and SSE viewers of its session; "+
		"from the moment at which the model server writes a token to the one at which a viewer reads it. "+
		"The viewers are in the process that measures, on the same cores; its share of them is in the table.", fanOutRate)
	out.Head = []string{"viewers", "events delivered", "p50", "p90", "p99", "max", "cores: gateway", "cores: viewers"}
	for _, n := range s.plan.audiences {
		r, err := s.fanOut(ctx, n, openEvents)
		if err != nil {
			return err
		}
		s.say("  %d viewers: p50 %s, p99 %s", n, millis(r.p50), millis(r.p99))
		out.row(fmt.Sprint(n), fmt.Sprint(r.n), millis(r.p50), millis(r.p90), millis(r.p99), millis(r.max),
			fmt.Sprintf("%.2f", r.gateway), fmt.Sprintf("%.2f", r.here))
		what := fmt.Sprintf("fan-out of one session at %d events/s to %d viewers, p99", fanOutRate, n)
		if target, ok := fanOutTargets()[n]; ok {
			out.check(what, millis(r.p99), fmt.Sprintf("< %d ms", target.Milliseconds()), r.p99 < target)
		} else {
			out.find(what, millis(r.p99))
		}
	}
	return nil
}

// A fanOutResult has the delays, and how many cores were busy.
type fanOutResult struct {
	dist
	gateway, here float64
}

func (s *suite) fanOut(ctx context.Context, n int, open opener, settings ...string) (r fanOutResult, err error) {
	gateway, err := s.gateway(ctx, append(settings, "--model", modelSetting(s.model.url), "--flush-interval", "0s")...)
	if err != nil {
		return r, err
	}
	defer gateway.kill()
	session := s.freshSession()
	viewers, err := openViewers(ctx, gateway.url, n, open, func(int) string { return session })
	defer closeViewers(viewers)
	if err != nil {
		return r, err
	}

	story := answer{fanOutRate, int(fanOutRate * s.plan.fanOutTime.Seconds())}
	begin := time.Now()
	var meters errgroup.Group
	meter := func(pid int, cores *float64) {
		meters.Go(func() error {
			used, err := cpuBetween(ctx, pid, begin, begin.Add(s.plan.fanOutTime))
			*cores = used.Seconds() / s.plan.fanOutTime.Seconds()
			return err
		})
	}
	meter(gateway.cmd.Process.Pid, &r.gateway)
	meter(os.Getpid(), &r.here)

	samples := make([][]time.Duration, n)
	var watching errgroup.Group
	for i, v := range viewers {
		watching.Go(func() (err error) {
			samples[i], err = v.watch(story.tokens)
			return err
		})
	}
	err = s.submit(ctx, gateway, session, story.prompt())
	if err != nil {
		closeViewers(viewers) // nothing will come
	}
	if werr := watching.Wait(); err == nil {
		err = werr
	}
	if merr := meters.Wait(); err == nil {
		err = merr
	}
	r.dist = summarize(slices.Concat(samples...))
	return r, err
}

// watch follows a session until its answer has ended, and returns how long each
// token was under way.
func (v *viewer) watch(tokens int) ([]time.Duration, error) {
	delays := make([]time.Duration, 0, tokens)
	err := readFrames(v.frames, func(f sse.Frame, at time.Time) bool {
		_, stamps := modelserver.Unstamp(string(f.Data))
		for _, sent := range stamps {
			delays = append(delays, at.Sub(sent))
		}
		return !runnel.EventType(f.Type).Terminal()
	})
	if err == nil && len(delays) != tokens {
		err = fmt.Errorf("bench: a viewer has got %d tokens instead of %d", len(delays), tokens)
	}
	return delays, err
}

// submit submits a prompt on a connection of its own.
func (s *suite) submit(ctx context.Context, gateway *process, session, prompt string) error {
	c, err := dial(ctx, gateway.url)
	if err != nil {
		return err
	}
	defer c.Close()
	var receipt runnel.Receipt
	return c.call(newPrompt(gateway.url, session, prompt, false), &receipt)
}
