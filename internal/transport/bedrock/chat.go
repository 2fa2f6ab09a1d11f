package bedrock

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// chat is what the families have in common that speak OpenAI's form.
var chat = family{read: readChat, form: func(string) form { return chatForm{} }}

type chatRequest struct {
	Messages            []chatMessage `json:"messages"`
	MaxTokens           int           `json:"max_tokens"`
	MaxCompletionTokens int           `json:"max_completion_tokens"`
	Temperature         *float64      `json:"temperature"`
	TopP                *float64      `json:"top_p"`
	Stop                chatStop      `json:"stop"`
	Tools               []struct {
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
}

type chatMessage struct {
	Role       string      `json:"role"`
	Content    chatContent `json:"content"`
	ToolCalls  []chatCall  `json:"tool_calls"`
	ToolCallID string      `json:"tool_call_id"`
}

type chatCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// chatContent is a string, null, or a list of parts.
type chatContent []struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Image struct {
		URL string `json:"url"`
	} `json:"image_url"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *chatContent) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		type plain chatContent
		return json.Unmarshal(data, (*plain)(c))
	}
	*c = make(chatContent, 1)
	(*c)[0].Type = "text"
	return json.Unmarshal(data, &(*c)[0].Text)
}

// chatStop is a string or a list.
type chatStop []string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *chatStop) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, (*[]string)(s))
	}
	*s = make(chatStop, 1)
	return json.Unmarshal(data, &(*s)[0])
}

func readChat(data []byte) (p runnel.Prompt, err error) {
	var b chatRequest
	if err := decode(data, &b); err != nil {
		return p, err
	}
	p = runnel.Prompt{MaxTokens: max(b.MaxTokens, b.MaxCompletionTokens), Temperature: b.Temperature, TopP: b.TopP, Stop: b.Stop}
	for i := range b.Messages {
		if err := b.Messages[i].addTo(&p); err != nil {
			return p, err
		}
	}
	for _, t := range b.Tools {
		p.Tools = append(p.Tools, runnel.Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: orObject(t.Function.Parameters)})
	}
	p.ToolChoice, err = chatChoice(b.ToolChoice)
	return p, err
}

func chatChoice(data json.RawMessage) (c runnel.ToolChoice, err error) {
	var word string
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	switch {
	case !given(data):
	case json.Unmarshal(data, &word) == nil && (word == "auto" || word == "none"):
		c.Mode = word
	case word == "required":
		c.Mode = "any"
	case json.Unmarshal(data, &named) == nil && named.Function.Name != "":
		c = runnel.ToolChoice{Mode: "tool", Name: named.Function.Name}
	default:
		err = runnel.Errorf(runnel.Invalid, "the tool choice is not supported")
	}
	return c, err
}

func (m *chatMessage) addTo(p *runnel.Prompt) error {
	parts, err := m.Content.parts()
	if err != nil {
		return err
	}
	out := runnel.Message{Role: runnel.User, Parts: parts}
	switch m.Role {
	case "system", "developer":
		p.System = strings.TrimSpace(p.System + "\n\n" + out.Text())
		return nil
	case "user":
	case "assistant":
		out.Role = runnel.Assistant
		for _, call := range m.ToolCalls {
			input := json.RawMessage(call.Function.Arguments)
			if len(input) == 0 {
				input = json.RawMessage("{}")
			}
			if call.ID == "" || call.Function.Name == "" || !json.Valid(input) {
				return runnel.Errorf(runnel.Invalid, "a tool call needs an id, the name of a function, and arguments that are JSON")
			}
			out.Parts = append(out.Parts, runnel.Part{ToolCall: &runnel.ToolCall{ID: call.ID, Name: call.Function.Name, Input: input}})
		}
	case "tool":
		out.Parts = []runnel.Part{{ToolResult: &runnel.ToolResult{ID: m.ToolCallID, Content: out.Text()}}}
		// The results of several calls are one message.
		if last := len(p.Messages) - 1; last >= 0 && p.Messages[last].Role == runnel.User {
			p.Messages[last].Parts = append(p.Messages[last].Parts, out.Parts...)
			return nil
		}
	default:
		return runnel.Errorf(runnel.Invalid, "unknown role %.40q; known: system, developer, user, assistant, tool", m.Role)
	}
	p.Messages = append(p.Messages, out)
	return nil
}

func (c chatContent) parts() (parts []runnel.Part, err error) {
	for _, part := range c {
		switch part.Type {
		case "text":
			parts = append(parts, runnel.Part{Text: part.Text})
		case "image_url":
			image, err := runnel.ParseImage(part.Image.URL)
			if err != nil {
				return nil, err
			}
			parts = append(parts, runnel.Part{Image: image})
		default:
			return nil, runnel.Errorf(runnel.Invalid, "content of type %.40q is not supported; text and images are", part.Type)
		}
	}
	return parts, nil
}

// A chatForm is what answers in OpenAI's form look like.
type chatForm struct{}

func (chatForm) begin(*stream) {}

func (f chatForm) open(s *stream, b *block) {
	if b.kind == toolBlock {
		f.call(s, b, `,"id":`, b.id, `,"type":"function","function":{"name":`, b.name, `,"arguments":""}`)
	}
}

func (f chatForm) sign(*stream, *block) {}

func (f chatForm) piece(s *stream, b *block, text string) {
	member := `"content":`
	switch b.kind {
	case reasoningBlock:
		member = `"reasoning_content":`
	case toolBlock:
		f.call(s, b, `,"function":{"arguments":`, text, `}`)
		return
	}
	s.json = append(s.json[:0], `{"choices":[{"index":0,"delta":{"role":"assistant",`...)
	s.json = append(s.json, member...)
	s.json = wire.AppendString(s.json, text)
	s.json = append(s.json, `},"finish_reason":null}]}`...)
	s.frame("")
}

// call sends a fragment of a tool call, made of JSON and texts in turn.
func (chatForm) call(s *stream, b *block, parts ...string) {
	s.json = append(s.json[:0], `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":`...)
	s.json = strconv.AppendInt(s.json, int64(b.call), 10)
	for i, part := range parts {
		if i%2 == 0 {
			s.json = append(s.json, part...)
		} else {
			s.json = wire.AppendString(s.json, part)
		}
	}
	s.json = append(s.json, `}]},"finish_reason":null}]}`...)
	s.frame("")
}

func (chatForm) close(*stream, *block) {}

func (chatForm) end(s *stream, e ending) {
	s.json = append(s.json[:0], `{"choices":[{"index":0,"delta":{},"finish_reason":`...)
	s.json = wire.AppendString(s.json, chatReason(e.reason))
	s.json = append(s.json, `}]}`...)
	s.json = appendMetrics(s.json, e)
	s.frame("")
}

func chatReason(reason runnel.StopReason) string {
	switch reason {
	case runnel.MaxTokens:
		return "length"
	case runnel.ToolUse:
		return "tool_calls"
	case runnel.Filtered:
		return "content_filter"
	}
	return "stop"
}

func (chatForm) whole(r *result) any {
	m := ordered{{"role", "assistant"}, {"content", r.text()}}
	var calls []ordered
	for i := range r.blocks {
		switch b := &r.blocks[i]; b.kind {
		case reasoningBlock:
			m = append(m, pair{"reasoning_content", string(b.data)})
		case toolBlock:
			calls = append(calls, ordered{{"id", b.id}, {"type", "function"}, {"function", ordered{{"name", b.name}, {"arguments", string(b.input())}}}})
		}
	}
	if calls != nil {
		m = append(m, pair{"tool_calls", calls})
	}
	u := r.ending.usage
	return ordered{
		{"object", "chat.completion"},
		{"choices", []ordered{{{"index", 0}, {"message", m}, {"finish_reason", chatReason(r.ending.reason)}}}},
		{"usage", ordered{{"prompt_tokens", u.InputTokens}, {"completion_tokens", u.OutputTokens}, {"total_tokens", u.InputTokens + u.OutputTokens}}},
	}
}
