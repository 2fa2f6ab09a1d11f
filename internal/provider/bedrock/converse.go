package bedrock

import (
	"encoding/json"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
)

// converse is not a family but what Bedrock makes of all of them.
var converse = family{request: converseRequest, decode: decodeConverse}

// nova is Amazon's own family, of whose form Converse is a copy.
var nova = family{request: novaRequest, decode: decodeNova}

// converseBody is the body of ConverseStream, and of Nova's requests.
type converseBody struct {
	SchemaVersion string            `json:"schemaVersion,omitempty"` // Nova only
	Messages      []converseMessage `json:"messages"`
	System        []converseBlock   `json:"system,omitempty"`
	Config        converseConfig    `json:"inferenceConfig,omitzero"`
	Tools         *converseTools    `json:"toolConfig,omitempty"`
	Extra         json.RawMessage   `json:"additionalModelRequestFields,omitempty"` // not Nova
}

type converseConfig struct {
	MaxTokens     int      `json:"maxTokens,omitempty"`
	Temperature   *float64 `json:"temperature,omitempty"`
	TopP          *float64 `json:"topP,omitempty"`
	StopSequences []string `json:"stopSequences,omitempty"`
}

// IsZero reports whether there is nothing to say.
func (c converseConfig) IsZero() bool {
	return c.MaxTokens == 0 && c.Temperature == nil && c.TopP == nil && len(c.StopSequences) == 0
}

type converseMessage struct {
	Role    runnel.Role     `json:"role"`
	Content []converseBlock `json:"content"`
}

// A converseBlock has exactly one member.
type converseBlock struct {
	Text       string              `json:"text,omitempty"`
	Image      *converseImage      `json:"image,omitempty"`
	Reasoning  *converseReasoning  `json:"reasoningContent,omitempty"`
	ToolUse    *converseToolUse    `json:"toolUse,omitempty"`
	ToolResult *converseToolResult `json:"toolResult,omitempty"`
}

type converseReasoning struct {
	Text *struct {
		Text      string `json:"text"`
		Signature string `json:"signature"`
	} `json:"reasoningText,omitempty"`
	Redacted string `json:"redactedContent,omitempty"` // base64
}

func newConverseReasoning(r *runnel.Reasoning) *converseReasoning {
	switch out := new(converseReasoning); {
	case r.Redacted != "":
		out.Redacted = r.Redacted
		return out
	case r.Signature != "":
		out.Text = &struct {
			Text      string `json:"text"`
			Signature string `json:"signature"`
		}{r.Text, r.Signature}
		return out
	}
	return nil // no other is taken back
}

type converseImage struct {
	Format string `json:"format"`
	Source struct {
		Bytes []byte      `json:"bytes,omitempty"`
		S3    *s3Location `json:"s3Location,omitempty"`
	} `json:"source"`
}

type s3Location struct {
	URI string `json:"uri"`
}

type converseToolUse struct {
	ID    string          `json:"toolUseId"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type converseToolResult struct {
	ID      string          `json:"toolUseId"`
	Content []converseBlock `json:"content"`
	Status  string          `json:"status,omitempty"`
}

type converseTools struct {
	Tools  []converseTool `json:"tools"`
	Choice any            `json:"toolChoice,omitempty"`
}

type converseTool struct {
	Spec struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
		Schema      struct {
			JSON json.RawMessage `json:"json"`
		} `json:"inputSchema"`
	} `json:"toolSpec"`
}

func converseRequest(p *runnel.Prompt) (any, error) {
	b := &converseBody{
		Config: converseConfig{MaxTokens: p.MaxTokens, Temperature: p.Temperature, TopP: p.TopP, StopSequences: p.Stop},
		Extra:  p.Extra,
	}
	if p.System != "" {
		b.System = []converseBlock{{Text: p.System}}
	}
	for _, m := range p.Messages {
		out := converseMessage{Role: m.Role}
		for _, part := range m.Parts {
			block, err := newConverseBlock(part)
			if err != nil {
				return nil, err
			}
			if block != (converseBlock{}) {
				out.Content = append(out.Content, block)
			}
		}
		if len(out.Content) > 0 {
			b.Messages = append(b.Messages, out)
		}
	}
	b.Tools = newConverseTools(p)
	return b, nil
}

func novaRequest(p *runnel.Prompt) (any, error) {
	b, err := converseRequest(p)
	if err != nil {
		return nil, err
	}
	nova := b.(*converseBody)
	nova.SchemaVersion, nova.Extra = "messages-v1", nil
	return nova, nil
}

func newConverseBlock(part runnel.Part) (converseBlock, error) {
	switch {
	case part.Image != nil:
		image, err := newConverseImage(part.Image)
		return converseBlock{Image: image}, err
	case part.Reasoning != nil:
		return converseBlock{Reasoning: newConverseReasoning(part.Reasoning)}, nil
	case part.ToolCall != nil:
		c := part.ToolCall
		return converseBlock{ToolUse: &converseToolUse{ID: c.ID, Name: c.Name, Input: orEmpty(c.Input)}}, nil
	case part.ToolResult != nil:
		r := part.ToolResult
		out := &converseToolResult{ID: r.ID, Content: []converseBlock{}}
		if r.Content != "" {
			out.Content = append(out.Content, converseBlock{Text: r.Content})
		}
		if r.Failed {
			out.Status = "error"
		}
		return converseBlock{ToolResult: out}, nil
	}
	return converseBlock{Text: part.Text}, nil // an empty one is refused by every model; the caller leaves it out
}

func newConverseImage(i *runnel.Image) (*converseImage, error) {
	format, ok := strings.CutPrefix(i.MediaType, "image/")
	if !ok {
		return nil, runnel.Errorf(runnel.Invalid, "the media type of an image, %.40q, does not begin with image/", i.MediaType)
	}
	out := &converseImage{Format: format}
	switch {
	case len(i.Data) > 0:
		out.Source.Bytes = i.Data
	case strings.HasPrefix(i.URL, "s3://"):
		out.Source.S3 = &s3Location{URI: i.URL}
	default:
		return nil, errImageURL()
	}
	return out, nil
}

func errImageURL() error {
	return runnel.Errorf(runnel.Invalid, "Bedrock fetches no images from the web; send the image itself")
}

// newConverseTools returns the tools that the model may use; nil if none.
// There is no choice of "none" here: the tools are left out, unless the
// conversation has used some, when Bedrock insists on them.
func newConverseTools(p *runnel.Prompt) *converseTools {
	if len(p.Tools) == 0 || (p.ToolChoice.Mode == "none" && !usesTools(p)) {
		return nil
	}
	out := &converseTools{Tools: make([]converseTool, len(p.Tools))}
	for i, t := range p.Tools {
		spec := &out.Tools[i].Spec
		spec.Name, spec.Description, spec.Schema.JSON = t.Name, t.Description, schemaOf(t)
	}
	switch p.ToolChoice.Mode {
	case "auto", "any":
		out.Choice = map[string]struct{}{p.ToolChoice.Mode: {}}
	case "tool":
		out.Choice = map[string]map[string]string{"tool": {"name": p.ToolChoice.Name}}
	}
	return out
}

// usesTools reports whether a conversation has tool calls or results.
func usesTools(p *runnel.Prompt) bool {
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			if part.ToolCall != nil || part.ToolResult != nil {
				return true
			}
		}
	}
	return false
}

// orEmpty returns v, or an empty object for nothing.
func orEmpty(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("{}")
	}
	return v
}

// schemaOf returns a tool's schema. There must be one, and of an object.
func schemaOf(t runnel.Tool) json.RawMessage {
	if len(t.Schema) == 0 {
		return json.RawMessage(`{"type":"object"}`)
	}
	return t.Schema
}

// decodeConverse reads an event of ConverseStream.
func decodeConverse(a *answer, event string, s *jsonscan.Scanner) {
	switch event {
	case "contentBlockStart", "contentBlockDelta", "contentBlockStop":
		decodeConverseBlock(a, event, s)
	case "messageStop":
		reason := ""
		for key := range s.Object() {
			if string(key) == "stopReason" {
				reason = s.String()
			}
		}
		a.stopped = true
		a.setStop(reason)
	case "metadata":
		for key := range s.Object() {
			if string(key) == "usage" {
				a.readUsage(s)
			}
		}
		a.complete = a.stopped
	default: // messageStart, and what may be added one day
		s.Skip()
	}
}

// decodeNova reads an event with its name around it.
func decodeNova(a *answer, _ string, s *jsonscan.Scanner) {
	for key := range s.Object() {
		decodeConverse(a, string(key), s)
	}
}

// converseDelta is what an event about a block may hold.
type converseDelta struct {
	block                  int
	text, reasoning, input string
	seal                   runnel.Seal
	toolStarts             bool
	toolID, toolName       string
}

func decodeConverseBlock(a *answer, event string, s *jsonscan.Scanner) {
	var d converseDelta
	for key := range s.Object() {
		switch string(key) {
		case "contentBlockIndex":
			d.block = s.Int()
		case "start", "delta":
			d.read(s)
		}
	}
	switch event {
	case "contentBlockStart":
		if d.toolStarts {
			a.startTool(d.block, d.toolID, d.toolName)
		}
	case "contentBlockStop":
		a.endBlock(d.block)
	default:
		a.text(d.text)
		a.reasoning(d.reasoning)
		a.seal(d.seal)
		a.toolInput(d.block, d.input)
	}
}

func (d *converseDelta) read(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "text":
			d.text = s.String()
		case "toolUse":
			d.toolStarts = true
			for key := range s.Object() {
				switch string(key) {
				case "toolUseId":
					d.toolID = s.String()
				case "name":
					d.toolName = s.String()
				case "input":
					d.input = s.String()
				}
			}
		case "reasoningContent":
			for key := range s.Object() {
				switch string(key) {
				case "text":
					d.reasoning = s.String()
				case "signature":
					d.seal.Signature = s.String()
				case "redactedContent":
					d.seal.Redacted = s.String()
				}
			}
		}
	}
}
