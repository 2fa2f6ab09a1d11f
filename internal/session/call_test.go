package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// sequence answers each call with the next of its models, the last for good.
func sequence(calls *int, models ...model) model {
	return func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
		i := min(*calls, len(models)-1)
		*calls++
		models[i](ctx, p, yield)
	}
}

var (
	busy   = &runnel.Error{Kind: runnel.Unavailable, Msg: "busy"}
	slower = &runnel.Error{Kind: runnel.Limited, Msg: "slow down", RetryAfter: 3 * time.Second}
	later  = &runnel.Error{Kind: runnel.Limited, Msg: "come back tomorrow", RetryAfter: time.Hour}
	denied = &runnel.Error{Kind: runnel.Denied, Msg: "bad key"}
	bad    = &runnel.Error{Kind: runnel.Invalid, Msg: "no such thing"}
)

func TestRetryAndFallOver(t *testing.T) {
	t.Parallel()
	good := says(0, "ok")
	for name, tc := range map[string]struct {
		first, second []model // what the route's two models answer, call by call
		want          string
		calls         [2]int
		atLeast       time.Duration
		atMost        time.Duration
	}{
		"once busy":             {first: []model{fails(busy), good}, want: "queued started1 +ok done", calls: [2]int{2, 0}, atLeast: 100 * time.Millisecond, atMost: time.Second},
		"waits as asked":        {first: []model{fails(slower), good}, want: "queued started1 +ok done", calls: [2]int{2, 0}, atLeast: 3 * time.Second, atMost: 4 * time.Second},
		"too long a wait":       {first: []model{fails(later)}, second: []model{good}, want: "queued started1 started1 +ok done", calls: [2]int{1, 1}, atMost: time.Second},
		"falls over":            {first: []model{fails(busy)}, second: []model{fails(busy), good}, want: "queued started1 started1 +ok done", calls: [2]int{3, 2}, atMost: 3 * time.Second},
		"denied is not retried": {first: []model{fails(denied)}, second: []model{good}, want: "queued started1 started1 +ok done", calls: [2]int{1, 1}, atMost: 0},
		"invalid is final":      {first: []model{fails(bad)}, second: []model{good}, want: "queued started1 failed:invalid", calls: [2]int{1, 0}, atMost: 0},
		"all fail":              {first: []model{fails(denied)}, second: []model{fails(busy)}, want: "queued started1 started1 failed:unavailable", calls: [2]int{1, 3}, atMost: 3 * time.Second},
		"not after a token":     {first: []model{fails(busy, "par", "tial")}, second: []model{good}, want: "queued started1 +partial failed:unavailable", calls: [2]int{1, 0}, atMost: 0},
		"no terminal event": {first: []model{func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
			yield(runnel.Delta{Text: "half"}, nil)
		}}, want: "queued started1 +half failed:unavailable", calls: [2]int{1, 0}, atMost: 0},
		"unclassified": {first: []model{fails(errors.New("secret"))}, second: []model{fails(errors.New("secret"))}, want: "queued started1 started1 failed:internal", calls: [2]int{1, 1}, atMost: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls [2]int
				r := routes{"": {
					{Name: "a", Provider: sequence(&calls[0], append(tc.first, nil)[:len(tc.first)]...)},
					{Name: "b", Provider: sequence(&calls[1], append(tc.second, nil)[:len(tc.second)]...)},
				}}
				n := start(t, memlog.New(), r, session.Config{FlushInterval: time.Millisecond})
				begin := time.Now()
				events := n.await(t, n.submit(t, ask("hi")))
				if got := shape(joined(events)); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
				if calls != tc.calls {
					t.Errorf("calls = %v, want %v", calls, tc.calls)
				}
				if took := time.Since(begin); took < tc.atLeast || took > tc.atMost+5*time.Millisecond {
					t.Errorf("took %v, want %v to %v", took, tc.atLeast, tc.atMost)
				}
				if f := events[len(events)-1].Failure; f != nil && f.Message == "secret" {
					t.Error("an unclassified error is shown to clients")
				}
			})
		})
	}
}

// joined merges neighbouring deltas: how they are grouped is not the point.
func joined(events []runnel.Event) []runnel.Event {
	var out []runnel.Event
	for _, ev := range events {
		if n := len(out); n > 0 && ev.Type == runnel.EventDelta && out[n-1].Type == ev.Type {
			out[n-1].Text += ev.Text
			continue
		}
		out = append(out, ev)
	}
	return out
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		model model
		cfg   session.Config
		want  string
		after time.Duration
	}{
		"first token": {hangs(), session.Config{FirstTokenTimeout: 10 * time.Second, Retries: -1}, "queued started1 failed:unavailable", 10 * time.Second},
		"between":     {hangs("a"), session.Config{TokenTimeout: 5 * time.Second}, "queued started1 +a failed:unavailable", 5 * time.Second},
		"total":       {says(time.Second, "a", "b", "c", "d"), session.Config{TotalTimeout: 2500 * time.Millisecond}, "queued started1 +ab failed:unavailable", 2500 * time.Millisecond},
		"answer size": {says(time.Second, "aaaa", "bbbb", "cccc"), session.Config{MaxAnswer: 6}, "queued started1 +aaaabbbb failed:limited", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				released := false
				m := model(func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
					tc.model(ctx, p, yield)
					released = true
				})
				n := start(t, memlog.New(), only(m), tc.cfg)
				begin := time.Now()
				if got := shape(joined(n.await(t, n.submit(t, ask("hi"))))); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
				if took := time.Since(begin); took != tc.after {
					t.Errorf("after %v, want %v", took, tc.after)
				}
				synctest.Wait()
				if !released {
					t.Error("the model's connection is still held")
				}
			})
		})
	}
}

// A model that outruns a log at a standstill must be slowed down, not buffered.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	engine := &faulty{Engine: memlog.New(), fail: map[string]int{"append": 20}}
	sent := 0
	m := model(func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		piece := make([]byte, 1000)
		for i := range piece {
			piece[i] = 'x'
		}
		for range 3000 {
			sent += len(piece)
			if !yield(runnel.Delta{Text: string(piece)}, nil) {
				return
			}
		}
		yield(runnel.Delta{End: &runnel.End{}}, nil)
	})
	synctest.Test(t, func(t *testing.T) {
		n := start(t, engine, only(m), session.Config{})
		r := n.submit(t, ask("hi"))
		synctest.Wait() // the log refuses; the model waits
		if sent > 2<<20 {
			t.Errorf("%d bytes were taken from the model while nothing could be stored", sent)
		}
		events := n.await(t, r)
		if got := text(events); len(got) != 3_000_000 {
			t.Errorf("%d bytes arrived", len(got))
		}
	})
}
