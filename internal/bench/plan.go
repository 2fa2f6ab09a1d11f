package bench

import "time"

// A plan says how much of everything is done.
type plan struct {
	rounds int           // of each comparison
	lead   time.Duration // before a load counts: connections are made, and pools filled

	starts int

	submitters []int // side by side
	acceptTime time.Duration

	requests  int // with the same credentials
	newTokens int // of which each comes once

	loads    []load // for the time to the first token
	ttftTime time.Duration

	streams   int // for the delay of tokens
	ramp      time.Duration
	tokenTime time.Duration

	audiences  []int // viewers of one session
	fanOutTime time.Duration

	viewers   int           // idle
	sessions  int           // that they share in the second go
	steadyFor time.Duration // what memory must be to count

	stops      int // side by side
	stopRounds int

	callers []int // of a function, side by side
}

// A load is a number of streams and the answer that each asks for, again and
// again. Answers are short where streams are few, so that there are enough of
// them, and long where they are many: what is measured is an answer's start
// beside other answers, not how many starts the machine can take.
type load struct {
	streams int
	answer  answer
}

func fullPlan() plan {
	return plan{
		rounds: 3, lead: time.Second,

		starts: 7,

		submitters: []int{1, 16, 64}, acceptTime: 4 * time.Second,

		requests: 30_000, newTokens: 5000,

		loads: []load{
			{1, answer{100, 2}},
			{16, answer{30, 8}},
			{64, answer{30, 15}},
			{256, answer{30, 30}},
		},
		ttftTime: 4 * time.Second,

		streams: 1000, ramp: 5 * time.Second, tokenTime: 5 * time.Second,

		audiences: []int{1000, 5000}, fanOutTime: 10 * time.Second,

		viewers: 5000, sessions: 50, steadyFor: 3 * time.Second,

		stops: 64, stopRounds: 4,

		callers: []int{1, 16},
	}
}

// quickPlan fits into a minute. Its figures are rough.
func quickPlan() plan {
	p := fullPlan()
	p.rounds, p.starts = 1, 3
	p.submitters, p.acceptTime = []int{64}, 2*time.Second
	p.requests, p.newTokens = 10_000, 2000
	p.loads, p.ttftTime = []load{p.loads[0], p.loads[2]}, 2*time.Second
	p.tokenTime = 3 * time.Second
	p.audiences, p.fanOutTime = []int{1000}, 3*time.Second
	p.viewers, p.stopRounds = 2000, 1
	return p
}
