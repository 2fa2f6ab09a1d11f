package graphql_test

import (
	"encoding/json"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

func TestValue(t *testing.T) {
	t.Parallel()
	v := parse(t, `{"a":{"b":[1,"x",null]},"twice":1,"twice":2,"n":null,"t":true,"e":1e3,"half":0.5}`)
	if got, _ := v.Get("twice").Int(); got != 2 {
		t.Errorf("of two members with one name: %d", got)
	}
	if got := v.Get("a", "b"); got.Len() != 3 || got.Index(1).Text() != "x" || !got.Index(2).IsNull() {
		t.Errorf("a list: %s", got)
	}
	if v.Get("n").Kind() != graphql.KindNull || v.Get("x").Kind() != graphql.KindAbsent || v.Get("a", "b", "c").Kind() != graphql.KindAbsent {
		t.Error("null and absent are not told apart")
	}
	if n, ok := v.Get("e").Int(); n != 1000 || !ok {
		t.Errorf("1e3: %d %v", n, ok)
	}
	if _, ok := v.Get("half").Int(); ok || !v.Get("t").Bool() || v.Get("n").Bool() || v.Get("t").Text() != "" {
		t.Error("values are taken for what they are not")
	}
	from, err := graphql.From(map[string]any{"b": []int{1}, "a": "<&>"})
	if got, want := from.String(), `{"a":"<&>","b":[1]}`; err != nil || got != want {
		t.Errorf("From: %s, %v", got, err)
	}
	if _, err := graphql.From(func() {}); err == nil {
		t.Error("a function is a value")
	}
}

// Requests are bodies of HTTP requests and texts within WebSocket messages.
func TestRequest(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]graphql.Request{
		`{"query":"{ a }"}`: {Query: "{ a }"},
		`{"query":"{ a }","variables":null,"operationName":null,"extensions":{}}`: {Query: "{ a }", Variables: graphql.Null()},
		`{"query":"q","variables":{"a":1},"operationName":"N"}`:                   {Query: "q", OperationName: "N", Variables: parse(t, `{"a":1}`)},
		`{}`:                     {},
		`[]`:                     {},
		`"meow"`:                 {},
		`{"query":1}`:            {},
		`{"query":{"query":""}}`: {},
	} {
		var got graphql.Request
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if got.Query != want.Query || got.OperationName != want.OperationName || got.Variables.Kind() != want.Variables.Kind() || got.Variables.String() != want.Variables.String() {
			t.Errorf("%s: %+v", body, got)
		}
	}
}
