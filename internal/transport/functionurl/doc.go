// Package functionurl is the door of a Lambda function URL with response
// streaming: POST / with {"prompt":"…"}, and the answer as it comes, as bare
// UTF-8 text without any framing.
//
// What the wire says and what it cannot say:
//
//   - Members of the body beside "prompt" and "sessionId" are ignored, for
//     clients send more. The session may also be named by ?session=. Without a
//     name each request is a session of its own; Runnel-Session tells its name,
//     percent-encoded, and Runnel-Generation the generation's.
//   - The status waits for the first text or the end. A failure until then is
//     400, 401, 403, 404, 409, 413, 429, 500 or 503 with {"error":"…"}; one of
//     the model's is 502, or 503 if it may pass.
//   - A failure after that aborts the connection, so that no client takes half
//     an answer for a whole one.
//   - A generation that is stopped ends like one that is done: whoever stopped
//     it knows, and to the others it is not a fault.
//   - Text cannot be taken back. When a worker dies and the next one begins
//     again, what it repeats is not sent twice; if it says something else, the
//     connection is aborted.
//   - A client that disconnects stops nothing: the session has the answer.
//   - With Accept: text/event-stream the answer comes as the events of the
//     generation instead, as on the native door.
package functionurl
