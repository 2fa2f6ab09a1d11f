package bench

import "time"

// Names for what the tests look at from outside.
var (
	Summarize   = summarize
	Median      = median[int]
	MedianDist  = medianDist
	OwnEnviron  = ownEnviron
	Millis      = millis
	CPUOf       = cpuOf
	ThisMachine = thisMachine
)

// Dist makes a dist's figures known.
type Dist = dist

// Figures returns them: the number, then p50, p90, p99 and the largest.
func (d dist) Figures() []int64 {
	return []int64{int64(d.n), int64(d.p50), int64(d.p90), int64(d.p99), int64(d.max)}
}

// Shrink makes a run take as little time as it can.
func (o *Options) Shrink() {
	o.plan = &plan{
		rounds: 1, lead: 50 * time.Millisecond, starts: 1,
		submitters: []int{2}, acceptTime: 100 * time.Millisecond,
		requests: 40, newTokens: 20,
		loads:    []load{{4, answer{1000, 2}}},
		ttftTime: 100 * time.Millisecond,
		streams:  4, ramp: 50 * time.Millisecond, tokenTime: 200 * time.Millisecond,
		audiences: []int{20}, fanOutTime: 200 * time.Millisecond,
		viewers: 20, sessions: 4, steadyFor: time.Millisecond,
		stops: 4, stopRounds: 2,
		callers: []int{2},
	}
	o.env = []string{"BENCH_TEST_ROLE"}
}
