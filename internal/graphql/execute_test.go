package graphql_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
)

const sendMessage = `mutation SendMessageMutation($input: SendMessageInput!) { sendMessage(input: $input) { locale message sessionId timeStamp } }`

const aMessage = `{"input":{"sessionId":"s","message":"hi","locale":"en_US"}}`

// publisher answers as the reference's NONE data source does.
func publisher(t testing.TB, s *graphql.Schema) *graphql.Executor {
	t.Helper()
	return bind(t, s, map[string]graphql.Resolver{
		"Mutation.sendMessage": func(_ context.Context, f *graphql.Field) (graphql.Value, error) {
			in := f.Args.Get("input")
			return graphql.Object(
				graphql.Member{Name: "sessionId", Value: in.Get("sessionId")}, graphql.Member{Name: "message", Value: in.Get("message")},
				graphql.Member{Name: "locale", Value: in.Get("locale")}, graphql.Member{Name: "timeStamp", Value: graphql.String("now")},
			), nil
		},
		"Query.getLlmResponse": constant(t, `{"sessionId":"s","locale":"en_US","messages":[{"content":"success","contentType":"PlainText"}]}`),
	})
}

func TestAccess(t *testing.T) {
	t.Parallel()
	const notOurs = `,"errors":[{"path":["sendMessage"],"data":null,"errorType":"Unauthorized","errorInfo":null,` +
		`"locations":[{"line":1,"column":59,"sourceName":null}],"message":"Not Authorized to access sendMessage on type Mutation"}]}`
	s := load(t, reference)
	e := publisher(t, s)
	for _, tt := range []struct {
		name   string
		caller graphql.Caller
		want   string
	}{
		{"api key", apiKey, `{"data":{"sendMessage":{"locale":"en_US","message":"hi","sessionId":"s","timeStamp":"now"}}}`},
		{"additional mode, also on the type", graphql.Caller{Mode: graphql.ModeIAM}, `{"data":{"sendMessage":{"locale":"en_US","message":"hi","sessionId":"s","timeStamp":"now"}}}`},
		{"another mode", graphql.Caller{Mode: graphql.ModeOIDC}, `{"data":{"sendMessage":null}` + notOurs},
		{"nobody", graphql.Caller{}, `{"data":{"sendMessage":null}` + notOurs},
		{"nobody was asked", graphql.Caller{Mode: graphql.ModeUnchecked}, `{"data":{"sendMessage":{"locale":"en_US","message":"hi","sessionId":"s","timeStamp":"now"}}}`},
		{"denied", graphql.Caller{Mode: graphql.ModeAPIKey, DeniedFields: []string{"arn:aws:appsync:us-east-1:1:apis/x/types/Mutation/fields/sendMessage"}}, `{"data":{"sendMessage":null}` + notOurs},
		{
			"denied within, where it cannot be null", graphql.Caller{Mode: graphql.ModeAPIKey, DeniedFields: []string{"SendMessageResponse.message"}},
			`{"data":{"sendMessage":null},"errors":[{"path":["sendMessage","message"],"data":null,"errorType":"Unauthorized","errorInfo":null,` +
				`"locations":[{"line":1,"column":95,"sourceName":null}],"message":"Not Authorized to access message on type SendMessageResponse"}]}`,
		},
	} {
		if got := ask(t, e, s, tt.caller, sendMessage, aMessage); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestDirectivesReplaceOneAnother(t *testing.T) {
	t.Parallel()
	s := load(t, `
		type Query { plain: Int iam: Int @aws_iam both: Int @aws_api_key @aws_iam typed: Typed @aws_iam bare: Bare @aws_iam
			groups: Int @aws_cognito_user_pools(cognito_groups: ["a", "b"]) anyGroup: Int @aws_cognito_user_pools auth: Int @aws_auth(cognito_groups: ["a"])
			lambda: Int @aws_lambda oidc: Int @aws_oidc }
		type Typed @aws_iam { x: Int y: Int @aws_api_key }
		type Bare { x: Int }`)
	e := bind(t, s, map[string]graphql.Resolver{"Query.typed": constant(t, `{"x":1,"y":1}`), "Query.bare": constant(t, `{"x":1}`)})
	for _, tt := range []struct {
		caller graphql.Caller
		query  string
		denied string // fields, in order
	}{
		{apiKey, "{ plain iam both }", "iam"},
		{graphql.Caller{Mode: graphql.ModeIAM}, "{ plain iam both typed { x y } bare { x } }", "plain typed/y bare/x"},
		{graphql.Caller{Mode: graphql.ModeCognito, Groups: []string{"b"}}, "{ groups anyGroup auth }", "auth"},
		{graphql.Caller{Mode: graphql.ModeCognito}, "{ groups anyGroup auth }", "groups auth"},
		{graphql.Caller{Mode: graphql.ModeLambda}, "{ lambda oidc }", "oidc"},
		{graphql.Caller{Mode: graphql.ModeOIDC}, "{ lambda oidc __typename __schema { queryType { name } } }", "lambda"},
	} {
		op, errs := s.Prepare(graphql.Request{Query: tt.query})
		if errs != nil {
			t.Fatal(errs)
		}
		var denied []string
		for _, err := range e.Execute(t.Context(), op, tt.caller).Errors {
			path := make([]string, len(err.Path))
			for i, p := range err.Path {
				path[i] = p.(string)
			}
			denied = append(denied, strings.Join(path, "/"))
		}
		if got := strings.Join(denied, " "); got != tt.denied {
			t.Errorf("%v %s: denied %q, want %q", tt.caller, tt.query, got, tt.denied)
		}
	}
}

// A mutation's event is its result as it was selected, by the names of the fields.
func TestCompleted(t *testing.T) {
	t.Parallel()
	s := load(t, `interface N { id: ID }
		type A implements N { id: ID list: [A] secret: Int @aws_iam text: String! }
		type Query { q: A } type Mutation { n: N a: A fails: A none: A bad: A }`)
	value := constant(t, `{"__typename":"A","id":5,"text":"x","secret":1,"list":[{"id":1,"text":"y"},{"id":2,"text":"z"}],"more":1}`)
	e := bind(t, s, map[string]graphql.Resolver{
		"Mutation.n": value, "Mutation.a": value, "Query.q": value, "Mutation.bad": constant(t, `{"id":"b"}`),
		"Mutation.fails": func(context.Context, *graphql.Field) (graphql.Value, error) { return graphql.Value{}, errors.New("no") },
	})
	var got []string
	e.Completed = func(_ context.Context, f *graphql.Field, event graphql.Value) {
		got = append(got, f.Name+" "+event.String())
	}
	ask(t, e, s, apiKey, `{ q { id } }`, "")
	ask(t, e, s, apiKey, `mutation { a { one: id } }`, "")
	ask(t, e, s, apiKey, `mutation { x: a { list { id } more: list { n: text } } fails { id } none { id } n { id ... on A { text } } bad { text } }`, "")
	ask(t, e, s, apiKey, `mutation { a { id secret } }`, "") // may not see the secret
	want := []string{
		`a {"id":"5"}`,
		`a {"list":[{"id":"1","text":"y"},{"id":"2","text":"z"}]}`,
		`n {"__typename":"A","id":"5","text":"x"}`,
		`a {"id":"5"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestResolverErrors(t *testing.T) {
	t.Parallel()
	s := load(t, `type A { x: Int y: Int } type Query { a: A b: A c: A d: A }`)
	e := bind(t, s, map[string]graphql.Resolver{
		"Query.a": func(context.Context, *graphql.Field) (graphql.Value, error) {
			return graphql.Value{}, &graphql.Error{Message: "m", Type: "T", Info: graphql.Int(1), Data: parse(t, `{"x":1,"y":2}`)}
		},
		"Query.b": func(context.Context, *graphql.Field) (graphql.Value, error) {
			return graphql.Value{}, runnel.Errorf(runnel.Limited, "slow down").Because(errors.New("secret"))
		},
		"Query.c": func(context.Context, *graphql.Field) (graphql.Value, error) {
			return graphql.Value{}, errors.New("secret")
		},
		"Query.d": func(context.Context, *graphql.Field) (graphql.Value, error) { panic("secret") },
	})
	got := ask(t, e, s, apiKey, `{ a { y } b { y } c { y } d { y } }`, "")
	want := `{"data":{"a":null,"b":null,"c":null,"d":null},"errors":[` +
		`{"path":["a"],"data":{"y":2},"errorType":"T","errorInfo":1,"locations":[{"line":1,"column":3,"sourceName":null}],"message":"m"},` +
		`{"path":["b"],"data":null,"errorType":null,"errorInfo":null,"locations":[{"line":1,"column":11,"sourceName":null}],"message":"slow down"},` +
		`{"path":["c"],"data":null,"errorType":null,"errorInfo":null,"locations":[{"line":1,"column":19,"sourceName":null}],"message":"internal error"},` +
		`{"path":["d"],"data":null,"errorType":null,"errorInfo":null,"locations":[{"line":1,"column":27,"sourceName":null}],"message":"internal error"}]}`
	if got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}

	var mu sync.Mutex
	var seen []string
	e.Error = func(_ context.Context, f *graphql.Field, err error) *graphql.Error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, f.Name)
		return &graphql.Error{Message: "ours", Type: "Lambda:Unhandled"}
	}
	got = ask(t, e, s, apiKey, `{ c { y } d { y } }`, "")
	if slices.Sort(seen); !slices.Equal(seen, []string{"c", "d"}) || strings.Count(got, `"errorType":"Lambda:Unhandled"`) != 2 {
		t.Errorf("asked about %v, answered %s", seen, got)
	}
}

// Those of a query run at the same time: each waits for the others here.
func TestQueriesAreParallel(t *testing.T) {
	t.Parallel()
	s := load(t, `type Query { a: Int b: Int c: Int } type Mutation { a: Int b: Int }`)
	var all sync.WaitGroup
	all.Add(3)
	wait := func(context.Context, *graphql.Field) (graphql.Value, error) {
		all.Done()
		all.Wait()
		return graphql.Int(1), nil
	}
	running := 0 // without a lock: mutations run one after the other, as -race sees
	alone := func(context.Context, *graphql.Field) (graphql.Value, error) {
		running++
		return graphql.Int(int64(running)), nil
	}
	e := bind(t, s, map[string]graphql.Resolver{"Query.a": wait, "Query.b": wait, "Query.c": wait, "Mutation.a": alone, "Mutation.b": alone})
	if got, want := ask(t, e, s, apiKey, `{ a b c }`, ""), `{"data":{"a":1,"b":1,"c":1}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ask(t, e, s, apiKey, `mutation { b a x: b }`, ""), `{"data":{"b":1,"a":2,"x":3}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What Lambda resolvers are told.
func TestSelectionSets(t *testing.T) {
	t.Parallel()
	s := load(t, `union U = A | B type A { x: Int b: B } type B { y: Int } type Query { a: A u: [U!]! n: Int }`)
	var list []string
	var text string
	note := func(_ context.Context, f *graphql.Field) (graphql.Value, error) {
		list, text = f.SelectionSetList(), f.SelectionSetGraphQL()
		return graphql.Null(), nil
	}
	e := bind(t, s, map[string]graphql.Resolver{"Query.a": note, "Query.u": note, "Query.n": note})
	for _, tt := range []struct{ query, list, text string }{
		{"{ a { x other: b { y __typename } } }", "x other other/y other/__typename", "{\n  x\n  other: b {\n    y\n    __typename\n  }\n}"},
		{"{ u { __typename ... on B { y } } }", "__typename y", "{\n  ... on A {\n    __typename\n  }\n  ... on B {\n    __typename\n    y\n  }\n}"},
		{"{ n }", "", ""},
	} {
		ask(t, e, s, apiKey, tt.query, "")
		if got := strings.Join(list, " "); got != tt.list || text != tt.text {
			t.Errorf("%s: %q\n%s", tt.query, got, text)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	e := publisher(t, s)
	for _, tt := range []struct{ query, variables, want string }{
		{"{ x }", "", `{"data":null,"errors":[{"path":null,"locations":[{"line":1,"column":3,"sourceName":null}],"message":"Validation error of type FieldUndefined: Field 'x' in type 'Query' is undefined @ 'x'"}]}`},
		{"{ getLlmResponse(input: {sessionId: \"s\", message: \"m\", locale: \"l\"}) { messages { ... { y } } ...f } } fragment f on GetLlmResponse { z }", "", `{"data":null,"errors":[` +
			`{"path":null,"locations":[{"line":1,"column":89,"sourceName":null}],"message":"Validation error of type FieldUndefined: Field 'y' in type 'Message' is undefined @ 'getLlmResponse/messages/y'"},` +
			`{"path":null,"locations":[{"line":1,"column":135,"sourceName":null}],"message":"Validation error of type FieldUndefined: Field 'z' in type 'GetLlmResponse' is undefined @ 'f/z'"}]}`},
		{"{", "", `{"data":null,"errors":[{"path":null,"locations":[{"line":1,"column":2,"sourceName":null}],"message":"Validation error of type InvalidSyntax: Expected Name, found <EOF>"}]}`},
		{sendMessage, "", `{"data":null,"errors":[{"path":null,"locations":[{"line":1,"column":30,"sourceName":null}],"message":"Variable 'input' has coerced Null value for NonNull type 'SendMessageInput!'"}]}`},
		{sendMessage, `{"input":{"sessionId":5}}`, `{"data":null,"errors":[{"path":null,"locations":[{"line":1,"column":30,"sourceName":null}],"message":"Variable 'input' has an invalid value: Expected type 'String' but was 'Number'"}]}`},
		{onSendMessage, "", `{"data":null,"errors":[{"path":null,"errorType":"BadRequestException","locations":null,"message":"Subscriptions over MQTT is not supported."}]}`},
	} {
		if got := ask(t, e, s, apiKey, tt.query, tt.variables); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.query, got, tt.want)
		}
	}
}

func TestNoIntrospection(t *testing.T) {
	t.Parallel()
	s := loadWith(t, graphql.Options{DefaultMode: graphql.ModeAPIKey, NoIntrospection: true}, reference)
	e := publisher(t, s)
	for _, query := range []string{`{ __schema { queryType { name } } }`, `{ ...f } fragment f on Query { x: __type(name: "Query") { name } }`} {
		if got := ask(t, e, s, apiKey, query, ""); !strings.Contains(got, "introspection is disabled") {
			t.Errorf("%s: got %s", query, got)
		}
	}
	if got, want := ask(t, e, s, apiKey, `{ __typename }`, ""), `{"data":{"__typename":"Query"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// One document, many at the same time: nothing of it may be written to.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	e := publisher(t, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				ask(t, e, s, apiKey, sendMessage, aMessage)
				sub := subscribe(t, s, apiKey, onSendMessage, `{"sessionId":"s"}`)
				sub.Plan.AppendPayload(nil, parse(t, `{"sessionId":"s"}`))
				if _, errs := s.Prepare(graphql.Request{Query: `{ nothing }`}); errs == nil {
					t.Error("a query for nothing is valid")
				}
			}
		})
	}
	wg.Wait()
}
