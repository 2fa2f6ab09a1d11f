// Package modelserver is a stand-in for a language model's server. It speaks
// the vendors' streaming protocols and answers with a text that follows from
// the last user message alone, at a pace and with the faults that it is told
// to have. It is what `runnel bench model-server` runs, and what tests of
// providers, doors and crashes put behind a gateway.
//
// # Protocols
//
//	POST /v1/chat/completions                     OpenAI, streamed and whole
//	GET  /v1/models                               OpenAI
//	POST /v1/messages                             Anthropic, streamed and whole
//	POST /model/{id}/converse[-stream]            Bedrock
//	POST /model/{id}/invoke[-with-response-stream] Bedrock: the family is known by the request's form
//	POST /api/chat                                Ollama, streamed and whole
//	GET  /stats                                   counters, as JSON (see [Stats]); DELETE sets them to zero
//
// Credentials are not looked at. The same question has the same answer over
// all of them: [Text] computes it.
//
// A conversation that ends with the beginning of an answer is gone on with as the
// vendors do: by Claudes up to 4.5 and without white space at the end, by Nova, by
// models that take one text, by Ollama, and over OpenAI's API if the request says
// continue_final_message or the message prefix. A beginning that the answer does
// not have is answered from the start.
//
// # Settings
//
// Every answer follows the server's [Options]. A request may change them for
// itself, in the header X-Model-Server or in a marker in the text of the last
// user message (the marker wins):
//
//	X-Model-Server: ttft=250ms tps=40
//	Tell me a story [[tokens=500 tps=80 tag=story-1]] [[fault:cut-after=10]]
//
// A marker is a pair of brackets that holds nothing but settings; the prefix
// fault: is there for the reader's eye. The text with its markers is the
// question from which the answer follows. The settings are
//
//	tokens=N           length of the answer
//	ttft=D             time to the first token, such as 250ms
//	tps=F              tokens per second after it; 0: all at once
//	jitter=D           each token is late by a part of D, the same at each run
//	stamp=1            each token carries the time at which it was written (see [Unstamp])
//	tag=S              names the request in [Stats]
//
// and, for what goes wrong,
//
//	status=N           answer with this HTTP status and an error in the protocol's form
//	retry-after=D      with status: a Retry-After header, in whole seconds
//	fail-first=N       only the first N requests with the same question fail with the status (503 if none is set)
//	cut-after=N        break the connection after N tokens
//	end-after=N        end the response in good order after N tokens, without the terminal event
//	stall-after=N      fall silent after N tokens until the client goes away
//	error-after=N      send the protocol's in-stream error after N tokens
//	garbage-after=N    send a frame that cannot be decoded after N tokens, then go on
//	inside=1           for cut, end and stall: halfway through the next token's frame instead of before it
//	error=S            the name of the in-stream error, or of the error that goes with status
//
// # Precision
//
// A token is due at a time reckoned from the request's arrival, so a late
// token does not delay those after it. Each token is one write and one flush.
// Nothing is sent before the first token is due, not even the header. On an
// idle machine a token may be late by a millisecond, which is how fine the
// runtime's timers are; so whoever measures delays does it from the stamps.
package modelserver
