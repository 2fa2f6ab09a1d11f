// Package sse reads and writes event streams: server-sent events as browsers
// and SDKs know them (WHATWG HTML, section 9.2).
//
// The reading side, for the providers, is [Reader] in read.go.
//
// The writing side, for the doors: frame.go turns events into bytes, link.go
// puts bytes on a connection with a deadline for every piece, and viewer.go
// holds the loop that copies a session to a client. A [Viewers] is the set of a
// door's open streams: it counts them and, when the server stops, ends them one
// and all. What the loop promises:
//
//   - The client pulls: nothing is queued for it. One that is slow gets larger
//     pieces later; one that has stopped reading is cut when a single piece is
//     not taken within the write time-out.
//   - On HTTP/1.1 an open stream leaves net/http: it costs two small goroutines
//     and no buffers while nothing happens.
//   - A client that goes away ends its stream, and nothing else.
package sse
