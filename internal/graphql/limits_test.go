package graphql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// repeat joins n texts with their numbers.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// chain is repeat in which + stands for the number of the next.
func chain(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.NewReplacer("#", fmt.Sprint(i), "+", fmt.Sprint(i+1)).Replace(format))
	}
	return b.String()
}

// everybody is n fragments, each of which spreads all of them.
func everybody(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " fragment f%d on Person { id%s }", i, repeat(n, " ...f#"))
	}
	return b.String()
}

// hostile are documents that ask for more than their length tells, and how they
// are refused. With an empty refusal they are within the limits.
func hostile() []struct{ name, query, refusal string } {
	return []struct{ name, query, refusal string }{
		{"10,000 aliases", "{" + repeat(10_000, " a#: int") + "}", "the query has more than 15000 words and marks"},
		{"4,000 aliases deeper", "{ person {" + repeat(4_000, " a#: id") + "} }", "the query has 4000 aliases; 500 are allowed"},
		{"fields at the top", "{" + repeat(200, " int") + "}", "the query asks 199 times for a field"},
		{"fields at the top, by fragments", "{" + repeat(99, " ...f") + "} fragment f on Query {" + repeat(90, " a#: echo(n: #)") + "}", "aliases; 500 are allowed"},
		{"depth", "{ person {" + strings.Repeat("partner {", 200) + "id" + strings.Repeat("}", 202), "the query is 202 levels deep; 50 are allowed"},
		{"depth by fragments", "{ person { ...f0 } }" + chain(100, " fragment f# on Person { partner { ...f+ } }") + " fragment f100 on Person { id }", "the query is 102 levels deep; 50 are allowed"},
		{"parentheses", strings.Repeat("{a", 5_000), "exceeded maximum nesting depth of 1000"},
		{"lists", "{ echo(any: " + strings.Repeat("[", 5_000), "exceeded maximum nesting depth of 1000"},
		{"fragments that double", "{ person { ...f0 } }" + chain(20, " fragment f# on Person { partner { ...f+ } strict { ... on Dog { owner { ...f+ } } } }") + " fragment f20 on Person { id }", "the query asks for 12582843 fields; 5000 are allowed"},
		{"cycle", "{ person { ...a } } fragment a on Person { partner { ...b } } fragment b on Person { partner { ...a } }", "Validation error of type FragmentCycle"},
		{"cycle of one", "{ ...a } fragment a on Query { ...a }", "Validation error of type FragmentCycle"},
		{"directives", "{ int" + strings.Repeat(" @skip(if: false)", 1_000) + " }", "the query has 1000 directives; 500 are allowed"},
		{"unknown directives", "{ int" + strings.Repeat(" @a", 5_000) + " }", "the query has 5000 directives; 500 are allowed"},
		{"bytes", "{ int }" + strings.Repeat(" ", 128<<10), "the query has 131079 bytes; 131072 are allowed"},
		{"the same field again and again", "{ person {" + strings.Repeat(" id", 4_990) + "} }", "the query asks 4989 times for a field that it has in the same place already; 100 are allowed"},
		{"the same object again and again", "{ person {" + strings.Repeat(" partner { id }", 2_400) + "} }", "the query asks 2399 times for a field"},
		{"the same in fragments without a name", "{ person {" + strings.Repeat(" ... { id }", 2_400) + "} }", "the query asks 2399 times for a field"},
		{"as often as may be", "{ person {" + strings.Repeat(" partner { partner { partner { id age } } }", 25) + strings.Repeat(" id", 76) + "} }", ""},
		{"fragments in fragments without a name", "{ person {" + strings.Repeat("... {", 400) + "id age" + strings.Repeat("}", 400) + "} }", "the query has 402 fields and fragments within one another; 100 are allowed"},
		{"many fragments in one place", "{ person {" + repeat(1_000, " ...f#") + "} }" + repeat(1_000, " fragment f# on Person { id age }"), "the query has 1000 fragments; 200 are allowed"},
		{"as many fragments as may be", "{ person {" + repeat(200, " ...f#") + " } }" + repeat(200, " fragment f# on Person { id age height partner { id age } }"), ""},
		{"as many places with as many fragments", "{ person {" + repeat(400, " a#: partner { ...f0 }") + " } }" + chain(200, " fragment f# on Person { id ...f+ }") + " fragment f200 on Person { age }", "fragments; 200 are allowed"},
		{"a chain of fragments in many places", "{ person {" + repeat(20, " a#: partner { ...f0 }") + " } }" + chain(198, " fragment f# on Person { id ...f+ }") + " fragment f198 on Person { age }", ""},
		{"repeated places with many fragments", "{ person {" + strings.Repeat(" partner { id"+repeat(60, " ...f#")+"}", 90) + "} }" + repeat(60, " fragment f# on Person { age }"), "the query spreads fragments 5400 times; 1000 are allowed"},
		{"as many as may be", "{ person {" + strings.Repeat(" partner {"+repeat(14, " ...f#")+"}", 70) + "} }" + repeat(14, " fragment f# on Person { id age }"), ""},
		{"everybody spreads everybody", "{ person { ...f0 } }" + everybody(30), "the query asks for 1073741824 fields; 5000 are allowed"},
		{"unknown fields", "{ person {" + repeat(4_000, " x#") + "} }", "Validation error of type FieldUndefined"},
		{"variables", "query(" + repeat(1_800, " $a#: Int") + ") { echo(any: [" + repeat(1_800, " $a#") + "]) }", ""},
		{"a long name", "{ " + strings.Repeat("x", 100<<10) + " }", "Validation error of type FieldUndefined"},
		{"a long list", "{ echo(list: [" + strings.Repeat("1 ", 14_000) + "]) }", ""},
		{"introspection without end", "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", "Maximum introspection depth exceeded"},
		{"operations", repeat(1_000, " query q# { int }"), ""},
	}
}

func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	s, e := oracleExecutor(t)
	for _, tt := range hostile() {
		op, errs := s.Prepare(graphql.Request{Query: tt.query, OperationName: ""})
		if tt.refusal != "" {
			if errs == nil || !strings.Contains(errs.Error(), tt.refusal) {
				t.Errorf("%s: got %.200v, want %s", tt.name, errs, tt.refusal)
			}
			continue
		}
		if errs == nil {
			e.Execute(t.Context(), op, apiKey)
		}
		if len(errs) > 100 {
			t.Errorf("%s: %d errors", tt.name, len(errs))
		}
	}
}

// What a document asks for may be in its fragments, or in what the schema and the
// resolvers make of it.
func TestHostileExecutions(t *testing.T) {
	t.Parallel()
	opts := graphql.Options{DefaultMode: graphql.ModeAPIKey, Limits: graphql.Limits{Response: 100_000}}
	s := loadWith(t, opts, readFile(t, "testdata/oracle/schema.graphql"))
	e := bind(t, s, map[string]graphql.Resolver{
		"Query.echo": func(_ context.Context, f *graphql.Field) (graphql.Value, error) { return f.Args, nil },
	})
	for _, tt := range []struct{ name, query, want string }{
		{"fields at the top", "{ ...f } fragment f on Query {" + repeat(200, " a#: int") + "}", `"message":"the operation has 200 fields at the top; 100 are allowed"`},
		{
			"introspection again and again",
			"{" + repeat(100, " a#: __schema { ...s }") + "} fragment s on __Schema { types { fields { type { ofType { fields { type { name kind description } description args { name description type { name } } } } } } } }",
			`"message":"the answer has more than 100000 bytes"`,
		},
		{"null upon null", `{ echo(any: [` + strings.Repeat("null ", 10_000) + `]) }`, `{"data":{"echo":{"color":"GREEN","any":[null,`},
	} {
		if got := ask(t, e, s, apiKey, tt.query, ""); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %.300s", tt.name, got)
		}
	}
}

// An interface multiplies what is asked of it by its types.
func TestManyTypes(t *testing.T) {
	t.Parallel()
	s := load(t, "interface I { next: I id: ID } type Query { i: I }"+repeat(60, " type T# implements I { next: I id: ID }"))
	e := bind(t, s, nil)
	if got := ask(t, e, s, apiKey, "{ i { next { id } } }", ""); got != `{"data":{"i":null}}` {
		t.Errorf("got %s", got)
	}
	got := ask(t, e, s, apiKey, "{ i { next { next { next { next { id } } } } } }", "")
	if want := `"message":"the query asks for too many fields of too many types"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	s := load(t, "type Query { a: [Int] }")
	e := bind(t, s, map[string]graphql.Resolver{"Query.a": constant(t, `[`+strings.Repeat(`"x",`, 10_000)+`1]`)})
	if got := strings.Count(ask(t, e, s, apiKey, "{ a }", ""), `"message"`); got != 100 {
		t.Errorf("%d errors, want 100", got)
	}
}

func TestJSONNesting(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{100: true, 9_000: false} {
		if _, err := graphql.ParseJSON([]byte(strings.Repeat("[", n) + strings.Repeat("]", n))); (err == nil) != ok {
			t.Errorf("%d levels: %v", n, err)
		}
	}
}
