package aisdk

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runnelhq/runnel"
)

// A request is the body of a chat request. Members that are not here are the
// page's own and ignored.
type request struct {
	ID       string    `json:"id"`
	Messages []message `json:"messages"`
	Model    string    `json:"model"`
	System   string    `json:"system"`
}

// A message is a UI message of the SDK.
type message struct {
	ID    string `json:"id"`
	Role  string `json:"role"`
	Parts []part `json:"parts"`
}

type part struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`

	// Of files.
	MediaType string `json:"mediaType,omitempty"`
	URL       string `json:"url,omitempty"`

	// Of tool calls.
	ToolName   string          `json:"toolName,omitempty"`
	ToolCallID string          `json:"toolCallId,omitempty"`
	State      string          `json:"state,omitempty"`
	Input      json.RawMessage `json:"input,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	ErrorText  string          `json:"errorText,omitempty"`
}

// readPrompt returns the prompt that a chat request asks for. Its session is
// empty if the request names none.
func readPrompt(data []byte) (p runnel.Prompt, err error) {
	var body request
	if err := json.Unmarshal(data, &body); err != nil {
		return p, runnel.Errorf(runnel.Invalid, `the body must be a JSON object with "id" and "messages", as the AI SDK sends it`).Because(err)
	}
	if len(body.Messages) == 0 {
		return p, runnel.Errorf(runnel.Invalid, "there are no messages")
	}
	p = runnel.Prompt{Session: runnel.SessionID(body.ID), Model: body.Model}
	system := []string{body.System}
	for i := range body.Messages {
		m := &body.Messages[i]
		if m.Role == "system" {
			system = append(system, m.text())
			continue
		}
		said, err := m.said()
		if err != nil {
			return p, runnel.Errorf(runnel.Invalid, "messages[%d]: %s", i, runnel.PublicMessage(err))
		}
		p.Messages = append(p.Messages, said...)
	}
	p.System = strings.Trim(strings.Join(system, "\n\n"), "\n")
	return p, nil
}

func (m *message) text() string {
	var b strings.Builder
	for i := range m.Parts {
		if m.Parts[i].Type == text {
			b.WriteString(m.Parts[i].Text)
		}
	}
	return b.String()
}

// said returns what a message says to a model: what a tool answered is the
// user's to say, and comes between what the assistant said before and after.
func (m *message) said() ([]runnel.Message, error) {
	var role runnel.Role
	switch m.Role {
	case "user":
		role = runnel.User
	case "assistant":
		role = runnel.Assistant
	default:
		return nil, runnel.Errorf(runnel.Invalid, "unknown role %.40q; known: system, user, assistant", m.Role)
	}
	var all []runnel.Message
	say := func(role runnel.Role, p runnel.Part) {
		if last := len(all) - 1; last >= 0 && all[last].Role == role {
			all[last].Parts = append(all[last].Parts, p)
			return
		}
		all = append(all, runnel.Message{Role: role, Parts: []runnel.Part{p}})
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		switch name, isTool := strings.CutPrefix(p.Type, "tool-"); {
		case p.Type == text:
			say(role, runnel.Part{Text: p.Text})
		case p.Type == "file":
			image, err := p.image()
			if err != nil {
				return nil, err
			}
			say(role, runnel.Part{Image: image})
		case isTool, p.Type == "dynamic-tool":
			if p.Type == "dynamic-tool" {
				name = p.ToolName
			}
			call, result, err := p.called(name)
			if err != nil {
				return nil, err
			}
			if call != nil {
				say(runnel.Assistant, runnel.Part{ToolCall: call})
			}
			if result != nil {
				say(runnel.User, runnel.Part{ToolResult: result})
			}
		}
	}
	return all, nil
}

// image returns a file, if it is one that models can see.
func (p *part) image() (*runnel.Image, error) {
	if !strings.HasPrefix(p.MediaType, "image/") {
		return nil, runnel.Errorf(runnel.Invalid, "files of type %.80q are not supported; images are", p.MediaType)
	}
	return runnel.ParseImage(p.URL)
}

// called returns a tool call, and what came of it if anything has. A call that
// was still being told when its answer was stopped never took place.
func (p *part) called(name string) (*runnel.ToolCall, *runnel.ToolResult, error) {
	if p.State == "input-streaming" {
		return nil, nil, nil
	}
	if name == "" || p.ToolCallID == "" {
		return nil, nil, runnel.Errorf(runnel.Invalid, "a tool call has no name or no id")
	}
	input := p.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	call := &runnel.ToolCall{ID: p.ToolCallID, Name: name, Input: input}
	result := &runnel.ToolResult{ID: p.ToolCallID}
	switch p.State {
	case "output-available":
		if err := json.Unmarshal(p.Output, &result.Content); err != nil { // not a string: as JSON
			result.Content = string(p.Output)
		}
	case "output-error":
		result.Content, result.Failed = p.ErrorText, true
	case "output-denied":
		result.Content, result.Failed = "the user did not allow this", true
	default:
		return call, nil, nil
	}
	return call, result, nil
}

// fromMessage returns a message of a transcript as a UI message.
func fromMessage(id string, m *runnel.Message) message {
	out := message{ID: id, Role: string(m.Role), Parts: []part{}}
	for _, p := range m.Parts {
		switch {
		case p.Image != nil && p.Image.URL != "":
			out.Parts = append(out.Parts, part{Type: "file", MediaType: "image/*", URL: p.Image.URL})
		case p.Image != nil:
			url := fmt.Sprintf("data:%s;base64,%s", p.Image.MediaType, base64.StdEncoding.EncodeToString(p.Image.Data))
			out.Parts = append(out.Parts, part{Type: "file", MediaType: p.Image.MediaType, URL: url})
		case p.ToolCall != nil:
			out.Parts = append(out.Parts, part{
				Type: "tool-" + p.ToolCall.Name, ToolCallID: p.ToolCall.ID, State: "input-available", Input: p.ToolCall.Input,
			})
		case p.ToolResult == nil:
			out.Parts = append(out.Parts, part{Type: text, Text: p.Text})
		}
	}
	return out
}
