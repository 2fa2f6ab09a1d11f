package bedrock_test

import (
	"context"
	"encoding/base64"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
)

func countDials(ctx context.Context, n *int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			*n++
		}
	}})
}

// stream makes a body of lines: for Converse an event's name and its JSON, for
// the families the JSON of each chunk.
func stream(family, lines string) (body []byte) {
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		line = strings.TrimSpace(line)
		if family == "" {
			name, json, _ := strings.Cut(line, " ")
			body = eventstream.AppendEvent(body, name, []byte(json))
			continue
		}
		chunk := `{"bytes":"` + base64.StdEncoding.EncodeToString([]byte(line)) + `","p":"abc"}`
		body = eventstream.AppendEvent(body, "chunk", []byte(chunk))
	}
	return body
}

func usage(in, out int) *runnel.Usage { return &runnel.Usage{InputTokens: in, OutputTokens: out} }

func TestStreams(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, family, lines string
		want                result
	}{
		{
			"converse with reasoning and tools", "",
			`messageStart {"role":"assistant","p":"abc"}
			contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hmm"}}}
			contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}
			contentBlockStop {"contentBlockIndex":0}
			contentBlockDelta {"contentBlockIndex":7,"delta":{"reasoningContent":{"redactedContent":"aGlk"}}}
			contentBlockStop {"contentBlockIndex":7}
			contentBlockDelta {"delta":{"text":"Let me look."},"contentBlockIndex":1,"p":"abcdef"}
			contentBlockStop {"contentBlockIndex":1}
			contentBlockStart {"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"look"}}}
			contentBlockDelta {"contentBlockIndex":2,"delta":{"toolUse":{"input":""}}}
			contentBlockDelta {"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":"}}}
			contentBlockDelta {"contentBlockIndex":2,"delta":{"toolUse":{"input":"1}"}}}
			contentBlockStop {"contentBlockIndex":2}
			contentBlockStart {"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"t2","name":"now"}}}
			contentBlockStop {"contentBlockIndex":3}
			somethingNew {"x":[1,2]}
			messageStop {"stopReason":"tool_use"}
			metadata {"usage":{"inputTokens":5,"outputTokens":6,"totalTokens":11,"cacheReadInputTokens":2,"cacheWriteInputTokens":3},"metrics":{"latencyMs":1}}`,
			result{
				Text: "Let me look.", Reasoning: "hmm", Seals: []runnel.Seal{{Signature: "c2ln"}, {Redacted: "aGlk"}},
				Tools: []runnel.ToolDelta{
					{ID: "t1", Name: "look"}, {Input: `{"a":`}, {Input: "1}"},
					{Index: 1, ID: "t2", Name: "now"}, {Index: 1, Input: "{}"},
				},
				End: &runnel.End{StopReason: runnel.ToolUse, Usage: &runnel.Usage{InputTokens: 5, OutputTokens: 6, CacheReadTokens: 2, CacheWriteTokens: 3}},
			},
		},
		{
			"converse without metadata", "",
			`contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}
			messageStop {"stopReason":"guardrail_intervened"}`,
			result{Text: "a", End: &runnel.End{StopReason: runnel.Filtered}},
		},
		{
			"converse with a word of its own", "",
			`messageStop {"stopReason":"malformed_tool_use","additionalModelResponseFields":{"a":null}}`,
			result{End: &runnel.End{StopReason: "malformed_tool_use"}},
		},
		{
			"claude with thinking and a tool", "claude",
			`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-3","content":[],"usage":{"input_tokens":14,"output_tokens":1,"cache_read_input_tokens":7}}}
			{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}
			{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hmm"}}
			{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"xyz"}}
			{"type":"content_block_start","index":7,"content_block":{"type":"redacted_thinking","data":"aGlk"}}
			{"type":"content_block_stop","index":7}
			{"type":"content_block_stop","index":0}
			{"type":"ping"}
			{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
			{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Okay"}}
			{"type":"content_block_stop","index":1}
			{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"look","input":{}}}
			{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}
			{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}
			{"type":"content_block_stop","index":2}
			{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":10}}
			{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":14,"outputTokenCount":10,"invocationLatency":1,"firstByteLatency":1}}`,
			result{
				Text: "Okay", Reasoning: "hmm", Seals: []runnel.Seal{{Signature: "xyz"}, {Redacted: "aGlk"}},
				Tools: []runnel.ToolDelta{{ID: "t1", Name: "look"}, {Input: "{}"}},
				Begun: &runnel.Usage{InputTokens: 14, OutputTokens: 1, CacheReadTokens: 7},
				End:   &runnel.End{StopReason: runnel.ToolUse, Model: "claude-3", Usage: &runnel.Usage{InputTokens: 14, OutputTokens: 10, CacheReadTokens: 7}},
			},
		},
		{
			"claude of old", "claude-text",
			`{"type":"completion","completion":" Hi","stop_reason":null,"stop":null}
			{"type":"completion","completion":"","stop_reason":"stop_sequence","stop":"\n\nHuman:","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":4}}`,
			result{Text: " Hi", End: &runnel.End{StopReason: runnel.EndTurn, Usage: usage(3, 4)}},
		},
		{
			"claude of old at a sequence", "claude-text",
			`{"completion":" Hi","stop_reason":"stop_sequence","stop":"END"}`,
			result{Text: " Hi", End: &runnel.End{StopReason: runnel.StopSequence}},
		},
		{
			"titan with text in its last chunk", "titan",
			`{"outputText":"one ","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}
			{"outputText":"two","index":0,"totalOutputTextTokenCount":10,"completionReason":"LENGTH","inputTextTokenCount":5,"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":10}}`,
			result{Text: "one two", End: &runnel.End{StopReason: runnel.MaxTokens, Usage: usage(5, 10)}},
		},
		{
			"nova with a block for each token", "nova",
			`{"messageStart":{"role":"assistant"}}
			{"contentBlockDelta":{"delta":{"text":"It"},"contentBlockIndex":0}}
			{"contentBlockStop":{"contentBlockIndex":0}}
			{"contentBlockDelta":{"delta":{"text":" is"},"contentBlockIndex":1}}
			{"contentBlockStop":{"contentBlockIndex":1}}
			{"messageStop":{"stopReason":"max_tokens"}}
			{"metadata":{"usage":{"inputTokens":5,"outputTokens":10},"metrics":{},"trace":{}},"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":10}}`,
			result{Text: "It is", End: &runnel.End{StopReason: runnel.MaxTokens, Usage: usage(5, 10)}},
		},
		{
			"llama whose measurements come later", "llama",
			`{"generation":" Hi","prompt_token_count":5,"generation_token_count":1,"stop_reason":null}
			{"generation":"","prompt_token_count":null,"generation_token_count":2,"stop_reason":"stop"}
			{"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":2}}`,
			result{Text: " Hi", End: &runnel.End{StopReason: runnel.EndTurn, Usage: usage(5, 2)}},
		},
		{
			"mistral", "mistral",
			`{"outputs":[{"text":"Hi","stop_reason":null}]}
			{"outputs":[{"text":"!","stop_reason":"length"}]}`,
			result{Text: "Hi!", End: &runnel.End{StopReason: runnel.MaxTokens}},
		},
		{
			"command without a reason", "command",
			`{"text":" Hi","is_finished":false,"index":0}
			{"is_finished":true}`,
			result{Text: " Hi", End: &runnel.End{}},
		},
		{
			"command r says it all again", "command-r",
			`{"is_finished":false,"event_type":"stream-start","generation_id":"g"}
			{"is_finished":false,"event_type":"text-generation","text":"Hi"}
			{"is_finished":false,"event_type":"citation-generation","citations":[{"text":"Hi"}]}
			{"is_finished":true,"event_type":"stream-end","finish_reason":"COMPLETE","text":"Hi","response":{"text":"Hi"}}`,
			result{Text: "Hi", End: &runnel.End{StopReason: runnel.EndTurn}},
		},
		{
			"chat with tools", "chat",
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hmm"},"finish_reason":null}]}
			{"choices":[{"index":0,"delta":{"content":"Hi","tool_calls":[{"index":0,"id":"t1","function":{"name":"look","arguments":"{\"a\""}}]}}]}
			{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"id":"t2","function":{"name":"now","arguments":""}}]}},{"index":1,"delta":{"content":"other"}}]}
			{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":9}}`,
			result{
				Text: "Hi", Reasoning: "hmm",
				Tools: []runnel.ToolDelta{
					{ID: "t1", Name: "look"}, {Input: `{"a"`}, {Input: ":1}"},
					{Index: 1, ID: "t2", Name: "now"}, {Index: 1, Input: "{}"},
				},
				End: &runnel.End{StopReason: runnel.ToolUse, Usage: usage(3, 9)},
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := generate(t.Context(), open(t, "", c.family, &canned{body: stream(c.family, c.lines)}), ask("hi"))
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(result{}, "Deltas")); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailuresInsideStreams(t *testing.T) {
	t.Parallel()
	start := eventstream.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`))
	exception := func(name, body string) []byte {
		return eventstream.AppendException(slices.Clip(start), name, []byte(body))
	}
	cases := []struct {
		name, family string
		body         []byte
		want         runnel.Kind
	}{
		{"unmodelled error", "", eventstream.AppendError(slices.Clip(start), "ThrottlingException", "slow down"), runnel.Limited},
		{"unknown error", "", eventstream.AppendError(nil, "Oops", ""), runnel.Unavailable},
		{"model refused", "", exception("modelStreamErrorException", `{"message":"bad","originalStatusCode":400}`), runnel.Invalid},
		{"model failed", "", exception("modelStreamErrorException", `{"message":"bad","originalStatusCode":503}`), runnel.Unavailable},
		{"no name", "", exception("", `not JSON`), runnel.Unavailable},
		{"not JSON", "", stream("", `contentBlockDelta {"delta":`), runnel.Unavailable},
		{"not base64", "claude", eventstream.AppendEvent(nil, "chunk", []byte(`{"bytes":"%"}`)), runnel.Unavailable},
		{"chunk is not JSON", "claude", stream("claude", `{"type"`), runnel.Unavailable},
		{"claude's error event", "claude", stream("claude", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), runnel.Unavailable},
		{"claude without message_stop", "claude", stream("claude", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}`), runnel.Unavailable},
		{"nothing", "llama", nil, runnel.Unavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := generate(t.Context(), open(t, "", c.family, &canned{body: c.body}), ask("hi"))
			checkError(t, got.Err, c.want)
			if got.End != nil {
				t.Errorf("it ended with %+v", got.End)
			}
		})
	}
}

// FuzzStream holds any stream to an end or an error, and tool calls to order.
func FuzzStream(f *testing.F) {
	f.Add("", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"}}`, `{}`)
	f.Add("", "contentBlockStart", `{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"look"}}}`, `{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{"}}}`)
	f.Add("claude", "", `{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"look","input":{}}}`, `{"type":"message_stop"}`)
	f.Add("chat", "", `{"choices":[{"delta":{"tool_calls":[{"id":"t"}]}}]}`, `{"choices":[{"finish_reason":"stop"}]}`)
	f.Add("nova", "", `{"messageStop":{"stopReason":"max_tokens"}}`, `{"metadata":{"usage":{"inputTokens":5}}}`)
	f.Fuzz(func(t *testing.T, family, event, one, two string) {
		if family != "" && modelIDs[family] == "" {
			family = "llama"
		}
		var body []byte
		for _, json := range []string{one, two} {
			if family == "" {
				body = eventstream.AppendEvent(body, event, []byte(json))
			} else {
				body = append(body, stream(family, strings.ReplaceAll(json, "\n", " "))...)
			}
		}
		got := generate(t.Context(), open(t, "", family, &canned{body: body}), ask("hi"))
		if (got.End == nil) == (got.Err == nil) {
			t.Fatalf("end %v and error %v", got.End, got.Err)
		}
		seen := -1
		for _, d := range got.Tools {
			if d.Index > seen+1 {
				t.Fatalf("call %d came before call %d", d.Index, seen+1)
			}
			seen = max(seen, d.Index)
		}
	})
}
