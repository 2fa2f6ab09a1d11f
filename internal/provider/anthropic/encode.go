package anthropic

import (
	"encoding/json"
	"fmt"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

type request struct {
	Model         string      `json:"model"`
	MaxTokens     int         `json:"max_tokens"`
	Stream        bool        `json:"stream"`
	System        string      `json:"system,omitempty"`
	Messages      []message   `json:"messages"`
	Temperature   *float64    `json:"temperature,omitempty"`
	TopP          *float64    `json:"top_p,omitempty"`
	StopSequences []string    `json:"stop_sequences,omitempty"`
	Tools         []tool      `json:"tools,omitempty"`
	ToolChoice    *toolChoice `json:"tool_choice,omitempty"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// A block is a piece of content; Type says which members it has.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"` // may be empty
	Signature string          `json:"signature,omitempty"`
	Data      string          `json:"data,omitempty"` // of redacted thinking
	Source    *source         `json:"source,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   string          `json:"content,omitempty"`
	IsError   bool            `json:"is_error,omitempty"`
}

type source struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      []byte `json:"data,omitempty"` // base64
	URL       string `json:"url,omitempty"`
}

type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
}

type toolChoice struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
}

// encode returns the request for p.
func encode(cfg *Config, p *runnel.Prompt) ([]byte, error) {
	r := request{
		Model: cfg.Model, MaxTokens: cfg.MaxTokens, Stream: true, System: p.System,
		Temperature: p.Temperature, TopP: p.TopP, StopSequences: p.Stop,
	}
	if p.MaxTokens > 0 {
		r.MaxTokens = p.MaxTokens
	}
	for _, t := range p.Tools {
		schema := t.Schema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`) // the API demands one
		}
		r.Tools = append(r.Tools, tool{t.Name, t.Description, schema})
	}
	if p.ToolChoice.Mode != "" {
		r.ToolChoice = &toolChoice{Type: p.ToolChoice.Mode, Name: p.ToolChoice.Name}
	}
	for _, m := range p.Messages {
		if content := encodeParts(m.Parts); len(content) > 0 {
			r.Messages = append(r.Messages, message{Role: string(m.Role), Content: content})
		}
	}
	body, err := json.Marshal(r)
	if err != nil { // a schema or a tool call that is not JSON
		return nil, runnel.Errorf(runnel.Invalid, "the prompt has a part that is not JSON").
			Because(fmt.Errorf("anthropic: encode prompt: %w", err))
	}
	return upstream.Merge(body, p.Extra)
}

// encodeParts returns the blocks of a message. The API wants tool results
// first, and refuses empty text.
func encodeParts(parts []runnel.Part) []block {
	var results, rest []block
	for _, p := range parts {
		switch {
		case p.ToolResult != nil:
			results = append(results, block{
				Type: "tool_result", ToolUseID: p.ToolResult.ID, Content: p.ToolResult.Content, IsError: p.ToolResult.Failed,
			})
		case p.ToolCall != nil:
			input := p.ToolCall.Input
			if len(input) == 0 {
				input = json.RawMessage("{}")
			}
			rest = append(rest, block{Type: "tool_use", ID: p.ToolCall.ID, Name: p.ToolCall.Name, Input: input})
		case p.Reasoning != nil && p.Reasoning.Redacted != "":
			rest = append(rest, block{Type: "redacted_thinking", Data: p.Reasoning.Redacted})
		case p.Reasoning != nil && p.Reasoning.Signature != "": // no other is taken back
			rest = append(rest, block{Type: "thinking", Thinking: &p.Reasoning.Text, Signature: p.Reasoning.Signature})
		case p.Image != nil && p.Image.URL != "":
			rest = append(rest, block{Type: "image", Source: &source{Type: "url", URL: p.Image.URL}})
		case p.Image != nil:
			rest = append(rest, block{Type: "image", Source: &source{Type: "base64", MediaType: p.Image.MediaType, Data: p.Image.Data}})
		case p.Text != "":
			rest = append(rest, block{Type: "text", Text: p.Text})
		}
	}
	return append(results, rest...)
}
