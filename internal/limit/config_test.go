package limit_test

import (
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

func TestRules(t *testing.T) {
	t.Parallel()
	const text = `
default: {rate: 10, burst: 20, connections: 5, generations: 2, prompts_per_day: 100, tokens_per_day: 1000}
rules:
  - principals: ["key:batch", "iam:*"]
    rate: 100
    connections: -1
  - groups: [premium]
    generations: 8
    tokens_per_day: -1
  - principals: ["user:https://idp/*"]
    rate: -1
    burst: 7
`
	var cfg limit.Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &cfg, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	standard := limit.Limits{Rate: 10, Burst: 20, Connections: 5, Generations: 2, Prompts: 100, Tokens: 1000}
	service := limit.Limits{Rate: 100, Burst: 100, Generations: 2, Prompts: 100, Tokens: 1000}
	for _, tt := range []struct {
		name string
		p    runnel.Principal
		want limit.Limits
	}{
		{"nobody", runnel.Principal{}, standard},
		{"another key", runnel.Principal{ID: "key:batch2"}, standard},
		{"by name", runnel.Principal{ID: "key:batch"}, service},
		{"by pattern", runnel.Principal{ID: "iam:AK/1"}, service},
		{"the first rule counts", runnel.Principal{ID: "iam:AK", Groups: []string{"premium"}}, service},
		{"by group", runnel.Principal{ID: "user:https://idp/pool#1", Groups: []string{"x", "premium"}},
			limit.Limits{Rate: 10, Burst: 20, Connections: 5, Generations: 8, Prompts: 100}},
		{"a rate lifted", runnel.Principal{ID: "user:https://idp/pool#1"},
			limit.Limits{Burst: 7, Connections: 5, Generations: 2, Prompts: 100, Tokens: 1000}},
	} {
		if diff := cmp.Diff(tt.want, cfg.Of(&tt.p)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]limit.Config{
		"limits.default: rate must be": {Default: limit.Limits{Rate: math.NaN()}},
		"tokens_per_day must be":       {Default: limit.Limits{Tokens: -2}},
		"burst cannot":                 {Default: limit.Limits{Burst: -1}},
		"rules[0]: it is for nobody":   {Rules: []limit.Rule{{}}},
		"rules[0]: it has an empty":    {Rules: []limit.Rule{{Groups: []string{""}}}},
		"rules[1]: generations":        {Rules: []limit.Rule{{Groups: []string{"a"}}, {Groups: []string{"b"}, Limits: limit.Limits{Generations: -3}}}},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one that says %q", err, want)
		}
	}
}

func TestSetHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		quotas        []limit.Quota
		policy, limit string
	}{
		{"none", nil, "", ""},
		{"no limit", []limit.Quota{{}}, "", ""},
		{"rate", []limit.Quota{{Policy: limit.Requests, Limit: 20, Window: 2 * time.Second, Remaining: 3, Reset: 100 * time.Millisecond}},
			`"requests";q=20;w=2`, `"requests";r=3;t=1`},
		{"at once", []limit.Quota{{Policy: limit.Connections, Limit: 5}},
			`"connections";q=5;qu="concurrent-requests"`, `"connections";r=0`},
		{"several", []limit.Quota{
			{Policy: limit.Prompts, Limit: 10, Window: 24 * time.Hour, Remaining: 1, Reset: time.Hour}, {},
			{Policy: limit.Tokens, Limit: 9, Window: 24 * time.Hour, Remaining: -1, Reset: time.Hour},
		}, `"prompts";q=10;w=86400, "tokens";q=9;qu="tokens";w=86400`, `"prompts";r=1;t=3600, "tokens";r=0;t=3600`},
	} {
		h := http.Header{}
		limit.SetHeaders(h, tt.quotas...)
		if got := h.Get("RateLimit-Policy"); got != tt.policy {
			t.Errorf("%s: got policy %s, want %s", tt.name, got, tt.policy)
		}
		if got := h.Get("RateLimit"); got != tt.limit {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.limit)
		}
	}
}

// FuzzMatch compares with a regular expression of the same meaning.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"", ""}, {"*", ""}, {"?", "x"}, {"user:*#?", "user:https://idp/pool#1"}, {"a*b*c", "aXbXbc"}, {"**a", "bab"}, {"a*", "ba"}, {"*é?", "éé"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 100 {
			return
		}
		var expr strings.Builder
		expr.WriteString(`(?s)^`)
		latin := func(s string) string { // one rune for each byte
			runes := make([]rune, len(s))
			for i := range len(s) {
				runes[i] = rune(s[i])
			}
			return string(runes)
		}
		for _, r := range latin(pattern) {
			switch r {
			case '*':
				expr.WriteString(".*")
			case '?':
				expr.WriteString(".")
			default:
				expr.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		want := regexp.MustCompile(expr.String() + `$`).MatchString(latin(s))
		if got := limit.Match(pattern, s); got != want {
			t.Errorf("%q on %q: got %t, want %t", pattern, s, got, want)
		}
	})
}
