package openai

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/runnelhq/runnel"
)

// A message is one of a chat completion's messages, or, with a type, an item of
// a response's input.
type message struct {
	Type       string     `json:"type"`
	Role       string     `json:"role"`
	Content    content    `json:"content"`
	Refusal    string     `json:"refusal"`
	ToolCalls  []toolCall `json:"tool_calls"`
	ToolCallID string     `json:"tool_call_id"`

	// Of items: a call, and what came of it.
	CallID    string  `json:"call_id"`
	Name      string  `json:"name"`
	Arguments string  `json:"arguments"`
	Output    content `json:"output"`
}

type toolCall struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Function callName `json:"function"`
}

type callName struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// content is a string, null, or a list of parts.
type content []part

type part struct {
	Type     string   `json:"type"`
	Text     string   `json:"text"`
	Refusal  string   `json:"refusal"`
	ImageURL imageURL `json:"image_url"`
}

// An imageURL is an object here and a string there.
type imageURL struct {
	URL string `json:"url"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (u *imageURL) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, &u.URL)
	}
	type plain imageURL
	return json.Unmarshal(data, (*plain)(u))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *content) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		type plain content
		return json.Unmarshal(data, (*plain)(c))
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*c = content{{Type: "text", Text: text}}
	return nil
}

// text returns the content if it is text alone.
func (c content) text(param string) (string, error) {
	parts, err := c.parts(param)
	var b strings.Builder
	for _, p := range parts {
		if p.Image != nil {
			return "", unsupported(param, "only a user's message may have images")
		}
		b.WriteString(p.Text)
	}
	return b.String(), err
}

func (c content) parts(param string) ([]runnel.Part, error) {
	var parts []runnel.Part
	for _, p := range c {
		switch p.Type {
		case "text", "input_text", "output_text", "summary_text":
			parts = append(parts, runnel.Part{Text: p.Text})
		case "refusal":
			parts = append(parts, runnel.Part{Text: p.Refusal})
		case "image_url", "input_image":
			image, err := runnel.ParseImage(p.ImageURL.URL)
			if err != nil {
				return nil, refusal{param: param, err: err}
			}
			parts = append(parts, runnel.Part{Image: image})
		default:
			return nil, unsupported(param, "content of type %.40q is not supported; text and images are", p.Type)
		}
	}
	return parts, nil
}

// A conversation collects messages for a prompt.
type conversation struct {
	system   []string
	messages []runnel.Message
}

// say appends parts to what role says, in a message of its own only if the last
// one is somebody else's: the results of several calls are one message.
func (c *conversation) say(role runnel.Role, parts ...runnel.Part) {
	if len(parts) == 0 {
		return
	}
	if last := len(c.messages) - 1; last >= 0 && c.messages[last].Role == role {
		c.messages[last].Parts = append(c.messages[last].Parts, parts...)
		return
	}
	c.messages = append(c.messages, runnel.Message{Role: role, Parts: parts})
}

// add takes up a message.
func (c *conversation) add(m *message, param string) error {
	switch m.Role {
	case "system", "developer":
		text, err := m.Content.text(param)
		c.system = append(c.system, text)
		return err
	case "user":
		parts, err := m.Content.parts(param)
		c.say(runnel.User, parts...)
		return err
	case "assistant":
		return c.addAssistant(m, param)
	case "tool":
		text, err := m.Content.text(param)
		if m.ToolCallID == "" && err == nil {
			err = invalid(param, `a message of role "tool" needs a tool_call_id`)
		}
		c.say(runnel.User, runnel.Part{ToolResult: &runnel.ToolResult{ID: m.ToolCallID, Content: text}})
		return err
	}
	return invalid(param, "unknown role %.40q; known: system, developer, user, assistant, tool", m.Role)
}

func (c *conversation) addAssistant(m *message, param string) error {
	text, err := m.Content.text(param)
	if err != nil {
		return err
	}
	if text += m.Refusal; text != "" {
		c.say(runnel.Assistant, runnel.Part{Text: text})
	}
	for _, call := range m.ToolCalls {
		if err := c.addCall(call.ID, call.Function, param); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversation) addCall(id string, f callName, param string) error {
	input := json.RawMessage(f.Arguments)
	if f.Arguments == "" {
		input = json.RawMessage("{}")
	}
	if id == "" || f.Name == "" || !json.Valid(input) {
		return invalid(param, "a tool call needs an id, the name of a function, and arguments that are JSON")
	}
	c.say(runnel.Assistant, runnel.Part{ToolCall: &runnel.ToolCall{ID: id, Name: f.Name, Input: input}})
	return nil
}
