// Package function makes a model of a function: function/NAME. A handler that
// streams its answer, an agent with its own loop of calls and tools among them,
// is then behind every door.
//
// The handler's event is a JSON object:
//
//	{"type":"generation","session","generation","prompt","system","messages",
//	 "max_tokens","temperature","top_p","stop","tools","tool_choice","metadata"}
//
// prompt is the text of the last user message; messages are the whole
// conversation, in the form of [runnel.Message]. What was not given is not there.
//
// A handler that can go on with an answer that was broken off by a crash has the
// setting prefill=true. Then its event may have "continue":true: the last of the
// messages is the beginning of the answer, and it gives what follows.
//
// The answer is one of these, by its content type; a head as that of function
// URLs may come first, and then says it:
//
//   - application/x-ndjson (or application/ndjson, application/jsonl): each line is
//     an object with a type: delta and reasoning with text; tool with
//     {"index","id","name","input"}, input a fragment or the whole object; progress
//     with any JSON up to 64 KiB; done with stop_reason, usage and model, of which
//     none is needed; failed with kind (limited and unavailable may succeed when
//     repeated) and message, which only the log sees. The names may have the prefix
//     generation., so that a handler may pass Runnel's own events on; other types
//     are passed over. An answer without done or failed is broken off.
//   - text/event-stream: the same objects as the data of events.
//   - application/json, and whatever a handler returns without streaming: a string,
//     or an object with text, and stop_reason and usage if there are any.
//   - anything else: UTF-8 text, which is complete when it ends. A handler that
//     fails in the middle must say so, which runtime clients do.
//
// A stop kills the handler's process, for there is no other way to stop one.
package function
