package graphql_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// FuzzQuery sends any document with any variables. Whatever comes, there is an
// answer, and it is JSON.
func FuzzQuery(f *testing.F) {
	for _, tt := range hostile() {
		if len(tt.query) < 2_000 {
			f.Add(tt.query, `{}`)
		}
	}
	var answers []oracleAnswer
	if err := json.Unmarshal([]byte(readFile(f, "testdata/oracle/answers.json")), &answers); err != nil {
		f.Fatal(err)
	}
	for _, a := range answers {
		f.Add(a.Query, a.Variables.String())
	}
	f.Add(`subscription { added }`, `{}`)
	s, e := oracleExecutor(f)
	f.Fuzz(func(t *testing.T, query, variables string) {
		vars, err := graphql.ParseJSON([]byte(variables))
		if err != nil {
			return
		}
		op, errs := s.Prepare(graphql.Request{Query: query, Variables: vars})
		if errs != nil {
			if body := errs.AppendJSON(nil); !json.Valid(body) {
				t.Errorf("errors: %s", body)
			}
			return
		}
		if op.Kind() == "subscription" {
			if sub, err := s.Subscribe(op, apiKey); err == nil {
				sub.Filter.Match(vars)
				if body := sub.Plan.AppendPayload(nil, vars); !json.Valid(body) {
					t.Errorf("payload: %s", body)
				}
			}
			return
		}
		if body := e.Execute(t.Context(), op, apiKey).AppendJSON(nil); !json.Valid(body) {
			t.Errorf("answer: %s", body)
		}
	})
}

// FuzzLoad loads any schema.
func FuzzLoad(f *testing.F) {
	f.Add(reference)
	f.Add(filtered)
	f.Add(readFile(f, "testdata/oracle/schema.graphql"))
	f.Add(`extend type Query { a: Int } interface I implements I { a: I } input A { a: A! }`)
	f.Fuzz(func(t *testing.T, sdl string) {
		s, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, graphql.Source{Name: "fuzz", Text: sdl})
		if err != nil {
			return
		}
		e, err := graphql.NewExecutor(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		op, errs := s.Prepare(graphql.Request{Query: readFile(t, "testdata/oracle/introspection.graphql")})
		if errs != nil {
			t.Fatal(errs)
		}
		if body := e.Execute(t.Context(), op, apiKey).AppendJSON(nil); !json.Valid(body) {
			t.Errorf("answer: %s", body)
		}
	})
}

// FuzzFilter parses any filter and matches it against any event.
func FuzzFilter(f *testing.F) {
	f.Add(`{"filterGroup":[{"filters":[{"fieldName":"a.b","operator":"between","value":[1,2]}]}]}`, `{"a":{"b":1}}`)
	f.Add(`{"filterGroup":[{"filters":[{"fieldName":"a","operator":"containsAny","value":["x"]}]}]}`, `{"a":["x",null]}`)
	f.Fuzz(func(_ *testing.T, filter, event string) {
		v, err := graphql.ParseJSON([]byte(filter))
		if err != nil {
			return
		}
		parsed, err := graphql.ParseFilter(v)
		if err != nil {
			return
		}
		if e, err := graphql.ParseJSON([]byte(event)); err == nil {
			parsed.Match(e)
		}
	})
}

// FuzzJSON holds our reader and writer of JSON to encoding/json.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e3,-0,"ü\u0000\ud83d\ude00\ud800<&>",true,null,{}],"a":[]}`, ` [ ] `, `"\u2028"`, "\"\xff\"", `{"":{"":1}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want any
		stdErr := json.Unmarshal([]byte(text), &want)
		v, err := graphql.ParseJSON([]byte(text))
		if (err != nil) != (stdErr != nil) {
			if err != nil && json.Valid([]byte(text)) { // too deep, or a number that is no float64
				return
			}
			if stdErr != nil && json.Valid([]byte(text)) {
				return
			}
			t.Fatalf("%q: %v, encoding/json: %v", text, err, stdErr)
		}
		if err != nil {
			return
		}
		var got any
		if err := json.Unmarshal(v.AppendJSON(nil), &got); err != nil {
			t.Fatalf("%q: wrote %s: %v", text, v, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	})
}
