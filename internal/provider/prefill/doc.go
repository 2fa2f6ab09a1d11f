// Package prefill knows which models go on with an answer of which they are given
// the beginning, as the last message of the conversation. It is one small table;
// whoever knows better sets prefill=true or prefill=false behind the model.
//
// What vendors say, and what was left out:
//
//   - Anthropic: every Claude up to 4.5, not while it thinks, and not with white
//     space at the end. Those since answer with status 400. A name that is not
//     known is taken for one of those.
//   - Bedrock: the same Claudes, and the first generation of Nova. Converse
//     refuses it for all others. A model that takes one text (api=invoke) goes on
//     with any, which package bedrock knows.
//   - Ollama: what the last message says is not closed, by the templates of its
//     library and by its own renderers.
//   - OpenAI: never; it would begin another message. Servers that speak its API
//     each have their own way, which is a setting of package openai.
//   - Functions: those whose handlers say so.
package prefill
