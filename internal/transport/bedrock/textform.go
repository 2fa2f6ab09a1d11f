package bedrock

import (
	"encoding/json"
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// The families that know nothing but text.
var (
	claudeText = family{read: humanTemplate.readText, form: fixed(&claudeTextForm)}
	titan      = family{read: botTemplate.readText, form: fixed(&titanForm)}
	llama      = family{read: readLlama, form: fixed(&llamaForm)}
	mistral    = family{read: instTemplate.readText, form: fixed(&mistralForm)}
	command    = family{read: chatbotTemplate.readText, form: fixed(&commandForm)}
	commandR   = family{read: readCommandR, form: fixed(&commandRForm)}
)

// A textForm is the form of a family whose every chunk holds a text and not much
// else.
type textForm struct {
	before, after string // the text, a JSON string, in a chunk
	last          func(r string, e ending) any
	all           func(text, reason string, e ending) any
	// The family's words for why an answer ended.
	done, limit, sequence, filtered string
}

func fixed(f *textForm) func(string) form { return func(string) form { return f } }

var claudeTextForm = textForm{
	before: `{"type":"completion","completion":`, after: `,"stop_reason":null,"stop":null}`,
	last: func(r string, _ ending) any {
		return ordered{{"type", "completion"}, {"completion", ""}, {"stop_reason", r}, {"stop", nil}}
	},
	all: func(text, r string, _ ending) any {
		return ordered{{"type", "completion"}, {"completion", text}, {"stop_reason", r}, {"stop", nil}}
	},
	done: "stop_sequence", limit: "max_tokens", sequence: "stop_sequence", filtered: "stop_sequence",
}

var titanForm = textForm{
	before: `{"outputText":`, after: `,"index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
	last: func(r string, e ending) any {
		return ordered{
			{"outputText", ""}, {"index", 0}, {"totalOutputTextTokenCount", e.usage.OutputTokens},
			{"completionReason", r}, {"inputTextTokenCount", e.usage.InputTokens},
		}
	},
	all: func(text, r string, e ending) any {
		return ordered{{"inputTextTokenCount", e.usage.InputTokens}, {"results", []ordered{
			{{"tokenCount", e.usage.OutputTokens}, {"outputText", text}, {"completionReason", r}},
		}}}
	},
	done: "FINISH", limit: "LENGTH", sequence: "STOP_CRITERIA_MET", filtered: "CONTENT_FILTERED",
}

var llamaForm = textForm{
	before: `{"generation":`, after: `,"prompt_token_count":null,"generation_token_count":null,"stop_reason":null}`,
	last: func(r string, e ending) any { return llamaBody("", r, e) },
	all:  llamaBody,
	done: "stop", limit: "length", sequence: "stop", filtered: "stop",
}

func llamaBody(text, r string, e ending) any {
	return ordered{
		{"generation", text}, {"prompt_token_count", e.usage.InputTokens}, {"generation_token_count", e.usage.OutputTokens}, {"stop_reason", r},
	}
}

var mistralForm = textForm{
	before: `{"outputs":[{"text":`, after: `,"stop_reason":null}]}`,
	last: func(r string, e ending) any { return mistralBody("", r, e) },
	all:  mistralBody,
	done: "stop", limit: "length", sequence: "stop", filtered: "stop",
}

func mistralBody(text, r string, _ ending) any {
	return ordered{{"outputs", []ordered{{{"text", text}, {"stop_reason", r}}}}}
}

var commandForm = textForm{
	before: `{"text":`, after: `,"is_finished":false}`,
	last: func(r string, _ ending) any { return ordered{{"is_finished", true}, {"finish_reason", r}} },
	all: func(text, r string, _ ending) any {
		return ordered{{"generations", []ordered{{{"text", text}, {"finish_reason", r}}}}}
	},
	done: "COMPLETE", limit: "MAX_TOKENS", sequence: "COMPLETE", filtered: "ERROR_TOXIC",
}

var commandRForm = textForm{
	before: `{"is_finished":false,"event_type":"text-generation","text":`, after: `}`,
	last: func(r string, _ ending) any {
		return ordered{{"is_finished", true}, {"event_type", "stream-end"}, {"finish_reason", r}}
	},
	all: func(text, r string, _ ending) any {
		return ordered{{"text", text}, {"finish_reason", r}, {"chat_history", []any{}}}
	},
	done: "COMPLETE", limit: "MAX_TOKENS", sequence: "COMPLETE", filtered: "ERROR_TOXIC",
}

func (f *textForm) begin(*stream) {}

func (f *textForm) open(*stream, *block) {}

func (f *textForm) piece(s *stream, b *block, text string) {
	if b.kind != textBlock {
		return // these forms have no place for it
	}
	s.json = append(s.json[:0], f.before...)
	s.json = wire.AppendString(s.json, text)
	s.json = append(s.json, f.after...)
	s.frame("")
}

func (f *textForm) sign(*stream, *block) {}

func (f *textForm) close(*stream, *block) {}

func (f *textForm) end(s *stream, e ending) {
	last, _ := json.Marshal(f.last(f.reason(e.reason), e)) // strings and numbers always encode
	s.json = appendMetrics(append(s.json[:0], last...), e)
	s.frame("")
}

func (f *textForm) whole(r *result) any { return f.all(r.text(), f.reason(r.ending.reason), r.ending) }

// reason returns the family's word for why an answer ended.
func (f *textForm) reason(r runnel.StopReason) string {
	switch r {
	case runnel.MaxTokens:
		return f.limit
	case runnel.StopSequence:
		return f.sequence
	case runnel.Filtered:
		return f.filtered
	}
	return f.done
}

// ordered is a JSON object whose members keep their order.
type ordered []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON implements [json.Marshaler].
func (o ordered) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, p := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(strconv.AppendQuote(out, p.name), ':')
		value, err := json.Marshal(p.value)
		if err != nil {
			return nil, err
		}
		out = append(out, value...)
	}
	return append(out, '}'), nil
}
