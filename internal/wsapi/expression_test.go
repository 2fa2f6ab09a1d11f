package wsapi

import (
	"encoding/json"
	"testing"
)

func TestExpression(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ source, message, want string }{
		{"$request.body.action", `{"action":"sendtext","x":1}`, "sendtext"},
		{"$request.body.action", ` {"action" : "send\u0074ext"} `, "sendtext"},
		{"$request.body.action", `{"action":5}`, "5"},
		{"$request.body.action", `{"action":5.0}`, "5.0"},
		{"$request.body.action", `{"action":true}`, "true"},
		{"$request.body.action", `{"action":null}`, ""},
		{"$request.body.action", `{"Action":"x"}`, ""},
		{"$request.body.action", `{"action":"a","action":"b"}`, "b"},
		{"$request.body.action", `{}`, ""},
		{"$request.body.action", `[]`, ""},
		{"$request.body.action", `"action"`, ""},
		{"$request.body.action", `hello`, ""},
		{"$request.body.action", `{"action":"x"} trailing`, ""},
		{"$request.body.action", ``, ""},
		{"${request.body.action}", `{"action":"x"}`, "x"},
		{"$request.body.a.b", `{"a":{"b":"deep"}}`, "deep"},
		{"$request.body.a.b", `{"a":"b"}`, ""},
		{"${request.body.service}/${request.body.action}", `{"service":"chat","action":"join"}`, "chat/join"},
		{"${request.body.service}/${request.body.action}", `{"action":"join"}`, "/join"},
		{"$request.body.service/$request.body.action", `{"service":"a","action":"b"}`, "a/b"},
		{"v1-${request.body.a}", `{"a":"x"}`, "v1-x"},
		{`\$default`, `{}`, "$default"},
		{"static", `{"a":1}`, "static"},
		{`back\slash`, `{}`, `back\slash`},
	} {
		e, err := compile(tt.source)
		if err != nil {
			t.Errorf("%s: %v", tt.source, err)
			continue
		}
		if got := e.key([]byte(tt.message)); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.source, tt.message, got, tt.want)
		}
	}
}

func TestExpressionRefuses(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"", "$", "$context.routeKey", "$request.body", "$request.body.", "${request.body.a", "${}", "${request.header.x}",
		"$request.body..a", "${request.body.a b}", "$request.body.a[0]$x",
	} {
		if _, err := compile(source); err == nil {
			t.Errorf("%q is accepted", source)
		}
	}
}

// FuzzSelect: whatever arrives, it takes a route that clients may take, and what
// is not JSON takes $default.
func FuzzSelect(f *testing.F) {
	for _, seed := range []string{`{"action":"sendtext"}`, `{"action":"$connect"}`, `hello`, `{"action":{"a":[]}}`, "{\"action\":\"\xff\"}", `{"action":"$disconnect"}`} {
		f.Add("$request.body.action", []byte(seed))
		f.Add("${request.body.action}", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, source string, message []byte) {
		api := API{Name: "a", Selection: source, Routes: []Route{
			{Key: Connect, Integration: Mock}, {Key: Disconnect, Integration: Mock},
			{Key: Default, Integration: Mock}, {Key: "sendtext", Integration: Mock}, {Key: "$stream", Integration: Mock},
		}}
		table, err := NewTable([]API{api})
		if err != nil {
			return
		}
		r := table.All()[0].Select(message)
		if r == nil || r.Key == Connect || r.Key == Disconnect {
			t.Fatalf("%q takes %v", message, r)
		}
		if !json.Valid(message) && r.Key != Default {
			t.Fatalf("%q, which is not JSON, takes %s", message, r.Key)
		}
	})
}
