package graphql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// TestScalars sends values in and out: what is taken as an argument is given out
// as a result, and what is refused on the way in is refused on the way out.
func TestScalars(t *testing.T) {
	t.Parallel()
	for scalar, values := range map[string]struct{ good, bad string }{
		"AWSDate":      {`"1970-01-01" "1970-01-01Z" "2024-02-29-07:00" "1970-01-01+05:30" "1970-01-01+05:30:30"`, `"1970-1-1" "2023-02-29" "1970-01-01T00:00Z" "" 5`},
		"AWSTime":      {`"12:30" "12:30Z" "12:30:24-07:00" "12:30:24.500+05:30" "23:59:59.999999999"`, `"24:00" "12" "12:60" "1970-01-01" 12`},
		"AWSDateTime":  {`"1970-01-01T12:30Z" "1970-01-01T12:30:24Z" "1970-01-01T12:30:24-07:00" "2025-01-02T03:04:06.001Z"`, `"1970-01-01T12:30" "1970-13-01T12:30Z" "1970-01-01 12:30Z" "now" 1`},
		"AWSTimestamp": {`0 1700000000 -5`, `1.5 "1700000000" true`},
		"AWSEmail":     {`"a@example.com" "first.last+tag@sub.example.com"`, `"a" "a@" "@b" "Name <a@b.c>" "" 1`},
		"AWSURL":       {`"https://example.com" "https://example.com/a?b#c" "mailto:a@example.com" "ftp://example.com"`, `"example.com" "/path" "https://example.com/a//b" "" 1`},
		"AWSPhone":     {`"+12065551234" "206-555-1234" "(206) 555 1234"`, `"phone" "1" "+1206555123412345678" "" 1`},
		"AWSIPAddress": {`"127.0.0.1" "10.0.0.0/8" "2001:db8::1" "2001:db8::/32"`, `"256.0.0.1" "10.0.0.0/33" "10.0.0.0/" "fe80::1%eth0" "host" 1`},
	} {
		s := load(t, "type Query { x(v: "+scalar+"): "+scalar+" y: "+scalar+" }")
		var out graphql.Value
		e := bind(t, s, map[string]graphql.Resolver{
			"Query.x": func(_ context.Context, f *graphql.Field) (graphql.Value, error) { return f.Args.Get("v"), nil },
			"Query.y": func(context.Context, *graphql.Field) (graphql.Value, error) { return out, nil },
		})
		check := func(text string, good bool) {
			t.Helper()
			out = parse(t, text)
			for how, body := range map[string]string{
				"variable": ask(t, e, s, apiKey, "query($v: "+scalar+") { x(v: $v) }", `{"v":`+text+`}`),
				"literal":  ask(t, e, s, apiKey, "{ x(v: "+text+") }", ""),
				"result":   ask(t, e, s, apiKey, "{ x: y }", ""),
			} {
				if want := `{"data":{"x":` + text + `}}`; good && body != want {
					t.Errorf("%s: %s %s: %s", scalar, how, text, body)
				} else if !good && !strings.Contains(body, `"errors"`) {
					t.Errorf("%s: %s %s is taken: %s", scalar, how, text, body)
				}
			}
		}
		for _, text := range fields(values.good) {
			check(text, true)
		}
		for _, text := range fields(values.bad) {
			check(text, false)
		}
	}
}

// fields splits JSON scalars at spaces outside of strings.
func fields(list string) (texts []string) {
	quoted, start := false, 0
	for i, c := range list + " " {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			texts = append(texts, list[start:i])
			start = i + 1
		}
	}
	return texts
}

// AWSJSON is text on the wire and a value to resolvers.
func TestAWSJSON(t *testing.T) {
	t.Parallel()
	s := load(t, "type Query { in(v: AWSJSON): String out: AWSJSON }")
	var out graphql.Value
	e := bind(t, s, map[string]graphql.Resolver{
		"Query.in":  func(_ context.Context, f *graphql.Field) (graphql.Value, error) { return f.Args.Get("v", "a"), nil },
		"Query.out": func(context.Context, *graphql.Field) (graphql.Value, error) { return out, nil },
	})
	if got, want := ask(t, e, s, apiKey, `query($v: AWSJSON) { in(v: $v) }`, `{"v":"{\"a\":\"x\"}"}`), `{"data":{"in":"x"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, v := range []string{`{"a":1}`, `"{a:1}"`, `5`} {
		if got := ask(t, e, s, apiKey, `query($v: AWSJSON) { in(v: $v) }`, `{"v":`+v+`}`); !strings.Contains(got, "Variable 'v' has an invalid value") {
			t.Errorf("%s is taken: %s", v, got)
		}
	}
	for result, want := range map[string]string{
		`{"a":[1]}`: `"{\"a\":[1]}"`, `"{\"a\": 1}"`: `"{\"a\": 1}"`, `"text"`: `"\"text\""`, `5`: `"5"`, `true`: `"true"`,
	} {
		out = parse(t, result)
		if got := ask(t, e, s, apiKey, `{ out }`, ""); got != `{"data":{"out":`+want+`}}` {
			t.Errorf("%s: got %s, want %s", result, got, want)
		}
	}
}
