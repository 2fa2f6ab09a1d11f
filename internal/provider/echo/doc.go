// Package echo is a model that needs no key and no network: it streams an
// answer made from the prompt at a steady, settable pace. The first run of the
// gateway, every test and the load generator use it.
//
// The text depends on the last user message alone, so the same question has the
// same answer in every session, after every retry and on every node. The
// settings change how much of it is said, and how fast:
//
//	ttft=150ms      the wait before the first token
//	tps=40          tokens per second after it; 0 is as fast as possible
//	tokens=200      the exact length; by default what the answer needs
//	reasoning=20    so many tokens of reasoning first
//	tool=true       a call of the first offered tool at the end
//	fail=after:5    an Unavailable error after so many tokens
//	prefill=false   begin anew rather than go on with the beginning of an answer
//
// A token is a word with the space before it.
package echo
