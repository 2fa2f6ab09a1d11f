package bedrock

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// claude is Anthropic's family, with its messages API.
var claude = family{read: readClaude, form: func(model string) form { return claudeForm{model} }}

type claudeRequest struct {
	Messages []struct {
		Role    string        `json:"role"`
		Content claudeContent `json:"content"`
	} `json:"messages"`
	System        claudeContent `json:"system"`
	MaxTokens     int           `json:"max_tokens"`
	Temperature   *float64      `json:"temperature"`
	TopP          *float64      `json:"top_p"`
	StopSequences []string      `json:"stop_sequences"`
	Tools         []struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"input_schema"`
	} `json:"tools"`
	ToolChoice struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"tool_choice"`

	// Members that go on to a vendor as they are.
	Thinking json.RawMessage `json:"thinking"`
	TopK     json.RawMessage `json:"top_k"`
}

// extra returns what only the vendor knows; nil for nothing.
func (b *claudeRequest) extra() json.RawMessage {
	members := map[string]json.RawMessage{}
	for name, member := range map[string]json.RawMessage{"thinking": b.Thinking, "top_k": b.TopK} {
		if given(member) {
			members[name] = member
		}
	}
	if len(members) == 0 {
		return nil
	}
	extra, _ := json.Marshal(members) // they have been decoded
	return extra
}

// claudeContent is a string or a list of blocks.
type claudeContent []claudeBlock

// UnmarshalJSON implements [json.Unmarshaler].
func (c *claudeContent) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		type plain claudeContent
		return json.Unmarshal(data, (*plain)(c))
	}
	*c = claudeContent{{Type: "text"}}
	return json.Unmarshal(data, &(*c)[0].Text)
}

type claudeBlock struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Source *struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      []byte `json:"data"`
		URL       string `json:"url"`
	} `json:"source"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   claudeContent   `json:"content"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"`
	IsError   bool            `json:"is_error"`
}

func readClaude(data []byte) (p runnel.Prompt, err error) {
	var b claudeRequest
	if err := decode(data, &b); err != nil {
		return p, err
	}
	p = runnel.Prompt{MaxTokens: b.MaxTokens, Temperature: b.Temperature, TopP: b.TopP, Stop: b.StopSequences, Extra: b.extra()}
	if p.System, err = b.System.text("\n\n"); err != nil {
		return p, err
	}
	for _, m := range b.Messages {
		out := runnel.Message{Role: runnel.Role(m.Role)}
		if out.Role != runnel.User && out.Role != runnel.Assistant {
			return p, runnel.Errorf(runnel.Invalid, "unknown role %.40q; known: user, assistant", m.Role)
		}
		for i := range m.Content {
			if out.Parts, err = m.Content[i].appendTo(out.Parts); err != nil {
				return p, err
			}
		}
		p.Messages = append(p.Messages, out)
	}
	for _, t := range b.Tools {
		if t.Type != "" && t.Type != "custom" {
			return p, runnel.Errorf(runnel.Invalid, "tools of type %.40q are not supported; custom ones are", t.Type)
		}
		p.Tools = append(p.Tools, runnel.Tool{Name: t.Name, Description: t.Description, Schema: orObject(t.Schema)})
	}
	p.ToolChoice = runnel.ToolChoice{Mode: b.ToolChoice.Type, Name: b.ToolChoice.Name}
	switch p.ToolChoice.Mode {
	case "", "auto", "any", "none", "tool":
		return p, nil
	}
	return p, runnel.Errorf(runnel.Invalid, "the tool choice %.40q is not supported", p.ToolChoice.Mode)
}

// text joins blocks that may have nothing but text.
func (c claudeContent) text(between string) (string, error) {
	var texts []string
	for i := range c {
		if c[i].Type != "text" {
			return "", runnel.Errorf(runnel.Invalid, "content of type %.40q is not supported here; text is", c[i].Type)
		}
		texts = append(texts, c[i].Text)
	}
	return strings.Join(texts, between), nil
}

func (b *claudeBlock) appendTo(parts []runnel.Part) ([]runnel.Part, error) {
	switch b.Type {
	case "text":
		return append(parts, runnel.Part{Text: b.Text}), nil
	case "image":
		switch {
		case b.Source != nil && b.Source.Type == "base64" && len(b.Source.Data) > 0:
			return append(parts, runnel.Part{Image: &runnel.Image{MediaType: b.Source.MediaType, Data: b.Source.Data}}), nil
		case b.Source != nil && b.Source.Type == "url":
			image, err := runnel.ParseImage(b.Source.URL)
			return append(parts, runnel.Part{Image: image}), err
		}
		return parts, runnel.Errorf(runnel.Invalid, "an image needs a source of type base64 or url")
	case "tool_use":
		if b.ID == "" || b.Name == "" {
			return parts, runnel.Errorf(runnel.Invalid, "a tool_use needs an id and a name")
		}
		return append(parts, runnel.Part{ToolCall: &runnel.ToolCall{ID: b.ID, Name: b.Name, Input: orObject(b.Input)}}), nil
	case "tool_result":
		text, err := b.Content.text("\n")
		return append(parts, runnel.Part{ToolResult: &runnel.ToolResult{ID: b.ToolUseID, Content: text, Failed: b.IsError}}), err
	case "thinking":
		return append(parts, sealed(b.Thinking, runnel.Seal{Signature: b.Signature})...), nil
	case "redacted_thinking":
		return append(parts, sealed("", runnel.Seal{Redacted: b.Data})...), nil
	}
	return parts, runnel.Errorf(runnel.Invalid, "content of type %.40q is not supported; text, image, tool_use and tool_result are", b.Type)
}

// A claudeForm is what answers of Claude's look like.
type claudeForm struct{ model string }

func (f claudeForm) begin(s *stream) {
	s.json = append(s.json[:0], `{"type":"message_start","message":{"id":"msg_bdrk_`...)
	s.json = strconv.AppendInt(s.json, s.clock.begun.UnixNano(), 36)
	s.json = append(s.json, `","type":"message","role":"assistant","model":`...)
	s.json = wire.AppendString(s.json, f.model)
	// How many tokens the prompt has is known at the end only, and told there.
	s.json = append(s.json, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}`...)
	s.frame("")
}

// about begins the payload of an event about a block.
func (f claudeForm) about(s *stream, event string, b *block) {
	s.json = append(s.json[:0], `{"type":"`...)
	s.json = append(s.json, event...)
	s.json = append(s.json, `","index":`...)
	s.json = strconv.AppendInt(s.json, int64(b.at), 10)
}

func (f claudeForm) open(s *stream, b *block) {
	f.about(s, "content_block_start", b)
	switch b.kind {
	case textBlock:
		s.json = append(s.json, `,"content_block":{"type":"text","text":""}}`...)
	case reasoningBlock:
		s.json = append(s.json, `,"content_block":{"type":"thinking","thinking":"","signature":""}}`...)
	case redactedBlock:
		s.json = append(s.json, `,"content_block":{"type":"redacted_thinking","data":`...)
		s.json = wire.AppendString(s.json, b.seal)
		s.json = append(s.json, `}}`...)
	case toolBlock:
		s.json = append(s.json, `,"content_block":{"type":"tool_use","id":`...)
		s.json = wire.AppendString(s.json, b.id)
		s.json = append(s.json, `,"name":`...)
		s.json = wire.AppendString(s.json, b.name)
		s.json = append(s.json, `,"input":{}}}`...)
	}
	s.frame("")
}

func (f claudeForm) piece(s *stream, b *block, text string) {
	f.about(s, "content_block_delta", b)
	switch b.kind {
	case textBlock:
		s.json = append(s.json, `,"delta":{"type":"text_delta","text":`...)
	case reasoningBlock:
		s.json = append(s.json, `,"delta":{"type":"thinking_delta","thinking":`...)
	case toolBlock:
		s.json = append(s.json, `,"delta":{"type":"input_json_delta","partial_json":`...)
	}
	s.json = wire.AppendString(s.json, text)
	s.json = append(s.json, `}}`...)
	s.frame("")
}

func (f claudeForm) sign(s *stream, b *block) {
	f.about(s, "content_block_delta", b)
	s.json = append(s.json, `,"delta":{"type":"signature_delta","signature":`...)
	s.json = wire.AppendString(s.json, b.seal)
	s.json = append(s.json, `}}`...)
	s.frame("")
}

func (f claudeForm) close(s *stream, b *block) {
	f.about(s, "content_block_stop", b)
	s.json = append(s.json, '}')
	s.frame("")
}

func (f claudeForm) end(s *stream, e ending) {
	usage, _ := json.Marshal(newClaudeUsage(e.usage)) // numbers always encode
	s.json = append(s.json[:0], `{"type":"message_delta","delta":{"stop_reason":`...)
	s.json = wire.AppendString(s.json, claudeReason(e.reason))
	s.json = append(s.json, `,"stop_sequence":null},"usage":`...)
	s.json = append(s.json, usage...)
	s.json = append(s.json, '}')
	s.frame("")
	s.json = appendMetrics(append(s.json[:0], `{"type":"message_stop"}`...), e)
	s.frame("")
}

// claudeReason returns Claude's word for why an answer ended.
func claudeReason(reason runnel.StopReason) string {
	if reason == runnel.Filtered {
		return "refusal"
	}
	return string(reason)
}

type claudeUsage struct {
	Input      int `json:"input_tokens"`
	CacheWrite int `json:"cache_creation_input_tokens,omitempty"`
	CacheRead  int `json:"cache_read_input_tokens,omitempty"`
	Output     int `json:"output_tokens"`
}

func newClaudeUsage(u runnel.Usage) claudeUsage {
	return claudeUsage{u.InputTokens, u.CacheWriteTokens, u.CacheReadTokens, u.OutputTokens}
}

func (f claudeForm) whole(r *result) any {
	content := []any{}
	for i := range r.blocks {
		switch b := &r.blocks[i]; b.kind {
		case textBlock:
			content = append(content, map[string]string{"type": "text", "text": string(b.data)})
		case reasoningBlock:
			content = append(content, map[string]string{"type": "thinking", "thinking": string(b.data), "signature": b.seal})
		case redactedBlock:
			content = append(content, map[string]string{"type": "redacted_thinking", "data": b.seal})
		case toolBlock:
			content = append(content, map[string]any{"type": "tool_use", "id": b.id, "name": b.name, "input": b.input()})
		}
	}
	return map[string]any{
		"id": "msg_bdrk_" + strconv.FormatInt(r.clock.begun.UnixNano(), 36), "type": "message", "role": "assistant", "model": f.model,
		"content": content, "stop_reason": claudeReason(r.ending.reason), "stop_sequence": nil, "usage": newClaudeUsage(r.ending.usage),
	}
}

// appendMetrics adds what Bedrock tells in a stream's last chunk to an object.
func appendMetrics(object []byte, e ending) []byte {
	object = append(object[:len(object)-1], `,"amazon-bedrock-invocationMetrics":{"inputTokenCount":`...)
	object = strconv.AppendInt(object, int64(e.usage.InputTokens), 10)
	object = append(object, `,"outputTokenCount":`...)
	object = strconv.AppendInt(object, int64(e.usage.OutputTokens), 10)
	object = append(object, `,"invocationLatency":`...)
	object = strconv.AppendInt(object, e.latency.Milliseconds(), 10)
	object = append(object, `,"firstByteLatency":`...)
	object = strconv.AppendInt(object, e.first.Milliseconds(), 10)
	return append(object, `}}`...)
}
