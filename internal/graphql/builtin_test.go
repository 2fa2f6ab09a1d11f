package graphql_test

import (
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// What the clients of the three designs send, word for word.
func TestBuiltInTakesThePublishedDocuments(t *testing.T) {
	t.Parallel()
	s, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, graphql.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ query, variables string }{
		{`query getLlmResponse($locale: String!, $message: String!, $sessionId: String!) { getLlmResponse(input: {locale: $locale, message: $message, sessionId: $sessionId}) { messages { content contentType } locale sessionId } }`, `{"locale":"en_US","message":"m","sessionId":"s","history":[]}`},
		{`subscription onSendMessage($sessionId: String!) { onSendMessage(sessionId: $sessionId) { locale message sessionId timeStamp } }`, `{"sessionId":"s"}`},
		{`mutation SendMessageMutation($input: SendMessageInput!) { sendMessage(input: $input) { locale message sessionId timeStamp } }`, aMessage},
		{`mutation { ModelSet }`, `{}`},
		{`mutation($chunk: String!) { sendChunk(chunk: $chunk) }`, `{"chunk":"c"}`},
		{`subscription { chat }`, `{}`},
		{`mutation M($p:String!){ startStream(prompt:$p){ sessionId status message timestamp error __typename } }`, `{"p":"hi"}`},
		{`mutation($s: String!, $t: String!, $c: Boolean!) { publishToken(sessionId: $s, token: $t, isComplete: $c) { sessionId token isComplete timestamp } }`, `{"s":"s","t":"","c":true}`},
		{`subscription($s: String!) { onTokenReceived(sessionId: $s) { sessionId token isComplete timestamp __typename } }`, `{"s":"s"}`},
	} {
		if _, errs := s.Prepare(graphql.Request{Query: tt.query, Variables: parse(t, tt.variables)}); errs != nil {
			t.Errorf("%s: %v", tt.query, errs)
		}
	}
}

// Every event that the wire has fits the type, in every way to authenticate.
func TestBuiltInEvents(t *testing.T) {
	t.Parallel()
	s, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, graphql.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	const query = `subscription { events(session: "s", after: "c") { type generation attempt cursor text reasoning tool { index id name input }
		progress prompt model stop_reason usage { input_tokens output_tokens cache_read_tokens cache_write_tokens reasoning_tokens } kind message data } }`
	lines := strings.Split(strings.TrimSpace(readFile(t, "../wire/testdata/events.jsonl")), "\n")
	for _, mode := range []graphql.Mode{graphql.ModeAPIKey, graphql.ModeIAM, graphql.ModeCognito, graphql.ModeOIDC, graphql.ModeLambda, graphql.ModeUnchecked} {
		sub := subscribe(t, s, graphql.Caller{Mode: mode}, query, `{}`)
		for _, line := range lines {
			event := parse(t, line)
			payload := parse(t, string(sub.Plan.AppendPayload(nil, event)))
			if errs := payload.Get("errors"); errs.Kind() != graphql.KindAbsent {
				t.Errorf("%s: %s: %s", mode, line, errs)
			}
			for name, member := range event.All() { // all but the version is there
				got := payload.Get("data", "events", name)
				if name == "v" || got.Kind() != graphql.KindAbsent && (got.Kind() != graphql.KindNull) == !member.IsNull() {
					continue
				}
				t.Errorf("%s: %s of %s is lost: %s", mode, name, line, payload)
			}
		}
	}
}
