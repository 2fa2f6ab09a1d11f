package runnel

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"slices"
	"strings"
	"time"
)

// A Prompt is what a client asks. It is stored before the client hears that it
// was accepted, and goes to a [Provider] with the history added.
type Prompt struct {
	Session    SessionID    `json:"session"`
	Generation GenerationID `json:"generation"`

	// Model is the name of a route; empty means the default.
	Model  string `json:"model,omitempty"`
	System string `json:"system,omitempty"`
	// Messages ends with what the model is to answer.
	Messages []Message `json:"messages"`
	// History asks for the session's earlier turns to go along. Doors whose
	// clients send the whole conversation leave it false.
	History bool `json:"history,omitempty"`

	MaxTokens   int        `json:"max_tokens,omitempty"` // zero: the provider's default
	Temperature *float64   `json:"temperature,omitempty"`
	TopP        *float64   `json:"top_p,omitempty"`
	Stop        []string   `json:"stop,omitempty"`
	Tools       []Tool     `json:"tools,omitempty"`
	ToolChoice  ToolChoice `json:"tool_choice,omitzero"`
	// Extra is a JSON object of members that only the model's vendor knows.
	// Providers that do not know either leave them out.
	Extra json.RawMessage `json:"extra,omitempty"`
	// Continue says that the last message is the beginning of the answer: the
	// model goes on with it and says only what follows. Only a [Continuer] is
	// asked so.
	Continue bool `json:"-"`

	Metadata map[string]string `json:"metadata,omitempty"`
	// Account is who is held to account for the prompt, see [Principal.Account],
	// and Reserved what it was counted as; nil if it was not counted.
	Account    string       `json:"account,omitempty"`
	Reserved   *Reservation `json:"reserved,omitempty"`
	AcceptedAt time.Time    `json:"accepted_at"`
	// Cursor is the end of the session's log when the prompt was accepted.
	Cursor Cursor `json:"cursor,omitzero"`
	// Published is the number of the first [Piece] of an answer that is
	// published from outside; zero if a model is to answer.
	Published uint64 `json:"published,omitempty"`
	// Trace is the trace that the generation is a part of, whoever works on it.
	Trace Trace `json:"trace,omitzero"`
}

// Text returns the text of the last user message, without its other parts.
func (p *Prompt) Text() string {
	for _, m := range slices.Backward(p.Messages) {
		if m.Role == User {
			return m.Text()
		}
	}
	return ""
}

// A Role says who speaks a message.
type Role string

// The roles. System text travels in [Prompt.System].
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// A Message is one contribution to a conversation.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// TextMessage returns a message of one text part.
func TextMessage(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// Text returns the message's text parts, joined.
func (m Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// A Part is a piece of a message. Exactly one field is set.
type Part struct {
	Text       string      `json:"text,omitempty"`
	Image      *Image      `json:"image,omitempty"`
	Reasoning  *Reasoning  `json:"reasoning,omitempty"` // only sealed reasoning is of use to anybody
	ToolCall   *ToolCall   `json:"tool_call,omitempty"`
	ToolResult *ToolResult `json:"tool_result,omitempty"`
}

// An Image is a picture in a prompt: its bytes, or where the provider finds it.
type Image struct {
	MediaType string `json:"media_type,omitempty"` // such as image/png
	Data      []byte `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

// ParseImage reads the address of a picture as JSON APIs have it: of a web server,
// or a data: URL that holds the picture itself. The error is of kind Invalid.
func ParseImage(url string) (*Image, error) {
	rest, inline := strings.CutPrefix(url, "data:")
	if !inline {
		if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
			return nil, Errorf(Invalid, "an image's URL must begin with https: or data:")
		}
		return &Image{URL: url}, nil
	}
	head, body, _ := strings.Cut(rest, ",")
	head, ok := strings.CutSuffix(head, ";base64")
	media, _, err := mime.ParseMediaType(head)
	data, dataErr := base64.StdEncoding.DecodeString(body)
	if !ok || err != nil || dataErr != nil || len(data) == 0 {
		return nil, Errorf(Invalid, "an image's data URL must be data:image/…;base64,…")
	}
	return &Image{MediaType: media, Data: data}, nil
}

// Reasoning is a block of an earlier answer's reasoning, as it came.
type Reasoning struct {
	Text string `json:"text,omitempty"`
	Seal
}

// A ToolCall is a model's wish to call a tool.
type ToolCall struct {
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"` // a JSON object
}

// A ToolResult is what a tool answered.
type ToolResult struct {
	ID      string `json:"id"` // of the call
	Content string `json:"content"`
	Failed  bool   `json:"failed,omitempty"`
}

// A Tool is offered to the model.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"` // a JSON Schema of the input
}

// A ToolChoice says which tool the model must use. The zero value leaves it to
// the model.
type ToolChoice struct {
	Mode string `json:"mode,omitempty"` // "", "auto", "any", "none" or "tool"
	Name string `json:"name,omitempty"` // with mode "tool"
}
