package graphql_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// reference is the schema of aws-samples/bedrock-appsync-streaming.
const reference = `
type Message @aws_api_key @aws_iam { content: String contentType: String }
input SendMessageInput { sessionId: String! message: String! locale: String! }
type GetLlmResponse @aws_api_key @aws_iam { sessionId: String locale: String messages: [Message] }
input GetLlmResponseInput { sessionId: String! message: String! locale: String! }
type SendMessageResponse @aws_api_key @aws_iam { sessionId: String! message: String! locale: String! timeStamp: String! }
type Mutation { sendMessage(input: SendMessageInput!): SendMessageResponse @aws_api_key @aws_iam }
type Query { getLlmResponse(input: GetLlmResponseInput!): GetLlmResponse @aws_api_key }
type Subscription { onSendMessage(sessionId: String): SendMessageResponse @aws_subscribe(mutations: ["sendMessage"]) @aws_api_key }
schema { query: Query mutation: Mutation subscription: Subscription }
`

var apiKey = graphql.Caller{Mode: graphql.ModeAPIKey}

func load(t testing.TB, sdl string) *graphql.Schema {
	t.Helper()
	return loadWith(t, graphql.Options{DefaultMode: graphql.ModeAPIKey}, sdl)
}

func loadWith(t testing.TB, opts graphql.Options, sdl string) *graphql.Schema {
	t.Helper()
	s, err := graphql.Load(opts, graphql.Source{Name: "test.graphql", Text: sdl})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t testing.TB, text string) graphql.Value {
	t.Helper()
	v, err := graphql.ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// constant resolves to a JSON text.
func constant(t testing.TB, text string) graphql.Resolver {
	v := parse(t, text)
	return func(context.Context, *graphql.Field) (graphql.Value, error) { return v, nil }
}

// ask runs a request, and returns the answer's body.
func ask(t testing.TB, e *graphql.Executor, s *graphql.Schema, c graphql.Caller, query, variables string) string {
	t.Helper()
	req := graphql.Request{Query: query}
	if variables != "" {
		req.Variables = parse(t, variables)
	}
	op, errs := s.Prepare(req)
	if errs != nil {
		r := graphql.Response{Errors: errs}
		return string(r.AppendJSON(nil))
	}
	body := e.Execute(t.Context(), op, c).AppendJSON(nil)
	if !json.Valid(body) {
		t.Errorf("not JSON: %s", body)
	}
	return string(body)
}

func bind(t testing.TB, s *graphql.Schema, resolvers map[string]graphql.Resolver) *graphql.Executor {
	t.Helper()
	e, err := graphql.NewExecutor(s, resolvers)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const query = "type Query { a: Int }\n"
	for _, tt := range []struct{ sdl, want string }{
		{"type Query {\n  a Int }", "test.graphql:2:5: "},
		{query + "type B { c: Missing }", "test.graphql:2:13: Undefined type Missing."},
		{query + "type Subscription { s: Int @aws_subscribe(mutations: [\"m\"]) }", `test.graphql:2:29: @aws_subscribe on s names the mutation "m", which does not exist`},
		{query + "type Mutation { m: String }\ntype Subscription { s: Int @aws_subscribe(mutations: [\"m\"]) }", "test.graphql:3:29: s has the type Int, but the mutation m, whose results are its events, has String"},
		{"type Query { a: Int @aws_subscribe(mutations: []) }", "test.graphql:1:22: @aws_subscribe belongs on a field of the subscription type, not on Query.a"},
		{query + "type A { b: Int @nobody }", "test.graphql:2:18: Undefined directive nobody."},
		{"type Query { a(n: Int = \"x\"): Int }", `test.graphql:1:26: the default of n is not a Int: Expected type 'Int' but was "x"`},
		{query + "input I { e: E = RED, u: AWSURL = \"nowhere\" } enum E { RED }", "test.graphql:2:36: the default of u is not a AWSURL"},
		{query + "input I { a: Int! b: I = {} }", "test.graphql:2:19: the default of b needs itself"},
		{query + "input I { b: J = {} } input J { c: [I] = [{b: {}}, {}] }", " needs itself"},
		{query + "input I { a: Int! } input J { c: I = {} }", "the default of c is not a I: a: a value of type 'Int!' is required"},
		{query + "input I { a: Int } input J { c: I = {b: 1} }", "the default of c is not a I: 'I' has no field 'b'"},
		{query + strings.Repeat("#", 1<<20), "test.graphql: the schema has more than 1048576 bytes"},
	} {
		_, err := graphql.Load(graphql.Options{}, graphql.Source{Name: "test.graphql", Text: tt.sdl})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.100s:\n got %v\nwant %s", tt.sdl, err, tt.want)
		}
	}
}

// Schemas as tools print them declare what AppSync has built in.
func TestLoadWhatIsBuiltIn(t *testing.T) {
	t.Parallel()
	load(t, `scalar AWSJSON
		directive @aws_api_key on FIELD_DEFINITION | OBJECT
		directive @aws_subscribe(mutations: [String]) on FIELD_DEFINITION
		type Query { a: AWSJSON @aws_api_key }`)
}

func TestSchemaWithoutQueries(t *testing.T) {
	t.Parallel()
	for _, sdl := range []string{
		`schema { mutation: Mutation subscription: Subscription }
		 type Mutation { ModelSet: Boolean! sendChunk(chunk: String!): String }
		 type Subscription { chat: String @aws_subscribe(mutations: ["sendChunk"]) }`,
		`type Mutation { ModelSet: Boolean! }`,
		`schema { mutation: Mutation } type Mutation { ModelSet: Boolean! } type Query { notTheRoot: Int }`,
	} {
		s := load(t, sdl)
		e := bind(t, s, map[string]graphql.Resolver{"Mutation.ModelSet": constant(t, `true`)})
		if got, want := ask(t, e, s, apiKey, `mutation { ModelSet }`, ""), `{"data":{"ModelSet":true}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := ask(t, e, s, apiKey, `{ __schema { queryType { name } } }`, ""); !strings.Contains(got, `"name":"Query`) {
			t.Errorf("the query type: %s", got)
		}
	}
}

func TestBindRefuses(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	_, err := graphql.NewExecutor(s, map[string]graphql.Resolver{"Mutation.sendMesage": nil})
	if want := "graphql: Mutation.sendMesage is not a field of the schema's query or mutation type"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = graphql.NewExecutor(s, map[string]graphql.Resolver{"Subscription.onSendMessage": nil})
	if want := "graphql: Subscription.onSendMessage is a subscription, which has no resolver"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
