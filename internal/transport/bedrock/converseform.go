package bedrock

import (
	"encoding/json"
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// A converseForm is what Converse makes of every model, and, with the event's
// name around each payload, what Nova's own answers look like.
type converseForm struct{ nested bool }

var nova = family{read: readConversePrompt, form: func(string) form { return converseForm{nested: true} }}

// head begins the payload of an event.
func (f converseForm) head(s *stream, event string) {
	s.json = s.json[:0]
	if f.nested {
		s.json = append(s.json, `{"`...)
		s.json = append(s.json, event...)
		s.json = append(s.json, `":`...)
	}
}

func (f converseForm) send(s *stream, event string) {
	if f.nested {
		s.json = append(s.json, '}')
	}
	s.frame(event)
}

// about begins the payload of an event about a block.
func (f converseForm) about(s *stream, event string, b *block) {
	f.head(s, event)
	s.json = append(s.json, `{"contentBlockIndex":`...)
	s.json = strconv.AppendInt(s.json, int64(b.at), 10)
}

func (f converseForm) begin(s *stream) {
	f.head(s, "messageStart")
	s.json = append(s.json, `{"role":"assistant"}`...)
	f.send(s, "messageStart")
}

func (f converseForm) open(s *stream, b *block) {
	switch b.kind {
	case redactedBlock:
		f.reasoning(s, b, "redactedContent", b.seal)
	case toolBlock: // only those are announced
		f.announce(s, b)
	}
}

// reasoning sends a piece of reasoning other than its text.
func (f converseForm) reasoning(s *stream, b *block, member, value string) {
	f.about(s, "contentBlockDelta", b)
	s.json = append(s.json, `,"delta":{"reasoningContent":{"`...)
	s.json = append(s.json, member...)
	s.json = append(s.json, `":`...)
	s.json = wire.AppendString(s.json, value)
	s.json = append(s.json, `}}}`...)
	f.send(s, "contentBlockDelta")
}

func (f converseForm) sign(s *stream, b *block) { f.reasoning(s, b, "signature", b.seal) }

func (f converseForm) announce(s *stream, b *block) {
	f.about(s, "contentBlockStart", b)
	s.json = append(s.json, `,"start":{"toolUse":{"toolUseId":`...)
	s.json = wire.AppendString(s.json, b.id)
	s.json = append(s.json, `,"name":`...)
	s.json = wire.AppendString(s.json, b.name)
	s.json = append(s.json, `}}}`...)
	f.send(s, "contentBlockStart")
}

func (f converseForm) piece(s *stream, b *block, text string) {
	before, after := `,"delta":{"text":`, `}}`
	switch b.kind {
	case reasoningBlock:
		before, after = `,"delta":{"reasoningContent":{"text":`, `}}}`
	case toolBlock:
		before, after = `,"delta":{"toolUse":{"input":`, `}}}`
	}
	f.about(s, "contentBlockDelta", b)
	s.json = append(s.json, before...)
	s.json = wire.AppendString(s.json, text)
	s.json = append(s.json, after...)
	f.send(s, "contentBlockDelta")
}

func (f converseForm) close(s *stream, b *block) {
	f.about(s, "contentBlockStop", b)
	s.json = append(s.json, '}')
	f.send(s, "contentBlockStop")
}

func (f converseForm) end(s *stream, e ending) {
	f.head(s, "messageStop")
	s.json = append(s.json, `{"stopReason":`...)
	s.json = wire.AppendString(s.json, string(e.reason))
	s.json = append(s.json, '}')
	f.send(s, "messageStop")

	usage, _ := json.Marshal(newConverseUsage(e.usage)) // numbers always encode
	f.head(s, "metadata")
	s.json = append(s.json, `{"usage":`...)
	s.json = append(s.json, usage...)
	s.json = append(s.json, `,"metrics":{`...)
	if !f.nested {
		s.json = append(s.json, `"latencyMs":`...)
		s.json = strconv.AppendInt(s.json, e.latency.Milliseconds(), 10)
	}
	s.json = append(s.json, `}}`...)
	if f.nested {
		s.json = appendMetrics(append(s.json, '}'), e)
		s.frame("metadata")
		return
	}
	f.send(s, "metadata")
}

type converseUsage struct {
	Input      int `json:"inputTokens"`
	Output     int `json:"outputTokens"`
	Total      int `json:"totalTokens"`
	CacheRead  int `json:"cacheReadInputTokens,omitempty"`
	CacheWrite int `json:"cacheWriteInputTokens,omitempty"`
}

func newConverseUsage(u runnel.Usage) converseUsage {
	return converseUsage{u.InputTokens, u.OutputTokens, u.InputTokens + u.OutputTokens, u.CacheReadTokens, u.CacheWriteTokens}
}

func (f converseForm) whole(r *result) any {
	content := []any{}
	for i := range r.blocks {
		switch b := &r.blocks[i]; b.kind {
		case textBlock:
			content = append(content, map[string]string{"text": string(b.data)})
		case reasoningBlock:
			text := map[string]string{"text": string(b.data)}
			if b.seal != "" {
				text["signature"] = b.seal
			}
			content = append(content, map[string]any{"reasoningContent": map[string]any{"reasoningText": text}})
		case redactedBlock:
			content = append(content, map[string]any{"reasoningContent": map[string]string{"redactedContent": b.seal}})
		case toolBlock:
			content = append(content, map[string]any{"toolUse": converseCall{b.id, b.name, b.input()}})
		}
	}
	body := map[string]any{
		"output":     map[string]any{"message": map[string]any{"role": "assistant", "content": content}},
		"stopReason": r.ending.reason, "usage": newConverseUsage(r.ending.usage),
	}
	if !f.nested {
		body["metrics"] = map[string]int64{"latencyMs": r.ending.latency.Milliseconds()}
	}
	return body
}
