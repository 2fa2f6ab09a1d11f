package graphql_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/graphql"
)

// The oracle is graphql-js. interop/lib/graphqljs.mjs asks it the questions of
// testdata/oracle/cases.json, and two hundred made-up ones, and writes its answers
// to testdata/oracle; `cd interop && npm ci && node lib/graphqljs.mjs` does so
// again. `make interop` holds them against graphql-js, and asks new questions.

// An oracleAnswer is a question with what graphql-js says.
type oracleAnswer struct {
	Query         string
	OperationName string
	Variables     graphql.Value
	Refused       bool // nothing was executed
	Data          any
	Errors        []oracleError
}

// An oracleError is of an error what does not depend on its words.
type oracleError struct {
	Path      []any
	Locations []struct{ Line, Column int }
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// oracleExecutor answers with the data that graphql-js answers with.
func oracleExecutor(t testing.TB) (*graphql.Schema, *graphql.Executor) {
	t.Helper()
	s := load(t, readFile(t, "testdata/oracle/schema.graphql"))
	data := parse(t, readFile(t, "testdata/oracle/data.json"))
	resolvers := make(map[string]graphql.Resolver)
	for _, f := range s.RootFields() {
		if f.Parent == "Subscription" {
			continue
		}
		value := data.Get(f.Name)
		resolvers[f.Parent+"."+f.Name] = func(_ context.Context, f *graphql.Field) (graphql.Value, error) {
			switch {
			case f.Name == "echo" || f.Name == "must":
				return f.Args, nil
			case value.Get("$error").Kind() == graphql.KindString:
				return graphql.Value{}, errors.New(value.Get("$error").Text())
			}
			return value, nil
		}
	}
	return s, bind(t, s, resolvers)
}

func TestOracle(t *testing.T) {
	t.Parallel()
	s, e := oracleExecutor(t)
	file := "testdata/oracle/answers.json"
	if other := os.Getenv("RUNNEL_GRAPHQL_ANSWERS"); other != "" {
		file = other
	}
	var answers []oracleAnswer
	if err := json.Unmarshal([]byte(readFile(t, file)), &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) < 300 {
		t.Fatalf("%d answers; some are missing", len(answers))
	}
	for _, want := range answers {
		op, errs := s.Prepare(graphql.Request{Query: want.Query, OperationName: want.OperationName, Variables: want.Variables})
		if want.Refused != (errs != nil) {
			t.Errorf("%s\n%s: refused: %v, want %v: %v", want.Query, want.Variables, errs != nil, want.Refused, errs)
			continue
		}
		if errs != nil {
			continue
		}
		var got oracleAnswer
		if err := json.Unmarshal(e.Execute(t.Context(), op, apiKey).AppendJSON(nil), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Data, got.Data); diff != "" {
			t.Errorf("%s\n%s: data (-want +got):\n%s", want.Query, want.Variables, diff)
		}
		if diff := cmp.Diff(want.Errors, got.Errors); diff != "" {
			t.Errorf("%s\n%s: errors (-want +got):\n%s", want.Query, want.Variables, diff)
		}
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	s, e := oracleExecutor(t)
	body := ask(t, e, s, apiKey, readFile(t, "testdata/oracle/introspection.graphql"), "")
	if file := os.Getenv("RUNNEL_GRAPHQL_INTROSPECTION"); file != "" { // for graphql-js to read
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Data   map[string]map[string]any
		Errors []any
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Errors) > 0 {
		t.Fatal(err, got.Errors)
	}
	var want map[string]map[string]any
	if err := json.Unmarshal([]byte(readFile(t, "testdata/oracle/introspection.json")), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ownOf(want["__schema"]), ownOf(got.Data["__schema"])); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
}

// ownOf sorts what a schema says of itself, and leaves out what the specification
// has in every schema, which each implementation describes in its own words.
func ownOf(schema map[string]any) map[string]any {
	specified := []string{"Int", "Float", "String", "Boolean", "ID", "skip", "include", "deprecated", "specifiedBy", "oneOf"}
	name := func(v any) string { s, _ := v.(map[string]any)["name"].(string); return s }
	sorted := func(list any) []any {
		own := slices.DeleteFunc(list.([]any), func(v any) bool {
			return strings.HasPrefix(name(v), "__") || slices.Contains(specified, name(v))
		})
		slices.SortFunc(own, func(a, b any) int { return strings.Compare(name(a), name(b)) })
		return own
	}
	schema["types"], schema["directives"] = sorted(schema["types"]), sorted(schema["directives"])
	return schema
}
