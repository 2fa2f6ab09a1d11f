// Package openai is the door for clients of OpenAI's API: the official SDKs and
// all that is built on them.
//
//	POST /v1/chat/completions          an answer, whole or as a stream
//	GET  /v1/models, /v1/models/{id}   what may be asked
//	POST /v1/responses                 the same in the newer form; in the background too
//	GET  /v1/responses/{id}            how a response stands; with ?stream=true its events again
//	POST /v1/responses/{id}/cancel     stop it
//
// The wire is OpenAI's public API reference, and what npm openai 6 sends and
// reads. Every request is a prompt like any other, in a session of its own unless
// the Runnel-Session header or the metadata's "session" names one; the headers
// Runnel-Session and Runnel-Generation of the answer tell how to follow it on any
// other door.
//
//   - A chat completion's messages are the whole conversation and are sent as
//     they are. A response with previous_response_id goes on in the session of
//     that one, with its last turns as the gateway keeps them; branches from one
//     response are not kept apart.
//   - Whether a client that disconnects stops its generation is a setting
//     ([Config.Disconnect]). It never stops a response in the background.
//   - A failure before the first token is a status, unless that takes longer than
//     a heartbeat; a later one is a member "error" on the stream. A stopped
//     answer ends with the finish_reason "stop", a stopped response with the
//     event response.incomplete and the status cancelled.
//   - Sequence numbers of a response's events count what has been said, in bytes,
//     and one for each event besides. They are the same each time the events are
//     told, also after a crash or by another node, however the text is cut into
//     deltas; so ?starting_after= continues exactly.
//   - Refused, because the answer would not be what was asked for: more than one
//     choice, response formats other than text, log probabilities, audio, files,
//     and tools other than functions. Other members that are not known are
//     ignored, as servers of this API do.
//   - A response's own parameters are told by the request that made it; a later
//     GET does not repeat them.
package openai
