package logtest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func countTests() []test {
	return []test{
		{"a counter counts", testCount},
		{"an id counts once", testCountOnce},
		{"counters have any name", testCountNames},
		{"many count at once", testCountRace},
	}
}

// wantCount insists on what Count returns.
func wantCount(t *testing.T, e runnel.Counters, key, id string, n, want int64) {
	t.Helper()
	if got, err := e.Count(limit(t), key, id, n); err != nil || got != want {
		t.Errorf("counting %d as %q gave %d and %v, want %d", n, id, got, err, want)
	}
}

func testCount(t *testing.T, e runnel.Engine) {
	key := string(newSession())
	wantCount(t, e, key, "", 0, 0)
	wantCount(t, e, key, "a", 5, 5)
	wantCount(t, e, key, "b", -7, -2)
	wantCount(t, e, key, "", 0, -2)
	wantCount(t, e, key, "c", 1<<40, 1<<40-2)
}

func testCountOnce(t *testing.T, e runnel.Engine) {
	key, other := string(newSession()), string(newSession())
	wantCount(t, e, key, "a", 5, 5)
	wantCount(t, e, key, "b", 1, 6)
	wantCount(t, e, key, "a", 5, 6)
	wantCount(t, e, key, "a", -5, 6) // whatever it says now
	wantCount(t, e, other, "a", 2, 2)
	wantCount(t, e, key, "a", 0, 6)
}

func testCountNames(t *testing.T, e runnel.Engine) {
	prefix := string(newSession())
	for i, name := range []string{"", " ", "a.b", "*", ">", "\x00", "a\r\nb", "日本", strings.Repeat("x", 10_000)} {
		wantCount(t, e, prefix+name, "id "+name, int64(i+1), int64(i+1))
	}
}

func testCountRace(t *testing.T, e runnel.Engine) {
	const callers, rounds = 16, 10
	key, ctx := string(newSession()), limit(t)
	totals := make(chan int64, callers*rounds)
	var g errgroup.Group
	for i := range callers {
		g.Go(func() error {
			for j := range rounds {
				// Each id comes from two callers; the first to come counts.
				total, err := e.Count(ctx, key, fmt.Sprint(i/2, j), 1)
				if err != nil {
					return err
				}
				totals <- total
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	close(totals)
	for total := range totals {
		if total < 1 || total > callers*rounds/2 {
			t.Errorf("a caller was told %d", total)
		}
	}
	wantCount(t, e, key, "", 0, callers*rounds/2)
}

// testCrashCount: what was counted is counted, and the same id does not count
// again.
func testCrashCount(t *testing.T, v *victim) {
	crash := v.checkpoint()
	key := string(newSession())
	wantCount(t, v, key, "a", 5, 5)
	for i := range 50 {
		wantCount(t, v, key, fmt.Sprint(i), 1, int64(6+i))
	}
	crash()
	wantCount(t, v, key, "a", 5, 55)
	wantCount(t, v, key, "b", -5, 50)
}
