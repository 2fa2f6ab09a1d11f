package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/runnelhq/runnel"
)

// maxMetadata is how many pairs a request's metadata may have, as at OpenAI.
const maxMetadata = 16

// common is what both kinds of request have.
type common struct {
	Model       string            `json:"model"`
	Stream      bool              `json:"stream"`
	Temperature *float64          `json:"temperature"`
	TopP        *float64          `json:"top_p"`
	Metadata    map[string]string `json:"metadata"`
}

// A chatRequest is the body of a chat completion. Members that are not here are
// ignored.
type chatRequest struct {
	common
	Messages            []message       `json:"messages"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Stop                stopWords       `json:"stop"`
	Tools               []chatTool      `json:"tools"`
	ToolChoice          toolChoice      `json:"tool_choice"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	N                   *int            `json:"n"`
	Logprobs            bool            `json:"logprobs"`
	Modalities          []string        `json:"modalities"`
	ResponseFormat      *format         `json:"response_format"`
	Functions           json.RawMessage `json:"functions"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type format struct {
	Type string `json:"type"`
}

type chatTool struct {
	Type     string      `json:"type"`
	Function functionDef `json:"function"`
}

type functionDef struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

// stopWords are a string or a list.
type stopWords []string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *stopWords) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, (*[]string)(s))
	}
	*s = make(stopWords, 1)
	return json.Unmarshal(data, &(*s)[0])
}

// A toolChoice is a word, or an object that names a function: within "function"
// in a chat completion, by itself in a response.
type toolChoice struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *toolChoice) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, &c.Type)
	}
	type plain toolChoice
	return json.Unmarshal(data, (*plain)(c))
}

func (c *toolChoice) choice() (runnel.ToolChoice, error) {
	switch c.Type {
	case "":
		return runnel.ToolChoice{}, nil
	case "auto", "none":
		return runnel.ToolChoice{Mode: c.Type}, nil
	case "required":
		return runnel.ToolChoice{Mode: "any"}, nil
	case "function":
		return runnel.ToolChoice{Mode: "tool", Name: c.Name + c.Function.Name}, nil
	}
	return runnel.ToolChoice{}, unsupported("tool_choice", "the tool choice %.40q is not supported", c.Type)
}

// decode reads a JSON object.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return invalid(wrong.Field, "the member %q cannot be %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return runnel.Errorf(runnel.Invalid, "the body is not a JSON object").Because(err)
	}
	return nil
}

// prompt returns the prompt that a chat completion asks for.
func (c *chatRequest) prompt() (p runnel.Prompt, err error) {
	if err := c.check(); err != nil {
		return p, err
	}
	var said conversation
	for i := range c.Messages {
		if err := said.add(&c.Messages[i], fmt.Sprintf("messages[%d]", i)); err != nil {
			return p, err
		}
	}
	if p, err = c.common.prompt(&said); err != nil {
		return p, err
	}
	for _, max := range []*int{c.MaxTokens, c.MaxCompletionTokens} {
		if max != nil {
			p.MaxTokens = *max
		}
	}
	p.Stop = c.Stop
	for i, t := range c.Tools {
		if t.Type != "function" {
			return p, unsupported(fmt.Sprintf("tools[%d]", i), "tools of type %.40q are not supported; functions are", t.Type)
		}
		p.Tools = append(p.Tools, t.Function.tool())
	}
	p.ToolChoice, err = c.ToolChoice.choice()
	return p, err
}

// check refuses what would be answered with something else.
func (c *chatRequest) check() error {
	switch {
	case len(c.Messages) == 0:
		return invalid("messages", "there are no messages")
	case c.N != nil && *c.N != 1:
		return unsupported("n", "only one choice is made")
	case c.Logprobs:
		return unsupported("logprobs", "log probabilities are not supported")
	case c.ResponseFormat != nil && c.ResponseFormat.Type != "text":
		return unsupported("response_format", "the response format %.40q is not supported; text is", c.ResponseFormat.Type)
	case len(c.Functions) > 0 && string(c.Functions) != "null":
		return unsupported("functions", "functions are given as tools")
	}
	for _, m := range c.Modalities {
		if m != "text" {
			return unsupported("modalities", "the modality %.40q is not supported; text is", m)
		}
	}
	return nil
}

func (c *common) prompt(said *conversation) (runnel.Prompt, error) {
	p := runnel.Prompt{
		Model: c.Model, System: strings.Join(said.system, "\n\n"), Messages: said.messages,
		Temperature: c.Temperature, TopP: c.TopP, Metadata: c.Metadata,
	}
	if len(c.Metadata) > maxMetadata {
		return p, invalid("metadata", "the metadata has %d pairs; the limit is %d", len(c.Metadata), maxMetadata)
	}
	if name := c.Metadata["session"]; name != "" {
		p.Session = runnel.SessionID(name)
	}
	return p, nil
}

func (f *functionDef) tool() runnel.Tool {
	schema := f.Parameters
	if len(schema) == 0 || string(schema) == "null" {
		schema = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return runnel.Tool{Name: f.Name, Description: f.Description, Schema: schema}
}
