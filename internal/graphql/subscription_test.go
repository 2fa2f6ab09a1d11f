package graphql_test

import (
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
