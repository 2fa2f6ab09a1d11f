package limit_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

// A counter is [runnel.Counters] in memory.
type counter struct {
	mu    sync.Mutex
	sums  map[string]int64
	ids   map[string]bool
	calls int
	fails func(key string, n int64) error // nil never fails
}

func (c *counter) Count(ctx context.Context, key, id string, n int64) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if c.fails != nil {
		if err := c.fails(key, n); err != nil {
			return 0, err
		}
	}
	if c.sums == nil {
		c.sums, c.ids = make(map[string]int64), make(map[string]bool)
	}
	if n != 0 && !c.ids[key+" "+id] {
		c.ids[key+" "+id] = true
		c.sums[key] += n
	}
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
	l, err := limit.New(limit.Config{Default: cfg}, limit.Options{Counters: c})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// prompt hands in a prompt that may be answered with as many tokens, and stores it.
func prompt(ctx context.Context, l *limit.Limiter, p *runnel.Principal, tokens int) (*runnel.Reservation, error) {
	prompt := runnel.Prompt{MaxTokens: tokens}
	done, err := l.Admit(ctx, p, &prompt, 0, nil)
	if err == nil {
		done(true)
	}
	return prompt.Reserved, err
}

func TestPromptsPerDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := new(counter), somebody("user:https://idp#a b")
		nodes := []*limit.Limiter{node(t, c, limit.Limits{Prompts: 4}), node(t, c, limit.Limits{Prompts: 4})}
		time.Sleep(23 * time.Hour)
		for i := range 4 {
			if _, err := prompt(t.Context(), nodes[i%2], p, 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			for _, l := range nodes {
				_, err := prompt(t.Context(), l, p, 0)
				got := wantLimited(t, err, "prompts", time.Hour)
				want := limit.Quota{Policy: "prompts", Limit: 4, Window: 24 * time.Hour, Reset: time.Hour}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		}
		if diff := cmp.Diff(map[string]int64{"prompts 2000-01-01 user:https://idp#a b": 4}, c.take()); diff != "" {
			t.Errorf("refused prompts were counted (-want +got)\n%s", diff)
		}
		before := c.calls
		_, err := prompt(t.Context(), nodes[0], p, 0)
		wantLimited(t, err, "prompts", time.Hour)
		if n := c.calls - before; n != 1 {
			t.Errorf("one more refusal took %d calls; it is to look, and no more", n)
		}
		time.Sleep(time.Hour)
		if _, err := prompt(t.Context(), nodes[0], p, 0); err != nil {
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

		r, err := prompt(t.Context(), l, p, 600)
		if err != nil || left() != 400 {
			t.Fatalf("%v, %d left", err, left())
		}
		for range 2 {
			_, err = prompt(t.Context(), l, p, 500)
			if q := wantLimited(t, err, "tokens", 24*time.Hour); q.Remaining != 400 || left() != 400 || c.take()["prompts 2000-01-01 a"] != 1 {
				t.Errorf("got %+v, %d left", q, left())
			}
		}
		// Who asks for less may still have it.
		if _, err = prompt(t.Context(), l, p, 100); err != nil || left() != 300 {
			t.Errorf("%v, %d left", err, left())
		}

		// The next node settles, after reading the reservation back; and, as after
		// a crash, does it again.
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var stored runnel.Reservation
		if err := json.Unmarshal(text, &stored); err != nil || stored != *r {
			t.Fatalf("%s became %+v: %v", text, stored, err)
		}
		time.Sleep(25 * time.Hour) // it is the day of the prompt that counts
		turn := &runnel.Turn{Usage: &runnel.Usage{InputTokens: 50, OutputTokens: 100}}
		for range 2 {
			if err := node(t, c, limit.Limits{}).Settle(t.Context(), "a", &stored, turn); err != nil || left() != 750 {
				t.Errorf("%v, %d left", err, left())
			}
		}
	})
}

// TestNotStored: what is counted for a prompt that is not stored is taken back.
func TestNotStored(t *testing.T) {
	t.Parallel()
	c := new(counter)
	l := node(t, c, limit.Limits{Prompts: 5, Tokens: 10_000})
	var p runnel.Prompt
	done, err := l.Admit(t.Context(), somebody("a"), &p, 400, nil)
	if err != nil || p.Reserved == nil || p.Reserved.Tokens != 100+1024 {
		t.Fatalf("got %+v, %v", p.Reserved, err)
	}
	done(false)
	done(false)
	if len(c.take()) != 0 {
		t.Errorf("still counted: %v", c.take())
	}
}

func TestLongPrompt(t *testing.T) {
	t.Parallel()
	c := new(counter)
	l := node(t, c, limit.Limits{MaxPrompt: 10, Prompts: 5})
	_, err := l.Admit(t.Context(), somebody("a"), new(runnel.Prompt), 11, nil)
	wantKind(t, err, runnel.Invalid)
	if !strings.Contains(runnel.PublicMessage(err), "the limit is 10") || len(c.take()) > 0 {
		t.Errorf("%v, counted: %v", err, c.take())
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	question := []runnel.Message{runnel.TextMessage(runnel.User, "12345678")}
	for _, tt := range []struct {
		name string
		turn runnel.Turn
		want int64
	}{
		{"as the vendor says", runnel.Turn{Prompt: question, Text: "1234", Usage: &runnel.Usage{InputTokens: 7, OutputTokens: 11}}, 18},
		{"in all attempts", runnel.Turn{Prompt: question, Text: "1234", Usage: &runnel.Usage{InputTokens: 17, OutputTokens: 12}, Attempts: []runnel.Attempt{
			{Attempt: 1, Usage: &runnel.Usage{InputTokens: 10, OutputTokens: 1}}, {Attempt: 2, Usage: &runnel.Usage{InputTokens: 7, OutputTokens: 11}},
		}}, 29},
		{"the last stopped half-way", runnel.Turn{Prompt: question, Text: "1234", Reasoning: "12345678", Usage: &runnel.Usage{InputTokens: 10, OutputTokens: 1}, Attempts: []runnel.Attempt{
			{Attempt: 1, Usage: &runnel.Usage{InputTokens: 10, OutputTokens: 1}}, {Attempt: 2},
		}}, 16},
		{"stopped half-way", runnel.Turn{Prompt: question, Text: "1234", Reasoning: "12345678"}, 5},
		{"failed before it spoke", runnel.Turn{Prompt: question}, 0},
	} {
		if got := limit.UsedIn(&tt.turn); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
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
			l := node(t, c, limit.Limits{Prompts: 5, Tokens: 10})
			_, err := prompt(t.Context(), l, somebody("a"), 20)
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
	_, err := prompt(ctx, node(t, c, limit.Limits{Prompts: 5, Tokens: 10}), somebody("a"), 20)
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
				if _, err := prompt(t.Context(), l, somebody("a"), 0); err == nil {
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
