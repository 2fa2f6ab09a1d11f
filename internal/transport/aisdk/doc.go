// Package aisdk is the door for the chat of the AI SDK (npm ai and @ai-sdk/react):
// the UI message stream protocol, version 1, as ai 5 to 7 read it.
//
//	POST /api/chat              {"id","messages",…}: the answer to the last message, as a stream
//	GET  /api/chat/{id}/stream  the answer in flight, from its start; 204 if there is none
//	POST /api/chat/{id}/stop    stop it
//	GET  /api/chat/{id}         the chat's messages, for a page that was loaded again
//
// These are the paths that DefaultChatTransport uses by default, so that
// useChat({ id, resume: true }) needs no code on anybody's server. A chat is the
// session of the same id. The messages are the whole conversation, as the client
// keeps it, and go to the model as they are; "model" and "system", which the
// page may put into the body, name the model and the system text.
//
//   - A client that disconnects stops nothing: it may be a page that is loaded
//     again. The SDK's own stop() only disconnects, too; a page that offers a stop
//     button and resumes calls /stop besides.
//   - A stream is data: lines of JSON and ends with data: [DONE]. Text, reasoning
//     and tool calls are parts that begin and end; one begins when another ends.
//   - A failure before the first token is a status with a text, which the SDK
//     shows; a later one is the part "error". A stopped answer ends with "abort".
//   - A worker's progress is the transient part data-progress.
//   - If a new attempt says something else than was shown, the parts are taken
//     back with "reset-step", which ai 7 knows; older versions end with an error.
//   - Parts of messages that models have no use for, such as sources and a page's
//     own data, are left out of the prompt.
package aisdk
