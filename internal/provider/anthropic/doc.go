// Package anthropic speaks the Messages API of Anthropic.
//
// An answer is a message_start, blocks of content, a message_delta with the
// stop reason and the token counts, and a message_stop. Blocks are text,
// thinking, redacted or not, or tool_use; pings and whatever is added later are
// passed over. A failure in the middle comes as an error event.
//
// The environment: ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN for a bearer
// token, and ANTHROPIC_BASE_URL. The settings:
//
//	base_url=http://127.0.0.1:8000   another server, without /v1; then the key may be missing
//	api_key_env=TEAM_KEY             the variable that holds the key
//	max_tokens=4096                  the limit of prompts that set none; the API demands one
//	prefill=false                    the model does not go on with the beginning of an answer; see package prefill
package anthropic
