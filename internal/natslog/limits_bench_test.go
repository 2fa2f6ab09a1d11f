package natslog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

func benchEngine(b *testing.B) *natslog.Engine {
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

// BenchmarkCount is what a daily limit adds to a submission, and to the end of a
// generation: an addition that is on disk.
func BenchmarkCount(b *testing.B) {
	e, i := benchEngine(b), 0
	for b.Loop() {
		i++
		if _, err := e.Count(b.Context(), "tokens 2000-01-01 key:a", fmt.Sprint(i), 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkActive is what a limit on generations adds to a submission.
func BenchmarkActive(b *testing.B) {
	for _, queued := range []int{10, 1000} {
		b.Run(fmt.Sprint(queued), func(b *testing.B) {
			e := benchEngine(b)
			for i := range queued {
				p := runnel.Prompt{Session: runnel.SessionID(fmt.Sprint(i)), Account: fmt.Sprint(i % 100), AcceptedAt: time.Now()}
				p.Generation = runnel.GenerationID(fmt.Sprint("g", i))
				if err := e.Enqueue(b.Context(), p, false); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := e.Active(b.Context(), "7"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
