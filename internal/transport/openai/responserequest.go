package openai

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/runnelhq/runnel"
)

// A responseRequest is the body of a response. Members that are not here are
// ignored.
type responseRequest struct {
	common
	Input           input           `json:"input"`
	Instructions    string          `json:"instructions"`
	Background      bool            `json:"background"`
	PreviousID      string          `json:"previous_response_id"`
	Conversation    json.RawMessage `json:"conversation"`
	MaxOutputTokens int             `json:"max_output_tokens"`
	Tools           []responseTool  `json:"tools"`
	ToolChoice      toolChoice      `json:"tool_choice"`
	Text            struct {
		Format *format `json:"format"`
	} `json:"text"`
}

// input is a string or a list of items.
type input []message

// UnmarshalJSON implements [json.Unmarshaler].
func (in *input) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		type plain input
		return json.Unmarshal(data, (*plain)(in))
	}
	m := message{Role: "user"}
	if err := json.Unmarshal(data, &m.Content); err != nil {
		return err
	}
	*in = input{m}
	return nil
}

type responseTool struct {
	Type string `json:"type"`
	functionDef
}

// prompt returns the prompt that the response is to answer.
func (b *responseRequest) prompt() (p runnel.Prompt, err error) {
	switch {
	case len(b.Input) == 0:
		return p, invalid("input", "there is no input")
	case b.Text.Format != nil && b.Text.Format.Type != "text":
		return p, unsupported("text.format", "the format %.40q is not supported; text is", b.Text.Format.Type)
	case len(b.Conversation) > 0 && string(b.Conversation) != "null":
		return p, unsupported("conversation", "conversations are not kept here; name a session, or give previous_response_id")
	}
	var said conversation
	if b.Instructions != "" {
		said.system = append(said.system, b.Instructions)
	}
	for i := range b.Input {
		if err := said.addItem(&b.Input[i], fmt.Sprintf("input[%d]", i)); err != nil {
			return p, err
		}
	}
	if p, err = b.common.prompt(&said); err != nil {
		return p, err
	}
	p.MaxTokens = b.MaxOutputTokens
	for i, t := range b.Tools {
		if t.Type != "function" {
			return p, unsupported(fmt.Sprintf("tools[%d]", i), "tools of type %.40q are not supported; functions are", t.Type)
		}
		p.Tools = append(p.Tools, t.tool())
	}
	p.ToolChoice, err = b.ToolChoice.choice()
	return p, err
}

// addItem takes up an item of a response's input.
func (c *conversation) addItem(m *message, param string) error {
	switch m.Type {
	case "", "message":
		return c.add(m, param)
	case "reasoning": // a model's own; it is not given back to one
		return nil
	case "function_call":
		return c.addCall(m.CallID, callName{m.Name, m.Arguments}, param)
	case "function_call_output":
		text, err := m.Output.text(param)
		if m.CallID == "" && err == nil {
			err = invalid(param, "an output needs the call_id of its call")
		}
		c.say(runnel.User, runnel.Part{ToolResult: &runnel.ToolResult{ID: m.CallID, Content: text}})
		return err
	}
	return unsupported(param, "items of type %.40q are not supported", m.Type)
}
