package bench

import (
	"context"
	"fmt"
	"time"
)

// The targets of a start.
const (
	maxStart      = 150 * time.Millisecond
	maxIdleMemory = 60e6
)

// measureStart starts gateways and looks at them when they have done nothing.
func (s *suite) measureStart(ctx context.Context, out *Section) error {
	out.How = "From the start of the process, with an empty data directory, to a 200 of `/readyz`; " +
		"and the process's resident memory " + s.plan.lead.String() + " later. Medians."
	out.Head = []string{"starts", "to ready", "idle memory"}
	var took []time.Duration
	var memory []int64
	for range s.plan.starts {
		begin := time.Now()
		gateway, err := s.gateway(ctx)
		if err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		err = pause(ctx, s.plan.lead)
		if err == nil {
			var resident int64
			resident, err = gateway.resident()
			memory = append(memory, resident)
		}
		gateway.kill()
		if err != nil {
			return err
		}
	}
	start, idle := median(took), median(memory)
	idleText := fmt.Sprintf("%.1f MB", float64(idle)/1e6)
	s.say("  %s to ready, %s", millis(start), idleText)
	out.row(fmt.Sprint(len(took)), millis(start), idleText)
	out.check("start to ready", millis(start), "< 150 ms", start < maxStart)
	out.check("idle memory", idleText, "< 60 MB", idle < maxIdleMemory)
	return nil
}
