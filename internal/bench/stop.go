package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/modelserver"
)

const (
	maxStop     = 50 * time.Millisecond
	stopPoll    = 20 * time.Millisecond
	stopTimeout = 20 * time.Second
)

// measureStop stops answers and asks the model server when it noticed.
func (s *suite) measureStop(ctx context.Context, out *Section) error {
	out.How = fmt.Sprintf("%d answers run; they are stopped one after the other. From sending the stop request to the moment at which the model server sees its connection closed.", s.plan.stops)
	out.Head = []string{"stops", "p50", "p90", "p99", "max"}
	gateway, err := s.gateway(ctx, "--model", modelSetting(s.model.url))
	if err != nil {
		return err
	}
	defer gateway.kill()
	var samples []time.Duration
	for round := range s.plan.stopRounds {
		took, err := s.stopAll(ctx, gateway, round)
		if err != nil {
			return err
		}
		samples = append(samples, took...)
	}
	d := summarize(samples)
	s.say("  p50 %s, p99 %s", millis(d.p50), millis(d.p99))
	out.row(fmt.Sprint(d.n), millis(d.p50), millis(d.p90), millis(d.p99), millis(d.max))
	out.check("stop → upstream closed, p99", millis(d.p99), "< 50 ms", d.p99 < maxStop)
	return nil
}

// stopAll begins answers, stops each, and returns how long each stop took.
func (s *suite) stopAll(ctx context.Context, gateway *process, round int) ([]time.Duration, error) {
	c, err := dial(ctx, gateway.url)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	before, err := s.modelStats(ctx)
	if err != nil {
		return nil, err
	}
	running := map[string]runnel.GenerationID{} // by tag
	for i := range s.plan.stops {
		tag := fmt.Sprintf("stop-%d-%d", round, i)
		var receipt runnel.Receipt
		prompt := fmt.Sprintf("Tell me a long story. [[tps=20 tokens=100000 tag=%s]]", tag)
		if err := c.call(newPrompt(gateway.url, s.freshSession(), prompt, false), &receipt); err != nil {
			return nil, err
		}
		running[tag] = receipt.Generation
	}
	_, err = s.awaitModel(ctx, func(now modelserver.Stats) bool {
		return now.OpenStreams == int64(len(running)) && now.Tokens >= before.Tokens+int64(10*len(running))
	})
	if err != nil {
		return nil, fmt.Errorf("bench: wait for answers to run: %w", err)
	}

	asked := map[string]time.Time{}
	for tag, id := range running {
		asked[tag] = time.Now()
		var g runnel.Generation
		if err := c.call(newRequest(gateway.url, http.MethodPost, "/v1/generations/"+string(id)+"/cancel", "", nil), &g); err != nil {
			return nil, err
		}
	}
	after, err := s.awaitModel(ctx, func(now modelserver.Stats) bool { return now.OpenStreams == 0 })
	if err != nil {
		return nil, fmt.Errorf("bench: wait for answers to stop: %w", err)
	}
	var took []time.Duration
	for _, a := range after.Aborts {
		if at, ok := asked[a.Tag]; ok {
			took = append(took, time.Unix(0, a.At).Sub(at))
		}
	}
	if len(took) != len(running) {
		return nil, fmt.Errorf("bench: %d answers were stopped, of which the model server saw %d", len(running), len(took))
	}
	return took, nil
}

// awaitModel asks the model server for its counters until they are as wanted.
func (s *suite) awaitModel(ctx context.Context, wanted func(modelserver.Stats) bool) (modelserver.Stats, error) {
	for deadline := time.Now().Add(stopTimeout); ; {
		stats, err := s.modelStats(ctx)
		if err != nil || wanted(stats) {
			return stats, err
		}
		if time.Now().After(deadline) {
			return stats, errors.New("it does not happen")
		}
		if err := pause(ctx, stopPoll); err != nil {
			return stats, err
		}
	}
}

func (s *suite) modelStats(ctx context.Context) (modelserver.Stats, error) {
	var stats modelserver.Stats
	c, err := dial(ctx, s.model.url)
	if err != nil {
		return stats, err
	}
	defer c.Close()
	return stats, c.call(newRequest(s.model.url, http.MethodGet, "/stats", "", nil), &stats)
}
