package graphql_test

import (
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

const onSendMessage = `subscription onSendMessage($sessionId: String) {
  onSendMessage(sessionId: $sessionId) { __typename locale text: message sessionId ...rest }
}
fragment rest on SendMessageResponse { timeStamp }`

func subscribe(t testing.TB, s *graphql.Schema, c graphql.Caller, query, variables string) *graphql.Subscription {
	t.Helper()
	op, errs := s.Prepare(graphql.Request{Query: query, Variables: parse(t, variables)})
	if errs != nil {
		t.Fatal(errs)
	}
	sub, err := s.Subscribe(op, c)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestProjection(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	sub := subscribe(t, s, apiKey, onSendMessage, `{"sessionId":"s"}`)
	for _, tt := range []struct{ name, event, want string }{
		{
			"all", `{"sessionId":"s","message":"a\"b","locale":"en_US","timeStamp":"now","more":1}`,
			`{"data":{"onSendMessage":{"__typename":"SendMessageResponse","locale":"en_US","text":"a\"b","sessionId":"s","timeStamp":"now"}}}`,
		},
		{
			"a field that must be there is not", `{"sessionId":"s","message":"m","locale":"en_US"}`,
			`{"data":{"onSendMessage":null},"errors":[{"path":["onSendMessage","timeStamp"],"data":null,"errorType":null,"errorInfo":null,` +
				`"locations":[{"line":4,"column":40,"sourceName":null}],"message":"Cannot return null for non-nullable type: 'String' within parent 'SendMessageResponse' (/onSendMessage/timeStamp)"}]}`,
		},
	} {
		if got := string(sub.Plan.AppendPayload(nil, parse(t, tt.event))); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Subscribers to different sessions share a plan; others who see less do not.
func TestPlansAreShared(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	a, b := subscribe(t, s, apiKey, onSendMessage, `{"sessionId":"a"}`), subscribe(t, s, apiKey, onSendMessage, `{"sessionId":"b"}`)
	if a.Plan != b.Plan {
		t.Error("two sessions have two plans")
	}
	denied := apiKey
	denied.DeniedFields = []string{"SendMessageResponse.message"}
	if c := subscribe(t, s, denied, onSendMessage, `{"sessionId":"a"}`); c.Plan == a.Plan {
		t.Error("one who may not see a field has the plan of those who may")
	}
}

// Everybody has groups of their own, but only those count that a directive names.
func TestPlansByGroup(t *testing.T) {
	t.Parallel()
	s := loadWith(t, graphql.Options{DefaultMode: graphql.ModeCognito}, `type E { a: Int b: Int @aws_cognito_user_pools(cognito_groups: ["staff"]) }
		type Query { q: E } type Mutation { m: E } type Subscription { on: E @aws_subscribe(mutations: ["m"]) }`)
	plan := func(groups ...string) *graphql.Plan {
		return subscribe(t, s, graphql.Caller{Mode: graphql.ModeCognito, Groups: groups}, `subscription { on { a b } }`, `{}`).Plan
	}
	if plan("x") != plan("y", "z") || plan("staff") != plan("x", "staff") {
		t.Error("groups that matter to nobody make plans of their own")
	}
	event := parse(t, `{"a":1,"b":2}`)
	if got, want := string(plan("staff").AppendPayload(nil, event)), `{"data":{"on":{"a":1,"b":2}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := `{"data":{"on":{"a":1,"b":null}},"errors":[{"path":["on","b"],"data":null,"errorType":"Unauthorized","errorInfo":null,` +
		`"locations":[{"line":1,"column":23,"sourceName":null}],"message":"Not Authorized to access b on type E"}]}`
	if got := string(plan("x").AppendPayload(nil, event)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	s := load(t, reference+"\nextend type Subscription { chat: Int must(n: Int!): Int @aws_iam }")
	for _, tt := range []struct {
		caller                     graphql.Caller
		query, variables, typ, msg string
	}{
		{apiKey, `{ __typename }`, `{}`, "UnsupportedOperation", "query not supported through the realtime channel"},
		{apiKey, sendMessage, aMessage, "UnsupportedOperation", "mutation not supported through the realtime channel"},
		{graphql.Caller{Mode: graphql.ModeIAM}, onSendMessage, `{}`, "Unauthorized", "Not Authorized to access onSendMessage on type Subscription"},
		{graphql.Caller{}, `subscription { chat }`, `{}`, "Unauthorized", "Not Authorized to access chat on type Subscription"},
		{apiKey, `subscription { a: chat b: chat }`, `{}`, "", "Validation error of type SingleFieldSubscriptions: a subscription must select only one top level field."},
		{apiKey, `subscription { chat @skip(if: true) }`, `{}`, "", "the subscription selects no field"},
		{graphql.Caller{Mode: graphql.ModeIAM}, `subscription($n: Int = 1) { must(n: $n) }`, `{"n":null}`, "", "Argument 'n' has an invalid value: Variable 'n' has coerced Null value for NonNull type 'Int!'"},
	} {
		op, errs := s.Prepare(graphql.Request{Query: tt.query, Variables: parse(t, tt.variables)})
		if errs != nil {
			t.Errorf("%s: %v", tt.query, errs)
			continue
		}
		if _, err := s.Subscribe(op, tt.caller); err == nil || err.Type != tt.typ || err.Message != tt.msg {
			t.Errorf("%s: got %+v", tt.query, err)
		}
	}
	if _, errs := s.Prepare(graphql.Request{Query: `subscription { chat onSendMessage { message } }`}); errs == nil {
		t.Error("two fields are taken")
	}
}

// Clients drop data that is null, so the field is, whatever its type says.
func TestPayloadsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := loadWith(t, graphql.Options{DefaultMode: graphql.ModeAPIKey, Limits: graphql.Limits{Response: 60}},
		`type Query { q: Int } type E { text: String } type Subscription { n: Int! e: E }`)
	n := subscribe(t, s, apiKey, `subscription { n }`, `{}`).Plan
	want := `{"data":{"n":null},"errors":[{"path":["n"],"data":null,"errorType":null,"errorInfo":null,"locations":[{"line":1,"column":16,"sourceName":null}],` +
		`"message":"Cannot return null for non-nullable type: 'Int' within parent 'Subscription' (/n)"}]}`
	if got := string(n.AppendPayload([]byte("before"), graphql.Null())); got != "before"+want {
		t.Errorf("got %s, want %s", got, want)
	}
	e := subscribe(t, s, apiKey, `subscription { e { text } }`, `{}`).Plan
	event := func(n int) graphql.Value {
		return graphql.Object(graphql.Member{Name: "text", Value: graphql.String(strings.Repeat("x", n))})
	}
	want = `{"data":{"e":null},"errors":[{"path":null,"errorType":"LimitExceededError","locations":null,"message":"the event has more than 60 bytes"}]}`
	if got := string(e.AppendPayload(nil, event(100))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(e.AppendPayload(nil, event(1))), `{"data":{"e":{"text":"x"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A document for a root that the schema has not is refused, and nothing worse.
func TestNoSuchRoot(t *testing.T) {
	t.Parallel()
	s := load(t, `type Query { a: Int }`)
	for _, query := range []string{`mutation { a }`, `subscription { a }`, `mutation { __typename }`, `subscription { ...f } fragment f on Query { a }`} {
		if _, errs := s.Prepare(graphql.Request{Query: query}); errs == nil {
			t.Errorf("%s is taken", query)
		}
	}
}

func BenchmarkProjection(b *testing.B) {
	s := load(b, reference)
	sub := subscribe(b, s, apiKey, onSendMessage, `{"sessionId":"s"}`)
	event := parse(b, `{"sessionId":"s","message":"Hello, world","locale":"en_US","timeStamp":"2025-01-02T03:04:06.001Z"}`)
	payload := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		payload = sub.Plan.AppendPayload(payload[:0], event)
	}
}

func BenchmarkFilter(b *testing.B) {
	s := load(b, reference)
	sub := subscribe(b, s, apiKey, onSendMessage, `{"sessionId":"s"}`)
	event := parse(b, `{"sessionId":"s","message":"Hello, world","locale":"en_US","timeStamp":"2025-01-02T03:04:06.001Z"}`)
	b.ReportAllocs()
	for b.Loop() {
		sub.Filter.Match(event)
	}
}

func BenchmarkPrepare(b *testing.B) {
	s := load(b, reference)
	vars := parse(b, `{"sessionId":"s"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := s.Prepare(graphql.Request{Query: onSendMessage, Variables: vars}); errs != nil {
			b.Fatal(errs)
		}
	}
}
