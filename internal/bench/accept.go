package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
)

// syncs is how many times the disk is asked how long a sync takes.
const syncs = 200

// measureAccept submits prompts as fast as they are accepted. The gateway
// answers them meanwhile, as it would.
func (s *suite) measureAccept(ctx context.Context, out *Section) error {
	out.How = "Submitters that send the next prompt when they have the receipt of the last, each prompt in a new session; " +
		"the `echo` model answers with one token. A receipt means that the prompt is synced to disk."
	out.Head = []string{"submitters", "accepted per second", "p50", "p90", "p99"}
	disk, err := s.syncTime()
	if err != nil {
		return err
	}
	for _, n := range s.plan.submitters {
		got, err := s.accept(ctx, n)
		if err != nil {
			return err
		}
		rate := float64(got.n) / s.plan.acceptTime.Seconds()
		s.say("  %d submitters: %.0f per second, p99 %s", n, rate, millis(got.p99))
		out.row(fmt.Sprint(n), fmt.Sprintf("%.0f", rate), millis(got.p50), millis(got.p90), millis(got.p99))
		out.find(fmt.Sprintf("prompts durably accepted, %d submitters", n),
			fmt.Sprintf("%.0f per second, p50 %s, p99 %s", rate, millis(got.p50), millis(got.p99)))
	}
	out.find("for comparison, one 4 KiB append and sync on this disk", "p50 "+millis(disk.p50)+", p99 "+millis(disk.p99))
	return nil
}

func (s *suite) accept(ctx context.Context, submitters int) (dist, error) {
	gateway, err := s.gateway(ctx, "--model", "echo?ttft=0s&tps=0&tokens=1")
	if err != nil {
		return dist{}, err
	}
	defer gateway.kill()
	samples := make([][]time.Duration, submitters)
	from := time.Now().Add(s.plan.lead)
	until := from.Add(s.plan.acceptTime)
	way := s.gatewayWay("accept", gateway)
	err = way.each(ctx, submitters, 0, func(i int, c *conn) error {
		for {
			req := newPrompt(gateway.url, s.freshSession(), "Hello", false)
			sent := time.Now()
			if sent.After(until) {
				return nil
			}
			var receipt runnel.Receipt
			if err := c.call(req, &receipt); err != nil {
				return err
			}
			if sent.After(from) {
				samples[i] = append(samples[i], time.Since(sent))
			}
		}
	})
	return summarize(slices.Concat(samples...)), err
}

// syncTime measures the disk below the gateways' data.
func (s *suite) syncTime() (dist, error) {
	f, err := os.Create(filepath.Join(s.dir, "sync"))
	if err != nil {
		return dist{}, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	block := make([]byte, 4<<10)
	samples := make([]time.Duration, 0, syncs)
	for range syncs {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return dist{}, fmt.Errorf("bench: %w", err)
		}
		if err := f.Sync(); err != nil {
			return dist{}, fmt.Errorf("bench: %w", err)
		}
		samples = append(samples, time.Since(begin))
	}
	return summarize(samples), nil
}
