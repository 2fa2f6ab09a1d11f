package graphql_test

import (
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// What the clients of the three designs send, word for word, to the schema that a
// gateway has by itself.
func TestBuiltInTakesThePublishedDocuments(t *testing.T) {
	t.Parallel()
	builtin := graphql.Source{Name: "builtin.graphql", Text: readFile(t, "../gqlapi/builtin.graphql")}
	s, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, builtin)
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
