package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	tokenRate = 30 // per second and stream
	// maxTokenRatio is how much more than a plain reverse proxy may be added.
	maxTokenRatio = 1.5
	maxTokenCPU   = 20 * time.Microsecond
)

// measureTokens has many answers run at once, on all ways in turns.
func (s *suite) measureTokens(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("%d streams of %d tokens per second each; from the moment at which the model server writes a token to the one at which it is read here. "+
		"A token waits for no other (`--flush-interval 0s`). CPU is what the process between costs per token; of a gateway, with the log.", s.plan.streams, tokenRate)
	out.Head = []string{"way", "tokens", "p50", "p90", "p99", "added p50", "p90", "p99", "CPU per token"}
	ways, stop, err := s.threeWays(ctx, "--flush-interval", "0s")
	if err != nil {
		return err
	}
	defer stop()
	costs := map[*way][]time.Duration{}
	got, err := s.inTurns(ways, func(w *way) (dist, error) {
		d, cost, err := s.tokenDelays(ctx, w)
		costs[w] = append(costs[w], cost)
		return d, err
	})
	if err != nil {
		return err
	}
	for i, w := range ways {
		d, more, cost := got[i], got[i].minus(got[0]), ""
		cells := []string{w.name, fmt.Sprint(d.n), millis(d.p50), millis(d.p90), millis(d.p99), "", "", ""}
		if i > 0 {
			cells = append(cells[:5], added(more.p50), added(more.p90), added(more.p99))
			cost = micros(median(costs[w]))
		}
		out.row(append(cells, cost)...)
	}
	s.reportTokens(out, got[1].minus(got[0]), got[2].minus(got[0]), median(costs[ways[1]]), median(costs[ways[2]]))
	return nil
}

func (s *suite) reportTokens(out *Section, proxy, gateway dist, proxyCPU, gatewayCPU time.Duration) {
	load := fmt.Sprintf("%d streams × %d tokens/s", s.plan.streams, tokenRate)
	for _, q := range []struct {
		name           string
		gateway, proxy time.Duration
	}{{"p50", gateway.p50, proxy.p50}, {"p99", gateway.p99, proxy.p99}} {
		figure := fmt.Sprintf("%s (reverse proxy %s)", added(q.gateway), added(q.proxy))
		if q.proxy > 0 {
			figure += fmt.Sprintf(", %.1f ×", float64(q.gateway)/float64(q.proxy))
		}
		out.check(fmt.Sprintf("added delay per token, %s, %s", load, q.name), figure,
			"≤ 1.5 × the reverse proxy", float64(q.gateway) <= maxTokenRatio*float64(q.proxy))
	}
	out.check("CPU per token, log included, "+load,
		fmt.Sprintf("%s (reverse proxy %s)", micros(gatewayCPU), micros(proxyCPU)), "about 20 µs", gatewayCPU <= maxTokenCPU)
}

// tokenDelays returns how long tokens were under way, and what the process
// between computed for each.
func (s *suite) tokenDelays(ctx context.Context, w *way) (dist, time.Duration, error) {
	// The first streams end when the measurement does, the last some time after.
	lead := s.plan.ramp + s.plan.lead
	tokens := int((lead + s.plan.tokenTime).Seconds() * tokenRate)
	prompt := answer{tokenRate, tokens}.prompt()
	from := time.Now().Add(lead)
	until := from.Add(s.plan.tokenTime)

	var meter sync.WaitGroup
	var used time.Duration
	var meterErr error
	if w.between != nil {
		meter.Go(func() { used, meterErr = cpuBetween(ctx, w.between.cmd.Process.Pid, from, until) })
	}
	samples := make([][]time.Duration, s.plan.streams)
	err := w.each(ctx, s.plan.streams, s.plan.ramp, func(i int, c *conn) error {
		samples[i] = make([]time.Duration, 0, tokens)
		return c.tokens(w.ask(prompt), tokens, func(sent, at time.Time) {
			if sent.After(from) && sent.Before(until) {
				samples[i] = append(samples[i], at.Sub(sent))
			}
		})
	})
	meter.Wait()
	if err == nil {
		err = meterErr
	}
	d := summarize(slices.Concat(samples...))
	return d, used / time.Duration(max(d.n, 1)), err
}

// cpuBetween returns what a process computes between two moments.
func cpuBetween(ctx context.Context, pid int, from, until time.Time) (time.Duration, error) {
	if err := pause(ctx, time.Until(from)); err != nil {
		return 0, err
	}
	before, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Until(until)); err != nil {
		return 0, err
	}
	after, err := cpuOf(pid)
	return after - before, err
}
