package natslog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// TestManyLeases holds more prompts at a time than a consumer allows unless it
// is told otherwise, which is a thousand: no node may stop at that.
func TestManyLeases(t *testing.T) {
	t.Parallel()
	const many = 1100
	e := open(t, natslog.Config{Dir: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range many {
		p := runnel.Prompt{
			Session:    runnel.SessionID(fmt.Sprint(i)),
			Generation: runnel.GenerationID(fmt.Sprintf("01JZ0000000000000000%06d", i)),
			Messages:   []runnel.Message{runnel.TextMessage(runnel.User, "?")},
		}
		if err := e.Enqueue(ctx, p, false); err != nil {
			t.Fatal(err)
		}
	}
	held := make(map[runnel.GenerationID]runnel.Lease)
	for renewed := time.Now(); len(held) < many; {
		l, err := e.Dequeue(ctx)
		if err != nil {
			t.Fatalf("after %d: %v", len(held), err)
		}
		held[l.Prompt().Generation] = l
		if time.Since(renewed) > e.LeaseTime()/4 {
			renewed = time.Now()
			for _, l := range held {
				_ = l.Renew(ctx) // one that is void comes round again
			}
		}
	}
}
