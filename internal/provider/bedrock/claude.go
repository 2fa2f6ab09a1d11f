package bedrock

import (
	"encoding/json"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
)

// claude is Anthropic's family, with its messages API.
var claude = family{request: claudeRequest, decode: decodeClaude}

// claudeMaxTokens is sent when the prompt has no limit: Claude must have one,
// and every Claude can do this much.
const claudeMaxTokens = 4096

type claudeBody struct {
	Version       string          `json:"anthropic_version"`
	MaxTokens     int             `json:"max_tokens"`
	System        string          `json:"system,omitempty"`
	Messages      []claudeMessage `json:"messages"`
	Temperature   *float64        `json:"temperature,omitempty"`
	TopP          *float64        `json:"top_p,omitempty"`
	StopSequences []string        `json:"stop_sequences,omitempty"`
	Tools         []claudeTool    `json:"tools,omitempty"`
	ToolChoice    *claudeChoice   `json:"tool_choice,omitempty"`
}

type claudeMessage struct {
	Role    runnel.Role   `json:"role"`
	Content []claudeBlock `json:"content"`
}

// A claudeBlock has the members that go with its type.
type claudeBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"` // may be empty
	Signature string          `json:"signature,omitempty"`
	Data      string          `json:"data,omitempty"` // of redacted thinking
	Source    *claudeSource   `json:"source,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   string          `json:"content,omitempty"`
	IsError   bool            `json:"is_error,omitempty"`
}

type claudeSource struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type"`
	Data      []byte `json:"data"`
}

type claudeTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"input_schema"`
}

type claudeChoice struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
}

func claudeRequest(p *runnel.Prompt) (any, error) {
	b := &claudeBody{
		Version:       "bedrock-2023-05-31",
		MaxTokens:     p.MaxTokens,
		System:        p.System,
		Temperature:   p.Temperature,
		TopP:          p.TopP,
		StopSequences: p.Stop,
	}
	if b.MaxTokens == 0 {
		b.MaxTokens = claudeMaxTokens
	}
	for _, m := range p.Messages {
		out := claudeMessage{Role: m.Role}
		for _, part := range m.Parts {
			block, err := newClaudeBlock(part)
			if err != nil {
				return nil, err
			}
			if block.Type == "text" && block.Text == "" {
				continue // it is refused
			}
			out.Content = append(out.Content, block)
		}
		if len(out.Content) > 0 {
			b.Messages = append(b.Messages, out)
		}
	}
	for _, t := range p.Tools {
		b.Tools = append(b.Tools, claudeTool{Name: t.Name, Description: t.Description, Schema: schemaOf(t)})
	}
	if p.ToolChoice.Mode != "" && len(p.Tools) > 0 {
		b.ToolChoice = &claudeChoice{Type: p.ToolChoice.Mode, Name: p.ToolChoice.Name}
	}
	return b, nil
}

func newClaudeBlock(part runnel.Part) (claudeBlock, error) {
	switch {
	case part.Image != nil:
		if len(part.Image.Data) == 0 {
			return claudeBlock{}, errImageURL()
		}
		return claudeBlock{Type: "image", Source: &claudeSource{Type: "base64", MediaType: part.Image.MediaType, Data: part.Image.Data}}, nil
	case part.Reasoning != nil && part.Reasoning.Redacted != "":
		return claudeBlock{Type: "redacted_thinking", Data: part.Reasoning.Redacted}, nil
	case part.Reasoning != nil && part.Reasoning.Signature != "": // no other is taken back
		return claudeBlock{Type: "thinking", Thinking: &part.Reasoning.Text, Signature: part.Reasoning.Signature}, nil
	case part.ToolCall != nil:
		c := part.ToolCall
		return claudeBlock{Type: "tool_use", ID: c.ID, Name: c.Name, Input: orEmpty(c.Input)}, nil
	case part.ToolResult != nil:
		r := part.ToolResult
		return claudeBlock{Type: "tool_result", ToolUseID: r.ID, Content: r.Content, IsError: r.Failed}, nil
	}
	return claudeBlock{Type: "text", Text: part.Text}, nil
}

// claudeEvent is what the events of a Claude may hold.
type claudeEvent struct {
	kind     string // the event's type
	block    int
	inner    string // the type of its block or delta
	text     string // or reasoning, or a fragment of input
	id, name string
	reason   string
}

// decodeClaude reads one event of Claude's messages.
func decodeClaude(a *answer, _ string, s *jsonscan.Scanner) {
	var ev claudeEvent
	for key := range s.Object() {
		switch string(key) {
		case "type":
			ev.kind = s.String()
		case "index":
			ev.block = s.Int()
		case "content_block", "delta", "error":
			ev.readInner(s)
		case "message":
			for key := range s.Object() {
				switch string(key) {
				case "model":
					a.model = s.String()
				case "usage":
					a.readUsage(s)
					sofar := a.usage
					a.deltas = append(a.deltas, runnel.Delta{Usage: &sofar})
				}
			}
		case "usage", "amazon-bedrock-invocationMetrics":
			a.readUsage(s)
		}
	}
	ev.apply(a)
}

// readInner reads a block, a delta or an error: their members do not collide.
func (ev *claudeEvent) readInner(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "type":
			ev.inner = s.String()
		case "text", "thinking", "partial_json", "signature", "data":
			if text := s.String(); text != "" {
				ev.text = text
			}
		case "id":
			ev.id = s.String()
		case "name":
			ev.name = s.String()
		case "stop_reason":
			ev.reason = s.String()
		}
	}
}

func (ev *claudeEvent) apply(a *answer) {
	switch ev.kind {
	case "content_block_start":
		switch ev.inner {
		case "tool_use":
			a.startTool(ev.block, ev.id, ev.name)
		case "text":
			a.text(ev.text)
		case "thinking":
			a.reasoning(ev.text)
		case "redacted_thinking":
			a.seal(runnel.Seal{Redacted: ev.text})
		}
	case "content_block_delta":
		switch ev.inner {
		case "text_delta":
			a.text(ev.text)
		case "thinking_delta":
			a.reasoning(ev.text)
		case "signature_delta":
			a.seal(runnel.Seal{Signature: ev.text})
		case "input_json_delta":
			a.toolInput(ev.block, ev.text)
		}
	case "content_block_stop":
		a.endBlock(ev.block)
	case "message_delta":
		if ev.reason != "" {
			a.setStop(ev.reason)
		}
	case "message_stop":
		a.stopped, a.complete = true, true
	case "error":
		a.failure = &serviceError{code: ev.inner, message: "an error event"}
	}
}
