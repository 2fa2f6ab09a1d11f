// Package apigateway is the door of API Gateway's WebSocket APIs and of their
// management API. Clients that were built for "WebSocket API Gateway + Lambda"
// connect at GET /{stage}; backends built for it send to them by
// POST /{stage}/@connections/{id}.
//
// What is where, and what holds:
//
//   - A handshake passes the stage, the connection rate, the caller's credentials
//     and the handler of $connect before it is answered with 101 (connect.go).
//     Until then the connection does not exist for anybody.
//   - A message takes the route that the API's selection expression names
//     (connection.go). Built-in routes submit it as a prompt and show the answer
//     as the session's log has it (builtin.go, with a view for each dialect in
//     view.go; native.go). Others hand an event (event.go) to a handler, which is
//     found by its kind (integration.go; http.go is one).
//   - Built-in answers are read from the log at the client's pace. A client that
//     does not read makes them wait, and is cut off after the write time-out. What
//     others post is queued; when the queue is full, posts are refused with 429.
//   - Text cannot be taken back. If an answer is begun again and says something
//     else, the route says that it failed.
//   - A connection's id names its node, so a post needs no look-up: it is asked of
//     that node, and 410 if the node is dead (manage.go).
//   - Connections whose client names a session are noted under it, several for
//     one session if need be, so that backends find them.
//   - A handler outlives its client, for 15 minutes at most: it may have more to
//     do. One that is late is answered for, and goes on.
//
// Error frames and the errors of the management API are AWS's to the byte, as far
// as anybody has recorded them; errors.go has those of HTTP, frame.go those on
// the socket. docs/conformance/apigateway.md lists what is checked.
package apigateway
