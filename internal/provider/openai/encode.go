package openai

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/runnelhq/runnel"
)

type request struct {
	Model               string         `json:"model"`
	Messages            []message      `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	TopP                *float64       `json:"top_p,omitempty"`
	Stop                []string       `json:"stop,omitempty"`
	Tools               []tool         `json:"tools,omitempty"`
	ToolChoice          any            `json:"tool_choice,omitempty"` // a word or a toolChoice

	ContinueFinalMessage bool  `json:"continue_final_message,omitempty"`
	AddGenerationPrompt  *bool `json:"add_generation_prompt,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type message struct {
	Role       string     `json:"role"`
	Content    any        `json:"content,omitempty"` // a string or []part
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
	Prefix     bool       `json:"prefix,omitempty"`
}

type part struct {
	Type     string    `json:"type"`
	Text     string    `json:"text,omitempty"`
	ImageURL *imageURL `json:"image_url,omitempty"`
}

type imageURL struct {
	URL string `json:"url"`
}

type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

type toolChoice struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

// encode returns the request for p.
func encode(cfg *Config, p *runnel.Prompt) ([]byte, error) {
	r := request{
		Model: cfg.Model, Stream: true,
		Temperature: p.Temperature, TopP: p.TopP, Stop: p.Stop,
		ToolChoice: encodeChoice(p.ToolChoice),
	}
	if !cfg.NoUsage {
		r.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	if cfg.MaxTokensField == maxCompletionTokens {
		r.MaxCompletionTokens = p.MaxTokens
	} else {
		r.MaxTokens = p.MaxTokens
	}
	for _, t := range p.Tools {
		r.Tools = append(r.Tools, tool{Type: "function", Function: function{t.Name, t.Description, t.Schema}})
	}
	if p.System != "" {
		r.Messages = append(r.Messages, message{Role: "system", Content: p.System})
	}
	for i := range p.Messages {
		r.Messages = appendMessage(r.Messages, &p.Messages[i])
	}
	if p.Continue {
		r.goOn(cfg.Prefill)
	}
	body, err := json.Marshal(r)
	if err != nil { // a schema or a tool call that is not JSON
		return nil, runnel.Errorf(runnel.Invalid, "the prompt has a part that is not JSON").
			Because(fmt.Errorf("openai: encode prompt: %w", err))
	}
	return body, nil
}

// goOn asks for what follows the last message.
func (r *request) goOn(how string) {
	switch how {
	case prefillPrefix:
		r.Messages[len(r.Messages)-1].Prefix = true
	case prefillRequest:
		r.ContinueFinalMessage, r.AddGenerationPrompt = true, new(bool)
	}
}

// appendMessage appends m. Tool results are messages of their own there, and
// must follow the calls directly, so they come before the rest.
func appendMessage(dst []message, m *runnel.Message) []message {
	out := message{Role: string(m.Role)}
	var parts []part
	onlyText := true
	for _, p := range m.Parts {
		switch {
		case p.ToolResult != nil:
			dst = append(dst, message{Role: "tool", Content: p.ToolResult.Content, ToolCallID: p.ToolResult.ID})
		case p.ToolCall != nil:
			call := toolCall{ID: p.ToolCall.ID, Type: "function"}
			call.Function.Name, call.Function.Arguments = p.ToolCall.Name, cmp.Or(string(p.ToolCall.Input), "{}")
			out.ToolCalls = append(out.ToolCalls, call)
		case p.Image != nil:
			onlyText = false
			parts = append(parts, part{Type: "image_url", ImageURL: &imageURL{address(p.Image)}})
		case p.Text != "":
			parts = append(parts, part{Type: "text", Text: p.Text})
		}
	}
	switch {
	case len(parts) == 0 && len(out.ToolCalls) == 0:
		return dst
	case len(parts) > 0 && onlyText:
		out.Content = m.Text() // many servers know no other form
	case len(parts) > 0:
		out.Content = parts
	}
	return append(dst, out)
}

func address(i *runnel.Image) string {
	if i.URL != "" {
		return i.URL
	}
	return "data:" + i.MediaType + ";base64," + base64.StdEncoding.EncodeToString(i.Data)
}

func encodeChoice(c runnel.ToolChoice) any {
	switch c.Mode {
	case "":
		return nil
	case "any":
		return "required"
	case "tool":
		return toolChoice{Type: "function", Function: function{Name: c.Name}}
	default:
		return c.Mode
	}
}
