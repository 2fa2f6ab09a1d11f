// Package bedrock is the door for clients of the Amazon Bedrock runtime: the AWS
// SDKs and what is built on them.
//
//	POST /model/{id}/converse                      an answer, whole
//	POST /model/{id}/converse-stream               as a stream of events
//	POST /model/{id}/invoke                        whole, in the model's own form
//	POST /model/{id}/invoke-with-response-stream   as a stream of the model's own chunks
//
// The wire is specified in the service's model and in recorded traffic; frames
// are those of package eventstream. Every request is a prompt like any other, in
// a session of its own unless the request's metadata has a "session": requestMetadata
// with Converse, the header X-Amzn-Bedrock-Request-Metadata with InvokeModel. The
// headers Runnel-Session and Runnel-Generation of the answer tell how to follow it
// on any other door.
//
//   - A model id is the name of a route, with or without the provider's bedrock/,
//     or is mapped to one by the configuration. An ARN counts by its last part,
//     an inference profile also by the id behind its region.
//   - With InvokeModel the id says which family's form the bodies have; for an id
//     that says nothing the body does. Models that take one text get their
//     template taken apart, so that any model behind the route can answer.
//   - The messages are the whole conversation and are sent as they are.
//   - Credentials are an API key as a bearer, or a signature for the service
//     bedrock by a key that may do bedrock:InvokeModel (for streams
//     bedrock:InvokeModelWithResponseStream).
//   - A failure before the first token is a status; a later one is an exception
//     on the stream. The stream has no signs of life: the protocol has none that
//     every SDK ignores.
//   - A stopped answer ends with the stop reason end_turn. Counts of tokens that
//     nobody knows are zero.
//   - Refused, because the answer would not be what was asked for: guardrails,
//     structured output, prompt variables, documents, audio and video, and images
//     in the results of tools. Other members that are not known are ignored.
//   - Reasoning that the model's vendor has sealed comes with its seal, and is
//     taken back with it; other reasoning of earlier turns is left out.
package bedrock
