package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The targets of the first token at 64 streams.
const (
	firstTokenStreams = 64
	maxFirstTokenP50  = 600 * time.Microsecond
	maxFirstTokenP99  = 3 * time.Millisecond
)

// measureFirstTokens asks for answers on all ways in turns.
func (s *suite) measureFirstTokens(ctx context.Context, out *Section) error {
	out.How = "From sending a request to reading the first token, through the whole path: accepted durably, queued, leased, asked, logged, delivered. " +
		"Each stream asks again when its answer has ended, on a connection that it keeps and in a new session. " +
		"The model's first token comes at once, so nothing that a gateway does can hide behind the model's own time, as it does with real ones."
	out.Head = []string{"streams", "way", "samples", "p50", "p90", "p99", "added p50", "p90", "p99"}
	ways, stop, err := s.threeWays(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, l := range s.plan.loads {
		got, err := s.inTurns(ways, func(w *way) (dist, error) { return s.firstTokens(ctx, w, l) })
		if err != nil {
			return err
		}
		for i, w := range ways {
			d, more := got[i], got[i].minus(got[0])
			cells := []string{fmt.Sprint(l.streams), w.name, fmt.Sprint(d.n), millis(d.p50), millis(d.p90), millis(d.p99)}
			if i == 0 {
				out.row(append(cells, "", "", "")...)
			} else {
				out.row(append(cells, added(more.p50), added(more.p90), added(more.p99))...)
			}
		}
		reportFirstTokens(out, l.streams, got[1].minus(got[0]), got[2].minus(got[0]))
	}
	return nil
}

func reportFirstTokens(out *Section, streams int, proxy, gateway dist) {
	what := func(figure string) string {
		return fmt.Sprintf("added time to first token, %d at once, %s", streams, figure)
	}
	beside := func(gateway, proxy time.Duration) string {
		return fmt.Sprintf("%s (reverse proxy %s)", added(gateway), added(proxy))
	}
	p50, p99 := beside(gateway.p50, proxy.p50), beside(gateway.p99, proxy.p99)
	if streams != firstTokenStreams {
		out.find(what("p50"), p50)
		out.find(what("p99"), p99)
		return
	}
	out.check(what("p50"), p50, "< 0.6 ms", gateway.p50 < maxFirstTokenP50)
	out.check(what("p99"), p99, "< 3 ms", gateway.p99 < maxFirstTokenP99)
}

// threeWays returns the way to the model server, the one through a plain
// reverse proxy and the one through a gateway, and a function that ends what
// is on them.
func (s *suite) threeWays(ctx context.Context, gatewayArgs ...string) (ways []*way, stop func(), err error) {
	proxy, err := s.spawn(ctx, "bench", "proxy", "--listen", "127.0.0.1:0", s.model.url.String())
	if err != nil {
		return nil, nil, err
	}
	gateway, err := s.gateway(ctx, append([]string{"--model", modelSetting(s.model.url)}, gatewayArgs...)...)
	if err != nil {
		proxy.kill()
		return nil, nil, err
	}
	ways = []*way{
		openAIWay("direct", s.model.url, nil),
		openAIWay("reverse proxy", proxy.url, proxy),
		s.gatewayWay("Runnel", gateway),
	}
	return ways, func() { proxy.kill(); gateway.kill() }, nil
}

// inTurns measures each way in each round, and returns the median of the rounds
// of each.
func (s *suite) inTurns(ways []*way, measure func(*way) (dist, error)) ([]dist, error) {
	rounds := make([][]dist, len(ways))
	for round := range s.plan.rounds {
		for i, w := range ways {
			d, err := measure(w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			rounds[i] = append(rounds[i], d)
			s.say("  round %d, %s: p50 %s, p99 %s", round+1, w.name, millis(d.p50), millis(d.p99))
		}
	}
	got := make([]dist, len(ways))
	for i := range ways {
		got[i] = medianDist(rounds[i])
	}
	return got, nil
}

// firstTokens returns how long after a request its first token came.
func (s *suite) firstTokens(ctx context.Context, w *way, l load) (dist, error) {
	samples := make([][]time.Duration, l.streams)
	from := time.Now().Add(max(s.plan.lead, 2*l.answer.length()))
	until := from.Add(s.plan.ttftTime)
	prompt := l.answer.prompt()
	err := w.each(ctx, l.streams, l.answer.length(), func(i int, c *conn) error {
		for {
			req := w.ask(prompt)
			sent := time.Now()
			if sent.After(until) {
				return nil
			}
			var first time.Time
			err := c.tokens(req, l.answer.tokens, func(_, at time.Time) {
				if first.IsZero() {
					first = at
				}
			})
			if err != nil {
				return err
			}
			if sent.After(from) {
				samples[i] = append(samples[i], first.Sub(sent))
			}
		}
	})
	return summarize(slices.Concat(samples...)), err
}
