package graphql_test

import (
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

const filtered = `
type Inner { n: Int deep: Inner }
type Event { id: ID text: String n: Int f: Float b: Boolean tags: [String] inner: Inner }
type Query { a: Int }
type Mutation { send: Event }
type Subscription { on(id: ID, text: String, n: Int, b: Boolean = null, other: String): Event @aws_subscribe(mutations: ["send"]) scalar(text: String): String }
`

func TestFilterByArguments(t *testing.T) {
	t.Parallel()
	s := load(t, strings.Replace(filtered, " = null", "", 1))
	for _, tt := range []struct {
		query, variables, event string
		want                    bool
	}{
		{`subscription { on { id } }`, `{}`, `{}`, true},
		{`subscription { on(id: "1") { id } }`, `{}`, `{"id":"1"}`, true},
		{`subscription { on(id: 1) { id } }`, `{}`, `{"id":"1"}`, true}, // an ID is a string, however it is written
		{`subscription { on(id: "1") { id } }`, `{}`, `{"id":"2"}`, false},
		{`subscription { on(id: "1") { id } }`, `{}`, `{"id":null}`, false},
		{`subscription { on(id: "1") { id } }`, `{}`, `{}`, false}, // the mutation did not select it
		{`subscription { on(id: null) { id } }`, `{}`, `{"id":null}`, true},
		{`subscription { on(id: null) { id } }`, `{}`, `{}`, true},
		{`subscription { on(id: null) { id } }`, `{}`, `{"id":"1"}`, false},
		{`subscription($id: ID) { on(id: $id) { id } }`, `{}`, `{"id":"1"}`, true}, // not set: does not filter
		{`subscription($id: ID) { on(id: $id) { id } }`, `{"id":null}`, `{"id":"1"}`, false},
		{`subscription { on(n: 1, text: "x") { id } }`, `{}`, `{"n":1.0,"text":"x"}`, true},
		{`subscription { on(n: 1, text: "x") { id } }`, `{}`, `{"n":1,"text":"y"}`, false},
		{`subscription { on(b: false) { id } }`, `{}`, `{"b":false}`, true},
		{`subscription { on(other: "x") { id } }`, `{}`, `{"id":"x"}`, false},
		{`subscription { scalar(text: "x") }`, `{}`, `"x"`, false},
		{`subscription { scalar }`, `{}`, `"x"`, true},
	} {
		sub := subscribe(t, s, apiKey, tt.query, tt.variables)
		if got := sub.Filter.Match(parse(t, tt.event)); got != tt.want {
			t.Errorf("%s %s on %s: %v", tt.query, tt.variables, tt.event, got)
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	const event = `{"text":"hello","n":5,"f":2.5,"big":9007199254740993,"b":true,"none":null,"tags":["a","b"],"numbers":[1,2],"inner":{"n":1,"deep":{"n":2}}}`
	for _, tt := range []struct {
		name, operator, value string
		want                  bool
	}{
		{"text", "eq", `"hello"`, true}, {"text", "eq", `"Hello"`, false}, {"n", "eq", `5.0`, true}, {"n", "eq", `"5"`, false}, {"b", "eq", `true`, true}, {"big", "eq", `9007199254740993`, true}, {"big", "eq", `9007199254740992`, false}, {"big", "gt", `9007199254740992`, true},
		{"none", "eq", `null`, true}, {"absent", "eq", `null`, true}, {"text", "eq", `null`, false}, {"absent", "eq", `1`, false},
		{"text", "ne", `"x"`, true}, {"text", "ne", `"hello"`, false}, {"absent", "ne", `1`, true}, {"none", "ne", `null`, false},
		{"n", "le", `5`, true}, {"n", "le", `4`, false}, {"n", "lt", `5`, false}, {"n", "lt", `5.5`, true}, {"n", "ge", `5`, true}, {"n", "ge", `6`, false},
		{"n", "gt", `4`, true}, {"n", "gt", `5`, false}, {"text", "gt", `"a"`, true}, {"text", "lt", `5`, false}, {"absent", "lt", `5`, false}, {"none", "ge", `0`, false},
		{"text", "contains", `"ell"`, true}, {"text", "contains", `"x"`, false}, {"tags", "contains", `"a"`, true}, {"tags", "contains", `"c"`, false}, {"numbers", "contains", `2`, true}, {"absent", "contains", `"x"`, false},
		{"text", "notContains", `"ell"`, false}, {"text", "notContains", `"x"`, true}, {"tags", "notContains", `"a"`, false}, {"absent", "notContains", `"x"`, true},
		{"text", "beginsWith", `"he"`, true}, {"text", "beginsWith", `"lo"`, false}, {"n", "beginsWith", `"5"`, false},
		{"n", "in", `[1,5]`, true}, {"n", "in", `[1]`, false}, {"text", "in", `["hello"]`, true}, {"absent", "in", `[1]`, false},
		{"n", "notIn", `[1,5]`, false}, {"n", "notIn", `[1]`, true}, {"absent", "notIn", `[1]`, true},
		{"n", "between", `[5,6]`, true}, {"n", "between", `[1,4]`, false}, {"n", "between", `[6,9]`, false}, {"text", "between", `["a","i"]`, true}, {"absent", "between", `[1,2]`, false},
		{"tags", "containsAny", `["x","b"]`, true}, {"tags", "containsAny", `["x"]`, false}, {"text", "containsAny", `["x","lo"]`, true},
		{"inner.n", "eq", `1`, true}, {"inner.deep.n", "eq", `2`, true}, {"inner.deep.n", "eq", `1`, false}, {"inner.x.y", "eq", `1`, false}, {"text.x", "eq", `1`, false},
	} {
		f, err := graphql.ParseFilter(parse(t, `{"filterGroup":[{"filters":[{"fieldName":"`+tt.name+`","operator":"`+tt.operator+`","value":`+tt.value+`}]}]}`))
		if err != nil {
			t.Errorf("%s %s %s: %v", tt.name, tt.operator, tt.value, err)
			continue
		}
		if got := f.Match(parse(t, event)); got != tt.want {
			t.Errorf("%s %s %s: %v", tt.name, tt.operator, tt.value, got)
		}
	}
}

func TestFilterGroups(t *testing.T) {
	t.Parallel()
	f, err := graphql.ParseFilter(parse(t, `{"filterGroup":[
		{"filters":[{"fieldName":"a","operator":"eq","value":1},{"fieldName":"b","operator":"eq","value":1}]},
		{"filters":[{"fieldName":"c","operator":"eq","value":1}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]bool{`{"a":1,"b":1}`: true, `{"a":1}`: false, `{"c":1}`: true, `{}`: false, `null`: false, `"text"`: false} {
		if got := f.Match(parse(t, event)); got != want {
			t.Errorf("%s: %v", event, got)
		}
	}
}

func TestParseFilterRefuses(t *testing.T) {
	t.Parallel()
	rule := func(name, operator, value string) string {
		return `{"filterGroup":[{"filters":[{"fieldName":` + name + `,"operator":"` + operator + `","value":` + value + `}]}]}`
	}
	for _, tt := range []struct{ filter, want string }{
		{`{}`, "needs a filterGroup"}, {`null`, "needs a filterGroup"}, {`{"filterGroup":[]}`, "needs a filterGroup"}, {`{"filterGroup":[{}]}`, "needs filters"}, {`{"filterGroup":[1]}`, "needs filters"},
		{`{"filterGroup":[` + strings.Repeat(`{},`, 10) + `{}]}`, "at most 10 groups"},
		{rule(`"a"`, "like", `1`), `there is no operator "like"`}, {rule(`1`, "eq", `1`), "fieldName"}, {rule(`"a.b.c.d.e.f"`, "eq", `1`), "fieldName"}, {rule(`"a..b"`, "eq", `1`), "fieldName"}, {rule(`""`, "eq", `1`), "fieldName"},
		{rule(`"a"`, "eq", `[1]`), "the filter on a: eq takes a string, a number or a boolean"}, {rule(`"a"`, "lt", `true`), "lt takes"}, {rule(`"a"`, "contains", `null`), "contains takes"}, {rule(`"a"`, "beginsWith", `1`), "beginsWith takes a string"},
		{rule(`"a"`, "in", `1`), "in takes a list of 1 to 5 values"}, {rule(`"a"`, "in", `[1,2,3,4,5,6]`), "in takes a list of 1 to 5"}, {rule(`"a"`, "in", `[null]`), "in takes strings"}, {rule(`"a"`, "containsAny", `[]`), "containsAny takes a list of 1 to 20"},
		{rule(`"a"`, "between", `[1]`), "between takes a list of 2 to 2"}, {rule(`"a"`, "between", `[1,"a"]`), "between takes two numbers or two strings"},
	} {
		if _, err := graphql.ParseFilter(parse(t, tt.filter)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.filter, err, tt.want)
		}
	}
}
