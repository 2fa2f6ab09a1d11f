// Package gqlapi describes GraphQL APIs in the manner of AppSync as they are
// configured: the schema, and what each root field does. It runs nothing; the door
// appsync does what it says.
//
// What a field returns, and what subscribers of a session get to see, are
// templates: JSON in which strings that begin with a dollar stand for something
// else, such as $text or $args.input.locale.
//
//   - config.go: APIs, bindings and namespaces as they stand in the configuration
//   - validate.go: what is wrong with them, as far as that can be said without the schema
//   - builtin.go, builtin.graphql: what is served when nothing is configured
package gqlapi
