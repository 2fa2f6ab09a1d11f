package settings_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/settings"
)

type config struct {
	Name  string
	On    bool
	N     int
	Rate  float64
	After time.Duration
	Mode  string
}

func parse(t *testing.T, query string) (config, error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	c := config{Name: "default"}
	r := settings.Read("acme", values)
	r.String("name", &c.Name)
	r.Bool("on", &c.On)
	r.Count("n", &c.N)
	r.Rate("rate", &c.Rate)
	r.Duration("after", &c.After)
	r.Func("mode", "fast or slow", func(s string) bool {
		c.Mode = s
		return s == "fast" || s == "slow"
	})
	return c, r.Done()
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query string
		want  config
	}{
		{"", config{Name: "default"}},
		{"name=x&on=1&n=3&rate=2.5&after=10ms&mode=slow",
			config{Name: "x", On: true, N: 3, Rate: 2.5, After: 10 * time.Millisecond, Mode: "slow"}},
	}
	for _, tt := range tests {
		got, err := parse(t, tt.query)
		if err != nil {
			t.Errorf("%q: %v", tt.query, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.query, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, want string }{
		{"tsp=50", "after, mode, n, name, on, rate"},
		{"tsp=50", `"tsp"`},
		{"n=-1", "whole number"},
		{"n=1&n=2", "given once"},
		{"n=", "whole number"},
		{"rate=fast", "number"},
		{"rate=NaN", "number"},
		{"rate=Inf", "number"},
		{"after=5", "duration"},
		{"after=-5s", "duration"},
		{"on=maybe", "true or false"},
		{"name=", "text"},
		{"mode=other", "fast or slow"},
	}
	for _, tt := range tests {
		_, err := parse(t, tt.query)
		if runnel.KindOf(err) != runnel.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want an Invalid error with %q", tt.query, err, tt.want)
		}
	}
}
