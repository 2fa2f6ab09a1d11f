package limit_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLimiter(t testing.TB, cfg limit.Config) *limit.Limiter {
	t.Helper()
	l, err := limit.New(cfg, new(counter), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func somebody(id string) *runnel.Principal { return &runnel.Principal{ID: id} }

// wantLimited fails unless err is a refusal of the policy, and returns its quota.
func wantLimited(t *testing.T, err error, policy string, retry time.Duration) limit.Quota {
	t.Helper()
	e, ok := errors.AsType[*limit.Error](err)
	if !ok || e.Quota.Policy != policy || runnel.KindOf(err) != runnel.Limited {
		t.Fatalf("got error %v, want one of %s", err, policy)
	}
	if inner, _ := errors.AsType[*runnel.Error](err); inner.RetryAfter != retry || e.Error() != runnel.PublicMessage(err) {
		t.Errorf("got %q, to be repeated after %s; want %s", e, inner.RetryAfter, retry)
	}
	return e.Quota
}

func TestRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 2, Burst: 4}})
		p := somebody("key:a")
		for i := range 4 {
			got, err := l.Request(p)
			want := limit.Quota{Policy: "requests", Limit: 4, Window: 2 * time.Second, Remaining: int64(3 - i), Reset: 500 * time.Millisecond}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("request %d: %v (-want +got)\n%s", i, err, diff)
			}
		}
		for range 10 {
			_, err := l.Request(p)
			if q := wantLimited(t, err, "requests", 500*time.Millisecond); q.Remaining != 0 {
				t.Errorf("got %+v", q)
			}
		}
		if _, err := l.Request(somebody("key:b")); err != nil {
			t.Errorf("another principal: %v", err)
		}
		// Being refused costs nothing: the wait is as long as was said.
		time.Sleep(500 * time.Millisecond)
		if _, err := l.Request(p); err != nil {
			t.Error(err)
		}
		_, err := l.Request(p)
		wantLimited(t, err, "requests", 500*time.Millisecond)
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Config{})
		p := somebody("key:a")
		requests := func() (n int) {
			for range 100 {
				if _, err := l.Request(p); err != nil {
					break
				}
				n++
			}
			return n
		}
		if n := requests(); n != 100 {
			t.Errorf("without limits: %d requests", n)
		}
		if err := l.Reload(limit.Config{Default: limit.Limits{Rate: 5}}); err != nil {
			t.Fatal(err)
		}
		if n := requests(); n != 5 {
			t.Errorf("5 a second: %d requests", n)
		}
		if err := l.Reload(limit.Config{Default: limit.Limits{Rate: -7}}); err == nil {
			t.Error("a bad configuration is accepted")
		}
		time.Sleep(time.Minute)
		if err := l.Reload(limit.Config{Default: limit.Limits{Rate: 50, Burst: 60}}); err != nil {
			t.Fatal(err)
		}
		if n := requests(); n != 5 {
			t.Errorf("earned 5 before, and now has %d", n)
		}
		time.Sleep(time.Minute)
		if n := requests(); n != 60 {
			t.Errorf("60 at once: %d requests", n)
		}
	})
}

func TestConnect(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Connections: 3, Default: limit.Limits{Connections: 2}})
	connect := func(id string) func() {
		t.Helper()
		release, err := l.Connect(somebody(id))
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	a1, a2 := connect("a"), connect("a")
	_, err := l.Connect(somebody("a"))
	if q := wantLimited(t, err, "connections", 0); q.Limit != 2 {
		t.Errorf("got %+v", q)
	}
	b := connect("b")
	if _, err := l.Connect(somebody("c")); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("a full node: got %v", err)
	}
	a1()
	a1() // once is enough
	c := connect("c")
	if _, err := l.Connect(somebody("a")); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("released twice, counted twice: got %v", err)
	}
	for _, release := range []func(){a2, b, c} {
		release()
	}
	for _, id := range []string{"d", "e", "f"} {
		connect(id)
	}
}

// TestManyPrincipals makes sure that strangers are forgotten, and those with a
// connection are not.
func TestManyPrincipals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 1, Connections: 1}})
		connected := somebody("connected")
		release, err := l.Connect(connected)
		if err != nil {
			t.Fatal(err)
		}
		first := somebody("first")
		for _, p := range []*runnel.Principal{connected, first} {
			if _, err := l.Request(p); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 * limit.MaxAccounts {
			if _, err := l.Request(somebody(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		if n := l.Accounts(); n > limit.MaxAccounts {
			t.Errorf("%d principals are remembered", n)
		}
		if _, err := l.Request(first); err != nil {
			t.Errorf("the first has not been forgotten: %v", err)
		}
		_, err = l.Request(connected)
		wantLimited(t, err, "requests", time.Second)
		_, err = l.Connect(connected)
		wantLimited(t, err, "connections", 0)
		release()
		if _, err := l.Connect(connected); err != nil {
			t.Error(err)
		}
	})
}

// A queue stands for what knows the generations that are under way.
type queue struct {
	mu sync.Mutex
	n  int
}

func (q *queue) add(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n += n
}

func (q *queue) active(context.Context) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n, nil
}

// TestGeneration lets many prompts of one principal come at once: as many as
// may are admitted, never more.
func TestGeneration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const allowed = 3
		l := newLimiter(t, limit.Config{Default: limit.Limits{Generations: allowed}})
		var q queue
		var admitted, refused atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				done, err := l.Generation(t.Context(), somebody("a"), q.active)
				if err != nil {
					wantLimited(t, err, "generations", 0)
					refused.Add(1)
					return
				}
				time.Sleep(time.Millisecond) // storing takes a while
				q.add(1)
				done()
				done()
				admitted.Add(1)
			})
		}
		wg.Wait()
		if a, r := admitted.Load(), refused.Load(); a != allowed || r != 50-allowed {
			t.Errorf("%d admitted, %d refused", a, r)
		}
		q.add(-1)
		done, err := l.Generation(t.Context(), somebody("a"), q.active)
		if err != nil {
			t.Fatalf("after one has ended: %v", err)
		}
		// While that one is being stored others wait, but not for ever.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Generation(ctx, somebody("a"), q.active); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if other, err := l.Generation(t.Context(), somebody("b"), new(queue).active); err != nil {
			t.Errorf("another principal: %v", err)
		} else {
			other()
		}
		done()
		broken := errors.New("broken")
		for range 2 {
			if _, err := l.Generation(t.Context(), somebody("a"), func(context.Context) (int, error) { return 0, broken }); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestNoLimits(t *testing.T) {
	t.Parallel()
	l, err := limit.New(limit.Config{}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	p := somebody("")
	for range 1000 {
		if q, err := l.Request(p); err != nil || q != (limit.Quota{}) {
			t.Fatalf("got %+v, %v", q, err)
		}
		release, err := l.Connect(p)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		done, err := l.Generation(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		done()
		r, err := l.Prompt(t.Context(), p, 1e9)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Settle(t.Context(), r, 1e9), l.Cancel(t.Context(), r)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Connections: 10, Default: limit.Limits{Rate: 1e6, Connections: 5, Generations: 2}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := somebody(strconv.Itoa(i % 3))
			for n := range 500 {
				_, _ = l.Request(p)
				if release, err := l.Connect(p); err == nil {
					release()
				}
				if done, err := l.Generation(t.Context(), p, new(queue).active); err == nil {
					done()
				}
				if n%100 == 0 {
					_ = l.Reload(limit.Config{Connections: 10, Default: limit.Limits{Rate: 1e6, Burst: n, Connections: 5, Generations: 2}})
				}
			}
		})
	}
	wg.Wait()
	for i := range 10 {
		if _, err := l.Connect(somebody("later" + strconv.Itoa(i))); err != nil {
			t.Fatalf("places were lost: %v", err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	rules := make([]limit.Rule, 10)
	for i := range rules {
		rules[i] = limit.Rule{Principals: []string{"user:https://idp.example.com/" + strconv.Itoa(i) + "/*"}}
	}
	l := newLimiter(b, limit.Config{Default: limit.Limits{Rate: 1e9}, Rules: rules})
	p := somebody("user:https://idp.example.com/pool#0f8fad5b-d9cb-469f-a165-70867728950e")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Request(p); err != nil {
			b.Fatal(err)
		}
	}
}
