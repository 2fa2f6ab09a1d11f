package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// A dist says how a set of times is distributed.
type dist struct {
	n                  int
	p50, p90, p99, max time.Duration
}

// summarize sorts the samples.
func summarize(samples []time.Duration) dist {
	if len(samples) == 0 {
		return dist{}
	}
	slices.Sort(samples)
	return dist{
		n:   len(samples),
		p50: quantile(samples, 0.50), p90: quantile(samples, 0.90), p99: quantile(samples, 0.99),
		max: samples[len(samples)-1],
	}
}

// quantile returns the smallest of the sorted samples that at least the share q
// of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// medianDist returns the median of each figure over the rounds, and how many
// samples there were in all.
func medianDist(rounds []dist) dist {
	pick := func(figure func(dist) time.Duration) time.Duration {
		all := make([]time.Duration, len(rounds))
		for i, r := range rounds {
			all[i] = figure(r)
		}
		return median(all)
	}
	d := dist{
		p50: pick(func(d dist) time.Duration { return d.p50 }),
		p90: pick(func(d dist) time.Duration { return d.p90 }),
		p99: pick(func(d dist) time.Duration { return d.p99 }),
		max: pick(func(d dist) time.Duration { return d.max }),
	}
	for _, r := range rounds {
		d.n += r.n
	}
	return d
}

// median sorts a copy. With an even number it is the lower of the middle two;
// of nothing it is zero.
func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// minus returns how much later each figure of d is than that of o.
func (d dist) minus(o dist) dist {
	return dist{n: d.n, p50: d.p50 - o.p50, p90: d.p90 - o.p90, p99: d.p99 - o.p99, max: d.max - o.max}
}

// millis writes a time in milliseconds, with as many digits as mean something.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch abs := math.Abs(ms); {
	case abs >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case abs >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// added is millis with a sign.
func added(d time.Duration) string {
	if d >= 0 {
		return "+" + millis(d)
	}
	return millis(d)
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
}
