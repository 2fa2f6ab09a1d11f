package natslog_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// word is an event of the size that models make.
func word(id runnel.SessionID, gen runnel.GenerationID) runnel.Event {
	return runnel.Event{Session: id, Generation: gen, Attempt: 1, Type: runnel.EventDelta, Text: " and then some words\n"}
}

func openBench(b *testing.B) *natslog.Engine {
	b.Helper()
	e, err := natslog.Open(b.Context(), natslog.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		e, err := natslog.Open(b.Context(), natslog.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWriter is one event after the other, each acknowledged.
func BenchmarkWriter(b *testing.B) {
	e := openBench(b)
	gen := runnel.GenerationID(ulid.Make().String())
	w, err := e.Writer(b.Context(), "s", gen)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append(b.Context(), word("s", gen)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDelivery is the time from an event's append to its being read, by
// several readers of one session.
func BenchmarkDelivery(b *testing.B) {
	for _, readers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) { benchDelivery(b, readers) })
	}
}

func benchDelivery(b *testing.B, readers int) {
	e := openBench(b)
	ctx, stop := context.WithCancel(b.Context())
	gen := runnel.GenerationID(ulid.Make().String())
	w, err := e.Writer(ctx, "s", gen)
	if err != nil {
		b.Fatal(err)
	}
	start, err := w.Append(ctx, word("s", gen))
	if err != nil {
		b.Fatal(err)
	}
	var wg, round sync.WaitGroup
	for range readers {
		wg.Go(func() {
			after := start
			for {
				events, err := e.Read(ctx, "s", after)
				if err != nil {
					return
				}
				after = events[len(events)-1].Cursor
				for range events {
					round.Done()
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		round.Add(readers)
		if _, err := w.Append(ctx, word("s", gen)); err != nil {
			b.Fatal(err)
		}
		round.Wait()
	}
	stop()
	wg.Wait()
}

// BenchmarkSubmit is what accepting a prompt in a new session asks of the engine.
func BenchmarkSubmit(b *testing.B) {
	e := openBench(b)
	ctx := b.Context()
	for b.Loop() {
		gen := runnel.GenerationID(ulid.Make().String())
		id := runnel.SessionID(gen)
		if _, err := e.End(ctx, id); err != nil {
			b.Fatal(err)
		}
		if err := e.Index(ctx, id, gen); err != nil {
			b.Fatal(err)
		}
		if err := e.Enqueue(ctx, runnel.Prompt{Session: id, Generation: gen}, false); err != nil {
			b.Fatal(err)
		}
		l, err := e.Dequeue(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Remove(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTurns(b *testing.B) {
	e := openBench(b)
	for range 2000 {
		gen := runnel.GenerationID(ulid.Make().String())
		_, err := e.PutRun(b.Context(), runnel.Run{Session: "s", Generation: gen, State: runnel.Done, Turn: &runnel.Turn{
			Generation: gen, State: runnel.Done, Text: strings.Repeat("some words ", 200), EndedAt: time.Now(),
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, limit := range []int{5, 0} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			for b.Loop() {
				if _, err := e.Turns(b.Context(), "s", limit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("of a new session", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Turns(b.Context(), "new", 5); err != nil {
				b.Fatal(err)
			}
		}
	})
}
