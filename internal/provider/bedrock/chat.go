package bedrock

import (
	"encoding/base64"
	"encoding/json"

	"github.com/runnelhq/runnel"
)

// The request of the families that take a conversation in OpenAI's form.

type chatBody struct {
	Messages    []chatMessage `json:"messages"`
	MaxTokens   int           `json:"max_tokens,omitempty"`
	Temperature *float64      `json:"temperature,omitempty"`
	TopP        *float64      `json:"top_p,omitempty"`
	Stop        []string      `json:"stop,omitempty"`
	Tools       []chatTool    `json:"tools,omitempty"`
	ToolChoice  any           `json:"tool_choice,omitempty"`
}

type chatMessage struct {
	Role       string     `json:"role"`
	Content    any        `json:"content,omitempty"` // a string, or parts if there are images
	ToolCalls  []chatCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type chatPart struct {
	Type  string        `json:"type"`
	Text  string        `json:"text,omitempty"`
	Image *chatImageURL `json:"image_url,omitempty"`
}

type chatImageURL struct {
	URL string `json:"url"`
}

type chatCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type chatTool struct {
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

func chatRequest(p *runnel.Prompt) (any, error) {
	b := &chatBody{MaxTokens: p.MaxTokens, Temperature: p.Temperature, TopP: p.TopP, Stop: p.Stop}
	if p.System != "" {
		b.Messages = append(b.Messages, chatMessage{Role: "system", Content: p.System})
	}
	for _, m := range p.Messages {
		more, err := newChatMessages(m)
		if err != nil {
			return nil, err
		}
		b.Messages = append(b.Messages, more...)
	}
	for _, t := range p.Tools {
		b.Tools = append(b.Tools, chatTool{Type: "function", Function: chatFunction{t.Name, t.Description, t.Schema}})
	}
	switch p.ToolChoice.Mode {
	case "auto", "none":
		b.ToolChoice = p.ToolChoice.Mode
	case "any":
		b.ToolChoice = "required"
	case "tool":
		b.ToolChoice = chatTool{Type: "function", Function: chatFunction{Name: p.ToolChoice.Name}}
	}
	return b, nil
}

// newChatMessages returns a message of ours in theirs: each tool result is a
// message of its own, in front of what else is said.
func newChatMessages(m runnel.Message) (out []chatMessage, err error) {
	rest := chatMessage{Role: string(m.Role)}
	var parts []chatPart
	images := false
	for _, part := range m.Parts {
		switch {
		case part.ToolResult != nil:
			out = append(out, chatMessage{Role: "tool", ToolCallID: part.ToolResult.ID, Content: part.ToolResult.Content})
		case part.ToolCall != nil:
			call := chatCall{ID: part.ToolCall.ID, Type: "function"}
			call.Function.Name, call.Function.Arguments = part.ToolCall.Name, string(orEmpty(part.ToolCall.Input))
			rest.ToolCalls = append(rest.ToolCalls, call)
		case part.Image != nil:
			if len(part.Image.Data) == 0 {
				return nil, errImageURL()
			}
			images = true
			url := "data:" + part.Image.MediaType + ";base64," + base64.StdEncoding.EncodeToString(part.Image.Data)
			parts = append(parts, chatPart{Type: "image_url", Image: &chatImageURL{URL: url}})
		case part.Text != "":
			parts = append(parts, chatPart{Type: "text", Text: part.Text})
		}
	}
	switch {
	case images:
		rest.Content = parts
	case len(parts) > 0:
		rest.Content = m.Text()
	}
	if rest.Content != nil || len(rest.ToolCalls) > 0 {
		out = append(out, rest)
	}
	return out, nil
}
