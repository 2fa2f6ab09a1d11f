package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
)

// connections is how many ask at once: enough to keep a gateway busy.
const connections = 16

// A caller shows credentials to a gateway.
type caller struct {
	proof
	gateway *process
	path    string // that is asked for
	n       int    // requests in a round
}

// A pace is how fast requests were answered, and what each cost the gateway.
type pace struct {
	rate float64 // per second
	cpu  time.Duration
	dist
}

// measureAccess asks one gateway that knows all schemes the same with each of
// them, in turns, and one that asks nobody.
func (s *suite) measureAccess(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("%d connections ask how a generation stands, again and again. All schemes are configured in one gateway; one without any stands for none. "+
		"Credentials are the same in each request, but for tokens that are not seen before, each of which comes once. "+
		"CPU is what the gateway computes for a request, and what it does more than without credentials: the rate depends on the load, too, which shares the cores.", connections)
	out.Head = []string{"credentials", "requests per second", "p50", "p99", "CPU per request", "added"}
	others, err := startOthers(ctx)
	if err != nil {
		return err
	}
	defer others.close()
	all, stop, err := s.callers(ctx, others)
	if err != nil {
		return err
	}
	defer stop()
	paces := make([][]pace, len(all))
	for range s.plan.rounds {
		for i := range all {
			p, err := s.paceOf(ctx, &all[i])
			if err != nil {
				return fmt.Errorf("bench: credentials: %s: %w", all[i].name, err)
			}
			paces[i] = append(paces[i], p)
		}
	}
	none := medianPace(paces[0]).cpu
	for i, c := range all {
		p := medianPace(paces[i])
		s.say("  %s: %.0f per second, %s of CPU", c.name, p.rate, micros(p.cpu))
		out.row(c.name, fmt.Sprintf("%.0f", p.rate), millis(p.p50), millis(p.p99), micros(p.cpu), addedMicros(i > 0, p.cpu-none))
		out.find("requests per second, credentials: "+c.name, fmt.Sprintf("%.0f, %s of CPU each", p.rate, micros(p.cpu)))
	}
	out.find("what the gateway asked meanwhile", fmt.Sprintf("the issuer for its keys: %d times; the webhook: %d times", others.fetches.Load(), others.questions.Load()))
	return nil
}

func addedMicros(known bool, d time.Duration) string {
	if !known {
		return ""
	}
	return fmt.Sprintf("%+.1f µs", float64(d)/float64(time.Microsecond))
}

// callers starts the gateways: the first caller's, who shows nothing, asks for
// nothing.
func (s *suite) callers(ctx context.Context, others *others) (all []caller, stop func(), err error) {
	config, err := json.Marshal(others.config()) // which is YAML, too
	if err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	file := filepath.Join(s.dir, "access.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	var started []*process
	stop = func() {
		for _, p := range started {
			p.kill()
		}
	}
	var paths []string
	for _, args := range [][]string{nil, {"--config", file}} {
		gateway, err := s.gateway(ctx, append([]string{"--model", "echo?ttft=0s&tps=0&tokens=1"}, args...)...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		started = append(started, gateway)
		path, err := s.somethingToAsk(ctx, gateway.url, others.keyLine())
		if err != nil {
			stop()
			return nil, nil, err
		}
		paths = append(paths, path)
	}
	for i, p := range others.proofs() {
		n := s.plan.requests
		if p.once {
			n = s.plan.newTokens
		}
		at := min(i, 1)
		all = append(all, caller{proof: p, gateway: started[at], path: paths[at], n: n})
	}
	return all, stop, nil
}

// somethingToAsk has the gateway answer a prompt and returns where it says how
// that stands.
func (s *suite) somethingToAsk(ctx context.Context, gateway *url.URL, header string) (string, error) {
	c, err := dial(ctx, gateway)
	if err != nil {
		return "", err
	}
	defer c.Close()
	var receipt runnel.Receipt
	prompt := newRequest(gateway, http.MethodPost, "/v1/sessions/"+s.freshSession()+"/prompts", header, map[string]string{"prompt": "Hello"})
	if err := c.call(prompt, &receipt); err != nil {
		return "", err
	}
	return "/v1/generations/" + string(receipt.Generation), nil
}

// paceOf sends a round of requests.
func (s *suite) paceOf(ctx context.Context, who *caller) (pace, error) {
	base := who.gateway.url
	lines, err := who.lines(&url.URL{Host: base.Host, Path: who.path}, who.n)
	if err != nil {
		return pace{}, err
	}
	requests := make([]request, len(lines))
	for i, header := range lines {
		requests[i] = newRequest(base, http.MethodGet, who.path, header, nil)
	}
	before, err := cpuOf(who.gateway.cmd.Process.Pid)
	if err != nil {
		return pace{}, err
	}
	samples := make([][]time.Duration, connections)
	var begun atomic.Int64
	begin := time.Now()
	err = (&way{name: who.name, base: base}).each(ctx, connections, 0, func(i int, c *conn) error {
		for {
			k := int(begun.Add(1)) - 1
			if k >= who.n {
				return nil
			}
			sent := time.Now()
			var g runnel.Generation
			if err := c.call(requests[k%len(requests)], &g); err != nil {
				return err
			}
			samples[i] = append(samples[i], time.Since(sent))
		}
	})
	took := time.Since(begin)
	if err != nil {
		return pace{}, err
	}
	after, err := cpuOf(who.gateway.cmd.Process.Pid)
	n := float64(who.n)
	return pace{rate: n / took.Seconds(), cpu: time.Duration(float64(after-before) / n), dist: summarize(slices.Concat(samples...))}, err
}

func medianPace(rounds []pace) pace {
	var rates []float64
	var costs []time.Duration
	var dists []dist
	for _, r := range rounds {
		rates, costs, dists = append(rates, r.rate), append(costs, r.cpu), append(dists, r.dist)
	}
	return pace{median(rates), median(costs), medianDist(dists)}
}
