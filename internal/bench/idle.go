package bench

import (
	"context"
	"fmt"
)

// maxIdleViewer is the target in bytes.
const maxIdleViewer = 12 << 10

// measureIdle has viewers wait and weighs the gateway.
func (s *suite) measureIdle(ctx context.Context, out *Section) error {
	out.How = "Resident memory of the gateway with SSE viewers who wait, less the same without them, by viewer. " +
		"Kernel buffers are not in it. Each figure is read when the garbage collector has nothing more to find."
	out.Head = []string{"viewers", "sessions", "without", "with", "per viewer"}
	for _, sessions := range []int{s.plan.viewers, s.plan.sessions} {
		without, with, err := s.weigh(ctx, sessions, openEvents)
		if err != nil {
			return err
		}
		per := (with - without) / int64(s.plan.viewers)
		text := fmt.Sprintf("%.1f KiB", float64(per)/1024)
		s.say("  %d viewers of %d sessions: %s each", s.plan.viewers, sessions, text)
		out.row(fmt.Sprint(s.plan.viewers), fmt.Sprint(sessions),
			fmt.Sprintf("%.1f MB", float64(without)/1e6), fmt.Sprintf("%.1f MB", float64(with)/1e6), text)
		out.check(fmt.Sprintf("memory of an idle SSE viewer, %d on %d sessions", s.plan.viewers, sessions),
			text, "≤ 12 KiB", per <= maxIdleViewer)
	}
	return nil
}

// weigh returns the memory of a gateway without viewers and with them.
func (s *suite) weigh(ctx context.Context, sessions int, open opener, settings ...string) (without, with int64, err error) {
	gateway, err := s.gateway(ctx, settings...)
	if err != nil {
		return 0, 0, err
	}
	defer gateway.kill()
	if without, err = gateway.settle(ctx, s.plan.steadyFor); err != nil {
		return 0, 0, err
	}
	names := make([]string, sessions)
	for i := range names {
		names[i] = s.freshSession()
	}
	viewers, err := openViewers(ctx, gateway.url, s.plan.viewers, open, func(i int) string { return names[i%sessions] })
	defer closeViewers(viewers)
	if err != nil {
		return 0, 0, err
	}
	with, err = gateway.settle(ctx, s.plan.steadyFor)
	return without, with, err
}
