package ollama

import (
	"encoding/json"
	"fmt"

	"github.com/runnelhq/runnel"
)

type request struct {
	Model     string    `json:"model"`
	Messages  []message `json:"messages"`
	Stream    bool      `json:"stream"`
	Think     *bool     `json:"think,omitempty"`
	KeepAlive string    `json:"keep_alive,omitempty"`
	Options   options   `json:"options"`
	Tools     []tool    `json:"tools,omitempty"`
}

type options struct {
	NumCtx      int      `json:"num_ctx,omitempty"`
	NumPredict  int      `json:"num_predict,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"`
	Stop        []string `json:"stop,omitempty"`
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	Images     [][]byte   `json:"images,omitempty"` // base64
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolName   string     `json:"tool_name,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string   `json:"id,omitempty"`
	Function callData `json:"function"`
}

type callData struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
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

// encode returns the request for p.
func encode(cfg *Config, p *runnel.Prompt) ([]byte, error) {
	r := request{
		Model: cfg.Model, Stream: true, Think: cfg.Think, Tools: encodeTools(p),
		Options: options{cfg.ContextLength, p.MaxTokens, p.Temperature, p.TopP, p.Stop},
	}
	if cfg.KeepAlive > 0 {
		r.KeepAlive = cfg.KeepAlive.String()
	}
	if p.System != "" {
		r.Messages = append(r.Messages, message{Role: "system", Content: p.System})
	}
	names := map[string]string{} // of the tools that were called, by the call's id
	for i := range p.Messages {
		var err error
		if r.Messages, err = appendMessage(r.Messages, &p.Messages[i], names); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(r)
	if err != nil { // a schema or a tool call that is not JSON
		return nil, runnel.Errorf(runnel.Invalid, "the prompt has a part that is not JSON").
			Because(fmt.Errorf("ollama: encode prompt: %w", err))
	}
	return body, nil
}

func encodeTools(p *runnel.Prompt) (tools []tool) {
	for _, t := range p.Tools {
		if p.ToolChoice.Mode == "none" || (p.ToolChoice.Mode == "tool" && t.Name != p.ToolChoice.Name) {
			continue
		}
		tools = append(tools, tool{Type: "function", Function: function{t.Name, t.Description, t.Schema}})
	}
	return tools
}

// appendMessage appends m. Tool results are messages of their own there, which
// name the tool.
func appendMessage(dst []message, m *runnel.Message, names map[string]string) ([]message, error) {
	out := message{Role: string(m.Role), Content: m.Text()}
	for _, p := range m.Parts {
		switch {
		case p.ToolResult != nil:
			dst = append(dst, message{
				Role: "tool", Content: p.ToolResult.Content, ToolName: names[p.ToolResult.ID], ToolCallID: p.ToolResult.ID,
			})
		case p.ToolCall != nil:
			names[p.ToolCall.ID] = p.ToolCall.Name
			arguments := p.ToolCall.Input
			if len(arguments) == 0 {
				arguments = json.RawMessage("{}")
			}
			out.ToolCalls = append(out.ToolCalls, toolCall{p.ToolCall.ID, callData{p.ToolCall.Name, arguments}})
		case p.Image != nil && len(p.Image.Data) == 0:
			return dst, runnel.Errorf(runnel.Invalid, "this model takes the bytes of an image, not its address")
		case p.Image != nil:
			out.Images = append(out.Images, p.Image.Data)
		}
	}
	if out.Content == "" && out.Images == nil && out.ToolCalls == nil {
		return dst, nil
	}
	return append(dst, out), nil
}
