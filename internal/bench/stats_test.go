package bench_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/bench"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	samples := make([]time.Duration, 0, 200)
	for i := range 200 {
		samples = append(samples, time.Duration(200-i))
	}
	for _, tt := range []struct {
		name    string
		samples []time.Duration
		want    []int64
	}{
		{"none", nil, []int64{0, 0, 0, 0, 0}},
		{"one", []time.Duration{7}, []int64{1, 7, 7, 7, 7}},
		{"two", []time.Duration{9, 3}, []int64{2, 3, 9, 9, 9}},
		{"many, in no order", samples, []int64{200, 100, 180, 198, 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, bench.Summarize(tt.samples).Figures()); diff != "" {
				t.Errorf("n, p50, p90, p99, max (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []int
		want   int
	}{{nil, 0}, {[]int{4}, 4}, {[]int{9, 1}, 1}, {[]int{9, 1, 5}, 5}} {
		if got := bench.Median(tt.values); got != tt.want {
			t.Errorf("median of %v: got %d, want %d", tt.values, got, tt.want)
		}
	}
	calm := bench.Summarize([]time.Duration{10, 20, 30})
	noisy := bench.Summarize([]time.Duration{11, 500, 900})
	better := bench.Summarize([]time.Duration{9, 21, 40})
	got := bench.MedianDist([]bench.Dist{noisy, calm, better}).Figures()
	if diff := cmp.Diff([]int64{9, 21, 40, 40, 40}, got); diff != "" {
		t.Errorf("one noisy round of three counts (-want +got):\n%s", diff)
	}
}

func TestMillis(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 470 * time.Microsecond: "0.47 ms", -90 * time.Microsecond: "-0.09 ms",
		11500 * time.Microsecond: "11.5 ms", 2 * time.Second: "2000 ms",
	} {
		if got := bench.Millis(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
