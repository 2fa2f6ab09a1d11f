// Package appsync is the door of AppSync: GraphQL over HTTP, its real-time protocol
// and AppSync Events, and, for clients that are not AppSync's, the standard
// protocols graphql-transport-ws and GraphQL over SSE.
//
// What is where, and what holds:
//
//   - POST /graphql executes queries and mutations (http.go), whose root fields do
//     what the configuration binds them to (bind.go, resolve.go, remote.go).
//   - Sockets (socket.go) speak one of three protocols: realtime.go, standard.go,
//     events.go. Bad credentials do not fail a handshake, for browsers hide why it
//     failed: the client is told on the socket.
//   - A subscription is one goroutine (subscription.go), which sends its own
//     acknowledgement, its data and its end: nothing comes before the first or
//     after the last. What it sends comes from a source, at the client's pace.
//   - A subscription to a session is a view of its log (view.go): it begins with the
//     answer in flight, in whatever order subscribe and prompt arrive. What was
//     published is handed out as it was published; other answers are grouped, and
//     dressed as the binding says.
//   - Any other subscription gets the mutations that its field names, as they
//     happen, from the bus (fanout.go, hub.go): fire and forget, as in AppSync.
//   - GraphQL over SSE has a stream for each operation (stream.go), or one that
//     operations share (reserve.go). Nothing is queued for either.
//   - A mutation can end subscriptions, on all nodes (invalidate.go).
//   - A view that a client begins again under the same id goes on where it was
//     (resume.go), also at another node (handover.go). What the client has got is
//     known by pongs (confirm.go).
//   - Text cannot be taken back. If an answer is begun again and says something else,
//     a view with markers begins anew with one; others end with an error.
//   - Channels (channel.go) are those of AppSync Events. A namespace can be bound to
//     sessions, whose channels show the log.
//
// Errors are AppSync's, as far as anybody has recorded them; errors.go has them.
// docs/conformance/appsync.md lists what is checked.
package appsync
