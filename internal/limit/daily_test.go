package limit_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

// A counter is a [limit.Counter] in memory.
type counter struct {
	mu    sync.Mutex
	sums  map[string]int64
	fails func(key string, n int64) error // nil never fails
}

func (c *counter) Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if c.fails != nil {
		if err := c.fails(key, n); err != nil {
			return 0, err
		}
	}
	if ttl < 25*time.Hour {
		return 0, errors.New("forgotten before the day is over")
	}
	if c.sums == nil {
		c.sums = make(map[string]int64)
	}
	c.sums[key] += n
	return c.sums[key], nil
}

// take returns the sums that are not zero.
func (c *counter) take() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := make(map[string]int64)
	for key, n := range c.sums {
		if n != 0 {
			sums[key] = n
		}
	}
	return sums
}

// node returns one more limiter on the counter.
func node(t *testing.T, c *counter, cfg limit.Limits) *limit.Limiter {
	t.Helper()
	l, err := limit.New(limit.Config{Default: cfg}, c, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPromptsPerDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := new(counter), somebody("user:https://idp#a b")
		nodes := []*limit.Limiter{node(t, c, limit.Limits{Prompts: 4}), node(t, c, limit.Limits{Prompts: 4})}
		time.Sleep(23 * time.Hour)
		for i := range 4 {
			if _, err := nodes[i%2].Prompt(t.Context(), p, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range nodes {
			_, err := l.Prompt(t.Context(), p, 0)
			got := wantLimited(t, err, "prompts", time.Hour)
			want := limit.Quota{Policy: "prompts", Limit: 4, Window: 24 * time.Hour, Reset: time.Hour}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
		if diff := cmp.Diff(map[string]int64{"prompts 2000-01-01 user:https://idp#a b": 4}, c.take()); diff != "" {
			t.Errorf("refused prompts were counted (-want +got)\n%s", diff)
		}
		time.Sleep(time.Hour)
		if _, err := nodes[0].Prompt(t.Context(), p, 0); err != nil {
			t.Errorf("the next day: %v", err)
		}
	})
}

func TestTokensPerDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := new(counter), somebody("a")
		l := node(t, c, limit.Limits{Prompts: 10, Tokens: 1000})
		left := func() int64 { return 1000 - c.take()["tokens 2000-01-01 a"] }

		r, err := l.Prompt(t.Context(), p, 600)
		if err != nil || left() != 400 {
			t.Fatalf("%v, %d left", err, left())
		}
		_, err = l.Prompt(t.Context(), p, 500)
		if q := wantLimited(t, err, "tokens", 24*time.Hour); q.Remaining != 400 || left() != 400 || c.take()["prompts 2000-01-01 a"] != 1 {
			t.Errorf("got %+v, %d left", q, left())
		}

		// The next node settles, after reading the reservation back.
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var stored limit.Reservation
		if err := json.Unmarshal(text, &stored); err != nil || stored != r {
			t.Fatalf("%s became %+v: %v", text, stored, err)
		}
		time.Sleep(25 * time.Hour) // it is the day of the prompt that counts
		if err := node(t, c, limit.Limits{}).Settle(t.Context(), stored, 150); err != nil || left() != 850 {
			t.Errorf("%v, %d left", err, left())
		}
	})
}

// TestUsedUp makes sure that a limit holds for those who set nothing aside.
func TestUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := new(counter), somebody("a")
		l := node(t, c, limit.Limits{Tokens: 100})
		r, err := l.Prompt(t.Context(), p, -5)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Settle(t.Context(), r, 130); err != nil {
			t.Fatal(err)
		}
		_, err = l.Prompt(t.Context(), p, 0)
		if q := wantLimited(t, err, "tokens", 24*time.Hour); q.Remaining != 0 {
			t.Errorf("got %+v", q)
		}
		if err := l.Cancel(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c := new(counter)
	l := node(t, c, limit.Limits{Prompts: 5, Tokens: 100})
	r, err := l.Prompt(t.Context(), somebody("a"), 30)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Cancel(t.Context(), r); err != nil || len(c.take()) != 0 {
		t.Errorf("%v, still counted: %v", err, c.take())
	}
}

func TestCounterFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, fails := range map[string]func(key string, n int64) error{
		"prompts":        func(key string, n int64) error { return fail(key, "prompts", broken) },
		"tokens":         func(key string, n int64) error { return fail(key, "tokens", broken) },
		"taking back":    func(key string, n int64) error { return failIf(n < 0, broken) },
		"from the start": func(string, int64) error { return broken },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &counter{fails: fails}
			_, err := node(t, c, limit.Limits{Prompts: 5, Tokens: 10}).Prompt(t.Context(), somebody("a"), 20)
			if !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			if name == "taking back" {
				wantKind(t, err, runnel.Limited)
				return
			}
			wantKind(t, err, runnel.Unavailable)
			if sums := c.take(); len(sums) != 0 {
				t.Errorf("still counted: %v", sums)
			}
		})
	}
}

// TestCallerGoes makes sure that what was counted is taken back for a caller who
// has gone away meanwhile.
func TestCallerGoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := &counter{}
	c.fails = func(key string, n int64) error {
		if n > 1 {
			cancel()
		}
		return nil
	}
	_, err := node(t, c, limit.Limits{Prompts: 5, Tokens: 10}).Prompt(ctx, somebody("a"), 20)
	wantKind(t, err, runnel.Limited)
	if sums := c.take(); len(sums) != 0 {
		t.Errorf("still counted: %v", sums)
	}
}

// TestPromptsAtOnce never lets more through than may, however many come.
func TestPromptsAtOnce(t *testing.T) {
	t.Parallel()
	c := new(counter)
	l := node(t, c, limit.Limits{Prompts: 20})
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 10 {
				if _, err := l.Prompt(t.Context(), somebody("a"), 0); err == nil {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	for _, n := range c.take() {
		if n != admitted.Load() || n > 20 {
			t.Errorf("%d counted, %d admitted", n, admitted.Load())
		}
	}
}

func wantKind(t *testing.T, err error, want runnel.Kind) {
	t.Helper()
	if got := runnel.KindOf(err); got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

func fail(key, prefix string, err error) error {
	return failIf(len(key) > len(prefix) && key[:len(prefix)] == prefix, err)
}

func failIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}
