// Package ollama speaks the chat API of Ollama: one line of JSON per token, the
// last with done and the token counts. Tool calls arrive whole; a failure in the
// middle is a line with the member error.
//
// Ollama takes image bytes but not addresses, and leaves the choice of a tool to
// the model: a prompt that demands one tool offers no other, and one that forbids
// tools offers none.
//
// The environment: OLLAMA_HOST in any form that Ollama itself takes (host,
// host:port, a URL), and OLLAMA_API_KEY for a server that wants one. The settings:
//
//	base_url=http://gpu1:11434   another server
//	api_key_env=TEAM_KEY         the variable that holds the key
//	num_ctx=16384                the context length; Ollama's default cuts long conversations
//	keep_alive=30m               how long the model stays loaded
//	think=true                   reasoning on or off, for models that can
//	prefill=false                the model's template closes the last message; see package prefill
package ollama
