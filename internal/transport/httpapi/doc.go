// Package httpapi is the native door: prompts in over HTTP, events out over
// server-sent events. api/openapi.yaml describes it for clients.
//
//	POST /v1/sessions/{session}/prompts    submit; 202, or the answer itself as a stream
//	GET  /v1/sessions/{session}/events     follow a session
//	POST /v1/sessions/{session}/events     publish a piece of an answer from outside
//	GET  /v1/sessions/{session}            its transcript
//	POST /v1/generations/{id}/cancel       stop
//	GET  /v1/generations/{id}              status
//
// A session id is one segment of the path, percent-encoded once. Failures are
// {"error":{"kind","message"}} with the kind's status; after the first byte of
// a stream they are an "error" event on it. A client that disconnects stops
// nothing.
//
// A follower names its place with Last-Event-ID, or ?after= the first time;
// "latest" is the end. A place past retention is 410, told before the stream
// begins: an EventSource then gives up, and its page starts again from the
// transcript.
package httpapi
