// Package openai speaks the chat completions API of OpenAI, which nearly every
// other vendor and local server speaks too: vLLM, llama.cpp, LM Studio,
// OpenRouter and more. What they do differently is met here, so that one package
// serves them all:
//
//   - An answer ends with data: [DONE] or with a finish_reason; some servers
//     send one, some the other. A stream with neither was cut off.
//   - Reasoning comes as reasoning_content or as reasoning.
//   - A failure in the middle comes as an object with the member error, whose
//     code is a status, a word or nothing.
//   - Only OpenAI itself wants max_completion_tokens; the others know, or only
//     know, max_tokens.
//   - A server that fails on stream_options is asked without (usage=false).
//
// The environment: OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID and
// OPENAI_PROJECT_ID. The settings:
//
//	base_url=http://127.0.0.1:8000/v1    another server; then the key may be missing
//	api_key_env=OPENROUTER_API_KEY       the variable that holds the key
//	max_tokens_field=max_tokens          or max_completion_tokens
//	usage=false                          do not ask for the token counts
//	prefill=continue_final_message       how the server goes on with an answer's beginning, if it can:
//	                                     so vLLM and SGLang; prefix for DeepSeek's beta; true if the
//	                                     last message is enough, as it is for llama.cpp
package openai
