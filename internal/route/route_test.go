package route_test

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/route"
)

func TestParseSpec(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]route.Spec{
		"echo":               {Provider: "echo", Settings: url.Values{}},
		"echo?ttft=100ms":    {Provider: "echo", Settings: url.Values{"ttft": {"100ms"}}},
		"openai/gpt-5-mini":  {Provider: "openai", Model: "gpt-5-mini", Settings: url.Values{}},
		"openai/org/m?a=%2C": {Provider: "openai", Model: "org/m", Settings: url.Values{"a": {","}}},
		"bedrock/anthropic.claude-v2:1?api=invoke&region=us-west-2": {
			Provider: "bedrock", Model: "anthropic.claude-v2:1",
			Settings: url.Values{"api": {"invoke"}, "region": {"us-west-2"}},
		},
	} {
		got, err := route.ParseSpec(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", text, diff)
		}
		if name, _, _ := strings.Cut(text, "?"); got.Name() != name {
			t.Errorf("%s has the name %q", text, got.Name())
		}
	}
	for _, text := range []string{"", "/m", "openai/", "Open AI/x", "echo?a=%zz", "echo?a=1;b=2", "openai/a b", "openai/a,b", "openai/\x00", "openai/\xff"} {
		if s, err := route.ParseSpec(text); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("ParseSpec(%q) = %+v, %v; want an Invalid error", text, s, err)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{"echo", "openai/gpt", "bedrock/a.b-v2:1?api=invoke&region=x", "?", "a/?", "a?%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := route.ParseSpec(text)
		if err != nil {
			if runnel.KindOf(err) != runnel.Invalid {
				t.Fatalf("%q: error of kind %v", text, runnel.KindOf(err))
			}
			return
		}
		again, err := route.ParseSpec(s.Name() + "?" + s.Settings.Encode())
		if err != nil {
			t.Fatalf("%q is not accepted when written again: %v", text, err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("%q came back changed (-want +got):\n%s", text, diff)
		}
	})
}

// fake is a provider that only remembers how it was opened.
type fake struct{ opened string }

func (*fake) Generate(context.Context, runnel.Prompt) iter.Seq2[runnel.Delta, error] { return nil }

// providers has two that open anything and count in opened how often, and one
// that opens nothing.
func providers(opened map[string]int) map[string]route.Open {
	open := func(provider string) route.Open {
		return func(model string, settings url.Values) (runnel.Provider, error) {
			text := provider + "/" + model + "?" + settings.Encode()
			opened[text]++
			return &fake{text}, nil
		}
	}
	return map[string]route.Open{
		"echo": open("echo"), "openai": open("openai"),
		"broken": func(string, url.Values) (runnel.Provider, error) {
			return nil, runnel.Errorf(runnel.Invalid, "no key")
		},
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	opened := map[string]int{}
	table, err := route.New(route.Config{
		Default: []string{"fast", "echo?ttft=1s"},
		Routes: map[string][]string{
			"fast":       {"openai/small?api_key_env=X", "echo"},
			"echo":       {"openai/large"}, // hides the spec's own name
			"openai/big": {"openai/large"},
		},
		Providers: providers(opened),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"":             {"openai/small?api_key_env=X", "echo/?", "echo/?ttft=1s"},
		"fast":         {"openai/small?api_key_env=X", "echo/?"},
		"echo":         {"openai/large?"},
		"openai/large": {"openai/large?"},
		"openai/small": {"openai/small?api_key_env=X"},
	} {
		candidates, err := table.Lookup(name)
		if err != nil {
			t.Errorf("Lookup(%q): %v", name, err)
		}
		var got []string
		for _, c := range candidates {
			got = append(got, c.Provider.(*fake).opened)
			if strings.Contains(c.Name, "?") {
				t.Errorf("the candidate's name %q shows settings", c.Name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Lookup(%q) differs (-want +got):\n%s", name, diff)
		}
	}
	for spec, n := range opened {
		if n != 1 {
			t.Errorf("%s was opened %d times", spec, n)
		}
	}
	if diff := cmp.Diff([]string{"echo", "fast", "openai/big", "openai/large", "openai/small"}, table.Names()); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}

	_, err = table.Lookup("gpt-9")
	want := `unknown model "gpt-9"; known: echo, fast, openai/big, openai/large, openai/small`
	if runnel.KindOf(err) != runnel.Invalid || runnel.PublicMessage(err) != want {
		t.Errorf("got %v, want the Invalid error %s", err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]route.Config{
		"no default model":                       {},
		"the route has no model":                 {Default: []string{"echo"}, Routes: map[string][]string{"fast": nil}},
		"a route has no name":                    {Default: []string{"echo"}, Routes: map[string][]string{"": {"echo"}}},
		`unknown provider "opnai"; known:`:       {Default: []string{"opnai/x"}},
		"route: default model: broken/x: no key": {Default: []string{"broken/x?key=secret"}},
		`route: "fast": `:                        {Default: []string{"echo"}, Routes: map[string][]string{"fast": {"no spec"}}},
	} {
		cfg.Providers = providers(map[string]int{})
		_, err := route.New(cfg)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
			continue
		}
		if _, ok := errors.AsType[*runnel.Error](err); !ok || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error %v has no kind, or shows a secret", err)
		}
	}
}
