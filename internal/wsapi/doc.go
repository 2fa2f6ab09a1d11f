// Package wsapi describes WebSocket APIs in the manner of API Gateway: which
// stages an API has, which routes, and which of them a message takes. It runs
// nothing; the door apigateway does what it says.
//
// Where API Gateway's rules and the programs written for them differ, both
// work: a route called $stream cannot exist there, but a design in the field
// names one, so here it is reached by the actions stream and $stream.
//
//   - config.go: APIs as they stand in the configuration
//   - validate.go: what is wrong with them
//   - expression.go: route selection expressions
//   - table.go: from a host and path to an API and stage, from a message to a route
package wsapi
