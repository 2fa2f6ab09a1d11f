// Package graphql is AppSync's GraphQL without the transport: schemas made of SDL
// at run time, an executor of queries and mutations, and subscriptions compiled
// to plans that project events. Parsing and validation are gqlparser's.
//
// How a door uses it:
//
//	schema, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, sources...)
//	exec, err := graphql.NewExecutor(schema, map[string]graphql.Resolver{
//		"Mutation.sendMessage": func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
//			input := f.Args.Get("input")
//			return graphql.Object(graphql.Member{"sessionId", input.Get("sessionId")}, …), nil
//		},
//	})
//	exec.Completed = func(ctx context.Context, f *graphql.Field, event graphql.Value) { … } // fan out
//
//	// A request over HTTP. The body decodes into a Request with encoding/json.
//	op, errs := schema.Prepare(req)              // parsed, valid, variables coerced; else errs is the answer
//	resp := exec.Execute(ctx, op, caller)        // refuses subscriptions
//	body = resp.AppendJSON(body)                 // or graphql.Response{Errors: errs}
//
//	// A subscription.
//	op, errs := schema.Prepare(req)
//	sub, err := schema.Subscribe(op, caller)     // directives, arguments; refuses queries and mutations
//	if slices.Contains(sub.Mutations, f.Name) && sub.Filter.Match(event) {
//		payload = sub.Plan.AppendPayload(payload[:0], event)   // {"data":{…}}, and errors if any
//	}
//
// A [Value] is JSON: arguments, results and events are made of it. Subscribers
// who ask for the same in the same text, and who may see the same, have the same
// *[Plan]: project once for each plan and send the bytes to all of them. Filters
// depend on arguments and are each subscriber's own. An enhanced filter goes in
// place of Filter ([ParseFilter]); an invalidation filter is a [Filter] that is
// matched against the invalidation's payload.
//
// An event is a mutation's result as its selection has it, by field names
// ([Field.Restrict]), so that fields which the mutation did not select are null
// for everybody. A door whose events come from elsewhere makes them itself. On
// the path of every token, keep one slice of members and change its values:
//
//	members[1].Value = graphql.String(text)
//	payload = plan.AppendPayload(payload[:0], graphql.Object(members...))
//
// The rules:
//
//   - Only root fields have resolvers. What they return is held to the schema's
//     types: scalars are converted as graphql-js does, a null that must not be
//     takes the nearest object that may be null with it, and an abstract type is
//     told by the value's __typename.
//   - Directives on fields, else on the type, else the default mode decide who may
//     ask; a refused field is null with the error Unauthorized, and its resolver
//     does not run. A zero [Caller] may see nothing.
//   - Every request is bounded ([Limits]) before anything is done whose cost grows
//     faster than the text. A limit is the error LimitExceededError.
//   - Errors are worded as AppSync words them. No validation error guesses what the
//     client meant: that costs time and gives away names.
//   - AWSJSON arguments reach resolvers parsed, and results are written into strings.
//
// Tests hold it to graphql-js: oracle_test.go says how.
//
// Files: schema.go, check.go and prelude.graphql make the schema, auth.go reads directives,
// document.go parses and validates, limits.go measures, operation.go and coerce.go
// hold variables and arguments to types, plan.go compiles selections, write.go
// turns values into answers, execute.go runs resolvers, introspect.go answers for
// the schema, subscription.go and filter.go are for events, scalar.go, value.go,
// json.go and error.go what all of them use.
package graphql
