package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/obs"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/route"
	"github.com/runnelhq/runnel/internal/session"
)

const benchTokens = 1000

// BenchmarkTraces measures a generation of 1,000 tokens from its acceptance to
// its end, with traces and without.
func BenchmarkTraces(b *testing.B) {
	b.Run("off", func(b *testing.B) { benchTraces(b, nil) })
	b.Run("on", func(b *testing.B) {
		tracer, err := obs.OpenTracer(b.Context(), obs.TraceConfig{Endpoint: newCollector(b).url, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer tracer.Close(context.Background()) //nolint:errcheck // the collector is ours
		benchTraces(b, tracer)
	})
}

func benchTraces(b *testing.B, tracer session.Tracer) {
	spec := fmt.Sprintf("echo?ttft=0s&tps=0&tokens=%d", benchTokens)
	table, err := route.New(route.Config{Default: []string{spec}, Providers: map[string]route.Open{"echo": echo.Open}})
	if err != nil {
		b.Fatal(err)
	}
	core := session.New(memlog.New(), table, session.Config{Tracer: tracer, FlushInterval: -1, FlushChunks: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = core.Run(ctx) })
	defer running.Wait()
	defer cancel()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := runnel.SessionID(fmt.Sprint("s", i))
		r, err := core.Submit(b.Context(), runnel.Submission{Prompt: runnel.Prompt{
			Session: id, Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
		}})
		if err != nil {
			b.Fatal(err)
		}
		for after, ended := r.Cursor, false; !ended; {
			events, err := core.Read(b.Context(), id, after)
			if err != nil {
				b.Fatal(err)
			}
			last := events[len(events)-1]
			after, ended = last.Cursor, last.Type.Terminal()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchTokens), "ns/token")
}
