// Package peer answers who is at the other end of a request: from which
// address it comes, also through proxies, and whether the web page that sent it
// may.
//
//   - proxies.go: the client's address
//   - origins.go: which sites' pages are welcome, to HTTP and to WebSockets
//   - forwarded.go: what proxies say about it
package peer
