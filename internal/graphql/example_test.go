package graphql_test

import (
	"context"
	"fmt"

	"github.com/runnelhq/runnel/internal/graphql"
)

// A mutation whose result goes to a subscriber.
func Example() {
	schema, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, graphql.Source{Name: "chat.graphql", Text: `
		type Message { room: ID! text: String! from: String }
		type Mutation { say(room: ID!, text: String!): Message }
		type Subscription { heard(room: ID): Message @aws_subscribe(mutations: ["say"]) }`})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller := graphql.Caller{Mode: graphql.ModeAPIKey}

	op, _ := schema.Prepare(graphql.Request{Query: `subscription { heard(room: "a") { __typename words: text from } }`})
	subscription, _ := schema.Subscribe(op, caller)

	exec, _ := graphql.NewExecutor(schema, map[string]graphql.Resolver{
		"Mutation.say": func(_ context.Context, f *graphql.Field) (graphql.Value, error) { return f.Args, nil },
	})
	exec.Completed = func(_ context.Context, _ *graphql.Field, event graphql.Value) {
		if subscription.Filter.Match(event) {
			fmt.Println("event: ", string(subscription.Plan.AppendPayload(nil, event)))
		}
	}
	for _, room := range []string{"a", "b"} {
		op, _ = schema.Prepare(graphql.Request{Query: `mutation { say(room: "` + room + `", text: "hello") { room text } }`})
		fmt.Println("answer:", string(exec.Execute(context.Background(), op, caller).AppendJSON(nil)))
	}
	// Output:
	// event:  {"data":{"heard":{"__typename":"Message","words":"hello","from":null}}}
	// answer: {"data":{"say":{"room":"a","text":"hello"}}}
	// answer: {"data":{"say":{"room":"b","text":"hello"}}}
}
