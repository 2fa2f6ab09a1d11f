package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
	"github.com/runnelhq/runnel/internal/route"
	"github.com/runnelhq/runnel/internal/session"
)

// BenchmarkPublish measures pieces, each published after the one before it was
// acknowledged, on an embedded engine: how many per second in all sessions
// together, and how long one takes from the call until a reader has its event.
func BenchmarkPublish(b *testing.B) {
	for _, sessions := range []int{1, 64} {
		b.Run(fmt.Sprint("sessions=", sessions), func(b *testing.B) { benchPublish(b, sessions) })
	}
}

func benchPublish(b *testing.B, sessions int) {
	engine, err := natslog.Open(b.Context(), natslog.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	core := session.New(engine, &route.Table{}, session.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = core.Run(ctx) })
	defer func() {
		cancel()
		running.Wait()
		if err := engine.Close(); err != nil {
			b.Error(err)
		}
	}()

	var next atomic.Int64
	var mu sync.Mutex
	var seen, acknowledged []time.Duration
	b.ResetTimer()
	begin := time.Now()
	var publishers sync.WaitGroup
	for i := range sessions {
		publishers.Go(func() {
			a, s, err := benchAnswer(b.Context(), core, runnel.SessionID(fmt.Sprint("s", i)), func() bool { return next.Add(1) <= int64(b.N) })
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			acknowledged, seen = append(acknowledged, a...), append(seen, s...)
		})
	}
	publishers.Wait()
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "pieces/s")
	for name, times := range map[string][]time.Duration{"ack": acknowledged, "view": seen} {
		if slices.Sort(times); len(times) > 0 {
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), name+"-p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), name+"-p99-µs")
		}
	}
}

// benchAnswer publishes pieces as long as there are to be more, with a reader
// beside it. It returns what each took to be acknowledged and to be read.
func benchAnswer(ctx context.Context, core *session.Service, id runnel.SessionID, more func() bool) (acknowledged, seen []time.Duration, err error) {
	r, err := core.Publish(ctx, runnel.Publication{Session: id, Type: runnel.EventStarted})
	if err != nil {
		return nil, nil, err
	}
	var sent, read []time.Time
	var reading sync.WaitGroup
	var readErr error
	reading.Go(func() {
		for after := r.Cursor; ; {
			events, err := core.Read(ctx, id, after)
			if err != nil {
				readErr = err
				return
			}
			now := time.Now()
			for _, ev := range events {
				if ev.Type == runnel.EventDelta {
					read = append(read, now)
				}
				if ev.Type.Terminal() {
					return
				}
			}
			after = events[len(events)-1].Cursor
		}
	})
	for more() {
		begin := time.Now()
		sent = append(sent, begin)
		piece := runnel.Publication{Session: id, Type: runnel.EventDelta, Text: "some words", Data: []byte(`{"token":"some words"}`)}
		if _, err := core.Publish(ctx, piece); err != nil {
			return nil, nil, err
		}
		acknowledged = append(acknowledged, time.Since(begin))
	}
	if _, err := core.Publish(ctx, runnel.Publication{Session: id, Type: runnel.EventDone}); err != nil {
		return nil, nil, err
	}
	reading.Wait()
	if readErr == nil && len(read) != len(sent) {
		readErr = fmt.Errorf("%d pieces, %d events", len(sent), len(read))
	}
	for i := range min(len(sent), len(read)) {
		seen = append(seen, read[i].Sub(sent[i]))
	}
	return acknowledged, seen, readErr
}
