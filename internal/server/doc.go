// Package server puts the doors on one port: HTTP/1.1 and HTTP/2, with TLS and
// without, the middleware that all doors share, health, and an orderly end.
//
//   - port.go: connections, from their first byte on; files_*.go: how many
//   - server.go: what is served, and the life of the listener
//   - router.go: from a request to a door's handler
//   - middleware.go: request ids, panics, the access log, origins
//   - headers.go: what every answer and every page carries for safety
//   - health.go: /healthz, /readyz; page.go: GET /
//
// A request passes: the client's address, request id and access log,
// cross-origin rules, clean path, router, panic recovery, door.
//
// When Run's context is done the server says so at /readyz and goes on serving,
// so that running answers reach their viewers and an EventSource that
// reconnects is not turned away, for it would never come back. Then, each step
// with its deadline: running generations end ([Config.Drain]); the doors send
// their viewers away, to return spread over some seconds ([Door.End]); the
// listener closes and the last requests finish; what is left is cut.
package server
