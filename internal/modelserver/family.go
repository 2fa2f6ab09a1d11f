package modelserver

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel/internal/wire"
)

// A textFamily is a family of models on Bedrock whose every chunk holds a text
// and not much else.
type textFamily struct {
	key, with string // members by which a request is known: the prompt, and another
	limit     string // member with the maximum of tokens, wherever it stands

	// Of a chunk: what comes before the text (a JSON string) and after it.
	before, after string
	// The last chunk, which has no text, and an answer in one piece. $reason is
	// one of the two stop reasons, $in and $out are numbers of tokens.
	last, whole   string
	stop, limited string
}

// textFamilies go from the particular to the general.
var textFamilies = []textFamily{
	{
		key: "prompt", with: "max_tokens_to_sample", limit: "max_tokens_to_sample", // Claude's first form
		before: `{"type":"completion","completion":`, after: `,"stop_reason":null,"stop":null}`,
		last: `{"type":"completion","completion":"","stop_reason":"$reason","stop":null}`,
		stop: "stop_sequence", limited: "max_tokens",
		whole: `{"type":"completion","completion":$text,"stop_reason":"$reason","stop":null}`,
	},
	{
		key: "inputText", limit: "maxTokenCount", // Titan
		before: `{"outputText":`, after: `,"index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
		last: `{"outputText":"","index":0,"totalOutputTextTokenCount":$out,"completionReason":"$reason","inputTextTokenCount":$in}`,
		stop: "FINISH", limited: "LENGTH",
		whole: `{"inputTextTokenCount":$in,"results":[{"tokenCount":$out,"outputText":$text,"completionReason":"$reason"}]}`,
	},
	{
		key: "prompt", with: "max_gen_len", limit: "max_gen_len", // Llama
		before: `{"generation":`, after: `,"prompt_token_count":null,"generation_token_count":1,"stop_reason":null}`,
		last: `{"generation":"","prompt_token_count":$in,"generation_token_count":$out,"stop_reason":"$reason"}`,
		stop: "stop", limited: "length",
		whole: `{"generation":$text,"prompt_token_count":$in,"generation_token_count":$out,"stop_reason":"$reason"}`,
	},
	{
		key: "prompt", with: "stream", limit: "max_tokens", // Command
		before: `{"text":`, after: `,"is_finished":false}`,
		last: `{"is_finished":true,"finish_reason":"$reason"}`,
		stop: "COMPLETE", limited: "MAX_TOKENS",
		whole: `{"generations":[{"text":$text,"finish_reason":"$reason"}]}`,
	},
	{
		key: "prompt", limit: "max_tokens", // Mistral
		before: `{"outputs":[{"text":`, after: `,"stop_reason":null}]}`,
		last: `{"outputs":[{"text":"","stop_reason":"$reason"}]}`,
		stop: "stop", limited: "length",
		whole: `{"outputs":[{"text":$text,"stop_reason":"$reason"}]}`,
	},
	{
		key: "message", limit: "max_tokens", // Command R
		before: `{"is_finished":false,"event_type":"text-generation","text":`, after: `}`,
		last: `{"is_finished":true,"event_type":"stream-end","finish_reason":"$reason","response":{"text":"all of it again"}}`,
		stop: "COMPLETE", limited: "MAX_TOKENS",
		whole: `{"text":$text,"finish_reason":"$reason","chat_history":[]}`,
	},
	{
		key: "messages", limit: "max_tokens", // in OpenAI's form
		before: `{"choices":[{"index":0,"delta":{"role":"assistant","content":`, after: `},"finish_reason":null}]}`,
		last: `{"choices":[{"index":0,"delta":{},"finish_reason":"$reason"}]}`,
		stop: "stop", limited: "length",
		whole: `{"choices":[{"index":0,"message":{"role":"assistant","content":$text},"finish_reason":"$reason"}]}`,
	},
}

func (f *textFamily) parse(members map[string]json.RawMessage) (question, encoder, error) {
	var q question
	if f.key == "messages" {
		var messages []message
		err := json.Unmarshal(members[f.key], &messages)
		if err == nil {
			q, err = ask(messages)
		}
		if err != nil {
			return q, nil, fmt.Errorf("messages: %w", err)
		}
	} else {
		var prompt string
		if err := json.Unmarshal(members[f.key], &prompt); err != nil {
			return q, nil, fmt.Errorf("%s: %w", f.key, err)
		}
		q = question{words: len(strings.Fields(prompt))}
		q.text, q.beginning = lastQuestion(prompt)
	}
	limit, ok := members[f.limit]
	if !ok {
		var config map[string]json.RawMessage
		_ = json.Unmarshal(members["textGenerationConfig"], &config) // Titan's; absent otherwise
		limit, ok = config[f.limit]
	}
	if ok {
		if err := json.Unmarshal(limit, &q.maxTokens); err != nil {
			return q, nil, fmt.Errorf("%s: %w", f.limit, err)
		}
	}
	return q, &textEncoder{framer: new(chunks), family: f}, nil
}

// textEncoder writes the chunks of a text family.
type textEncoder struct {
	framer
	family  *textFamily
	scratch []byte
}

func (e *textEncoder) start(dst []byte) []byte { return dst }

func (e *textEncoder) token(dst, text []byte) []byte {
	b := append(e.scratch[:0], e.family.before...)
	b = wire.AppendString(b, string(text))
	b = append(b, e.family.after...)
	e.scratch = b
	return e.frame(dst, "", b)
}

func (e *textEncoder) end(dst []byte, end end) []byte {
	return e.frame(dst, "", appendMetrics(e.format(nil, e.family.last, "", end), end))
}

func (e *textEncoder) whole(dst []byte, text string, end end) []byte {
	return e.format(dst, e.family.whole, text, end)
}

func (e *textEncoder) format(dst []byte, format, text string, end end) []byte {
	reason := e.family.stop
	if end.limited {
		reason = e.family.limited
	}
	return append(dst, strings.NewReplacer(
		"$reason", reason,
		"$in", strconv.Itoa(end.input),
		"$out", strconv.Itoa(end.output),
		"$text", string(wire.AppendString(nil, text)),
	).Replace(format)...)
}
