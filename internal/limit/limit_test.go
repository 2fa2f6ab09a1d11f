package limit_test

import (
	"context"
	"errors"
	"net/http"
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
	l, err := limit.New(cfg, limit.Options{Counters: new(counter)})
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
	l := newLimiter(t, limit.Config{Default: limit.Limits{Connections: 2}})
	connect := func(id string) *limit.Connection {
		t.Helper()
		place, err := l.Connect(somebody(id))
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	full := func(when string) {
		t.Helper()
		_, err := l.Connect(somebody("a"))
		if q := wantLimited(t, err, "connections", 0); q.Limit != 2 {
			t.Errorf("%s: got %+v", when, q)
		}
	}
	first := connect("a")
	connect("a")
	connect("b")
	full("two are open")
	// A stream that goes on keeps the place of its request.
	release := limit.Hold(limit.WithConnection(t.Context(), first))
	first.Release()
	full("the request has ended, and its stream has not")
	release()
	release() // once is enough
	connect("a")
	full("two are open again")
}

func TestFrame(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 1, Burst: 2, MaxFrame: 10}})
	p := somebody("a")
	if most := l.Sizes(p).MaxFrame; most != 10 {
		t.Errorf("the largest has %d", most)
	}
	_, err := l.Frame(p, 11)
	if e, ok := errors.AsType[*limit.Error](err); !ok || e.Quota.Policy != limit.Frame || runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("too large: got %v", err)
	}
	for range 2 {
		if _, err := l.Frame(p, 10); err != nil {
			t.Error(err)
		}
	}
	_, err = l.Frame(p, 1)
	if e, ok := errors.AsType[*limit.Error](err); !ok || e.Quota.Policy != limit.Requests || runnel.KindOf(err) != runnel.Limited {
		t.Errorf("too many: got %v", err)
	}
}

// TestBadCredentials: an address may fail now and then, and others are not
// held to account for it.
func TestBadCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 1, Burst: 2}})
		from := func(remote string) *http.Request { return &http.Request{RemoteAddr: remote} }
		r := from("192.0.2.7:1")
		for range 2 {
			if err := errors.Join(l.Suspect(r), l.Suspect(r), l.Failed(r)); err != nil {
				t.Fatal(err)
			}
		}
		wantLimited(t, l.Suspect(r), "requests", time.Second)
		wantLimited(t, l.Failed(from("192.0.2.7:2")), "requests", time.Second)
		if err := errors.Join(l.Suspect(from("192.0.2.8:1")), l.Suspect(from("[2001:db8::1]:1"))); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := errors.Join(l.Suspect(r), l.Failed(r)); err != nil {
			t.Error(err)
		}
	})
}

// TestReport: what repeats is told once a second, with its number, and nothing
// is left untold.
func TestReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := map[string]int{}
		lines := 0
		l, err := limit.New(limit.Config{Default: limit.Limits{Rate: 0.001, Burst: 1, MaxFrame: 1}}, limit.Options{
			Refused: func(p *runnel.Principal, what string, times int) {
				mu.Lock()
				defer mu.Unlock()
				told[p.ID+" "+what] += times
				lines++
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(id string, n int) {
			for range n {
				_, _ = l.Request(somebody(id))
			}
			_, _ = l.Frame(somebody(id), 2)
		}
		refuse("before", 2) // nobody reports: it is told at once
		if lines != 2 {
			t.Errorf("%d lines", lines)
		}
		ctx, stop := context.WithCancel(t.Context())
		var reporting sync.WaitGroup
		reporting.Go(func() { l.Report(ctx) })
		synctest.Wait()
		refuse("a", 101)
		refuse("b", 11)
		time.Sleep(1500 * time.Millisecond)
		refuse("a", 1)
		stop()
		reporting.Wait()
		want := map[string]int{"before requests": 1, "before frame_bytes": 1, "a requests": 101, "a frame_bytes": 2, "b requests": 10, "b frame_bytes": 1}
		if diff := cmp.Diff(want, told); diff != "" || lines != 8 {
			t.Errorf("%d lines (-want +got)\n%s", lines, diff)
		}
	})
}

func TestByAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p            runnel.Principal
		remote, want string
	}{
		{runnel.Principal{}, "192.0.2.7:1234", "address:192.0.2.7"},
		{runnel.Principal{}, "[2001:db8:1:2:3:4:5:6]:1", "address:2001:db8:1:2::/64"},
		{runnel.Principal{}, "[::ffff:192.0.2.7]:1", "address:192.0.2.7"},
		{runnel.Principal{}, "@", "address:"},
		{runnel.Principal{ID: "key:a"}, "192.0.2.7:1234", ""},
		{runnel.Principal{Account: "mine"}, "192.0.2.7:1234", "mine"},
	} {
		if got := limit.ByAddress(&tt.p, &http.Request{RemoteAddr: tt.remote}); got.Account != tt.want || got.ID != tt.p.ID {
			t.Errorf("%+v from %s: got %+v", tt.p, tt.remote, got)
		}
	}
}

// TestManyPrincipals makes sure that strangers are forgotten, and those with a
// connection are not.
func TestManyPrincipals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 1, Connections: 1}})
		connected := somebody("connected")
		place, err := l.Connect(connected)
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
		place.Release()
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
				done, err := admit(t.Context(), l, somebody("a"), q.active)
				if err != nil {
					wantLimited(t, err, "generations", 0)
					refused.Add(1)
					return
				}
				time.Sleep(time.Millisecond) // storing takes a while
				q.add(1)
				done(true)
				done(true)
				admitted.Add(1)
			})
		}
		wg.Wait()
		if a, r := admitted.Load(), refused.Load(); a != allowed || r != 50-allowed {
			t.Errorf("%d admitted, %d refused", a, r)
		}
		q.add(-1)
		done, err := admit(t.Context(), l, somebody("a"), q.active)
		if err != nil {
			t.Fatalf("after one has ended: %v", err)
		}
		// While that one is being stored others wait, but not for ever.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := admit(ctx, l, somebody("a"), q.active); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if other, err := admit(t.Context(), l, somebody("b"), new(queue).active); err != nil {
			t.Errorf("another principal: %v", err)
		} else {
			other(true)
		}
		done(true)
		broken := errors.New("broken")
		for range 2 {
			if _, err := admit(t.Context(), l, somebody("a"), func(context.Context) (int, error) { return 0, broken }); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestNoLimits(t *testing.T) {
	t.Parallel()
	l, err := limit.New(limit.Config{}, limit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := somebody("")
	for range 1000 {
		if q, err := l.Request(p); err != nil || q != (limit.Quota{}) {
			t.Fatalf("got %+v, %v", q, err)
		}
		place, err := l.Connect(p)
		if err != nil {
			t.Fatal(err)
		}
		defer place.Release()
		var prompt runnel.Prompt
		done, err := l.Admit(t.Context(), p, &prompt, 1e9, nil)
		if err != nil || prompt.Reserved != nil || l.Limited(p) {
			t.Fatal(err, prompt.Reserved)
		}
		done(false)
	}
}

// TestNoLimiter: doors are also run without one.
func TestNoLimiter(t *testing.T) {
	t.Parallel()
	var l *limit.Limiter
	p := somebody("a")
	_, requestErr := l.Request(p)
	r := &http.Request{RemoteAddr: "192.0.2.7:1"}
	_, frameErr := l.Frame(p, 1<<30)
	place, connectErr := l.Connect(p)
	if err := errors.Join(requestErr, frameErr, connectErr, l.Suspect(r), l.Failed(r)); err != nil || l.Sizes(p) != (limit.Limits{}) || l.Limited(p) {
		t.Error(err)
	}
	release := limit.Hold(limit.WithConnection(t.Context(), place))
	place.Release()
	release()
}

// admit hands in a prompt for which nothing but generations is limited.
func admit(
	ctx context.Context, l *limit.Limiter, p *runnel.Principal, active func(context.Context) (int, error),
) (func(bool), error) {
	return l.Admit(ctx, p, new(runnel.Prompt), 0, active)
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Default: limit.Limits{Rate: 1e6, Connections: 5, Generations: 2}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := somebody(strconv.Itoa(i % 3))
			for n := range 500 {
				_, _ = l.Request(p)
				if place, err := l.Connect(p); err == nil {
					place.Release()
				}
				if done, err := admit(t.Context(), l, p, new(queue).active); err == nil {
					done(true)
				}
				if n%100 == 0 {
					_ = l.Reload(limit.Config{Default: limit.Limits{Rate: 1e6, Burst: n, Connections: 5, Generations: 2}})
				}
			}
		})
	}
	wg.Wait()
	for range 5 {
		if _, err := l.Connect(somebody("1")); err != nil {
			t.Fatalf("places were lost: %v", err)
		}
	}
	_, err := l.Connect(somebody("1"))
	wantLimited(t, err, "connections", 0)
}

// rules returns limits by which callers are told apart, the last of which counts.
func rules() limit.Config {
	rules := make([]limit.Rule, 10)
	for i := range rules {
		rules[i] = limit.Rule{Principals: []string{"user:https://idp.example.com/" + strconv.Itoa(i) + "/*"}, Groups: []string{"group " + strconv.Itoa(i)}}
	}
	return limit.Config{Default: limit.Limits{Rate: 1e9}, Rules: rules}
}

func caller() *runnel.Principal {
	return &runnel.Principal{ID: "user:https://idp.example.com/pool#0f8fad5b-d9cb-469f-a165-70867728950e", Groups: []string{"a", "b", "group 9"}}
}

// TestChecksDoNotAllocate: they are made for every request.
func TestChecksDoNotAllocate(t *testing.T) {
	l, p := newLimiter(t, rules()), caller()
	r := &http.Request{RemoteAddr: "[2001:db8:1:2:3:4:5:6]:1234"}
	for name, check := range map[string]func(){
		"request": func() { _, _ = l.Request(p) },
		"suspect": func() { _ = l.Suspect(r) },
		"frame":   func() { _, _ = l.Frame(p, 100) },
		"sizes":   func() { _ = l.Sizes(p) },
		"limited": func() { _ = l.Limited(p) },
	} {
		check() // the account is made
		if n := testing.AllocsPerRun(100, check); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, cfg := range map[string]limit.Config{
		"no limits": {}, "a default": {Default: limit.Limits{Rate: 1e9}}, "ten rules": rules(),
	} {
		b.Run(name, func(b *testing.B) {
			l, p := newLimiter(b, cfg), caller()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Request(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	l := newLimiter(b, rules())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := caller()
		for pb.Next() {
			if _, err := l.Request(p); err != nil {
				b.Error(err)
			}
		}
	})
}
