package bedrock

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel"
)

// A converseRequest is the body of Converse, and, with other names for some
// members, of Nova's requests.
type converseRequest struct {
	Messages []converseMessage `json:"messages"`
	System   []converseBlock   `json:"system"`
	Config   struct {
		MaxTokens     int      `json:"maxTokens"`
		MaxNewTokens  int      `json:"max_new_tokens"` // Nova
		Temperature   *float64 `json:"temperature"`
		TopP          *float64 `json:"topP"`
		NovaTopP      *float64 `json:"top_p"`
		StopSequences []string `json:"stopSequences"`
	} `json:"inferenceConfig"`
	Tools *struct {
		Tools  []converseTool `json:"tools"`
		Choice *struct {
			Auto *struct{} `json:"auto"`
			Any  *struct{} `json:"any"`
			Tool *struct {
				Name string `json:"name"`
			} `json:"tool"`
		} `json:"toolChoice"`
	} `json:"toolConfig"`
	Metadata map[string]string `json:"requestMetadata"`
	Extra    json.RawMessage   `json:"additionalModelRequestFields"`
	// These would change what is answered.
	Guardrail json.RawMessage `json:"guardrailConfig"`
	Output    json.RawMessage `json:"outputConfig"`
	Variables json.RawMessage `json:"promptVariables"`
}

// refused returns the error for a member that cannot be obeyed.
func (b *converseRequest) refused() error {
	for name, member := range map[string]json.RawMessage{"guardrailConfig": b.Guardrail, "outputConfig": b.Output, "promptVariables": b.Variables} {
		if given(member) {
			return runnel.Errorf(runnel.Invalid, "the member %q is not supported", name)
		}
	}
	if given(b.Extra) && b.Extra[0] != '{' {
		return runnel.Errorf(runnel.Invalid, `the member "additionalModelRequestFields" must be an object`)
	}
	return nil
}

type converseMessage struct {
	Role    string          `json:"role"`
	Content []converseBlock `json:"content"`
}

// A converseBlock has exactly one member.
type converseBlock struct {
	Text       *string         `json:"text"`
	JSON       json.RawMessage `json:"json"` // in a tool's result
	Image      *converseImage  `json:"image"`
	ToolUse    *converseCall   `json:"toolUse"`
	ToolResult *struct {
		ID      string          `json:"toolUseId"`
		Content []converseBlock `json:"content"`
		Status  string          `json:"status"`
	} `json:"toolResult"`
	Reasoning *struct {
		Text struct {
			Text      string `json:"text"`
			Signature string `json:"signature"`
		} `json:"reasoningText"`
		Redacted string `json:"redactedContent"`
	} `json:"reasoningContent"`
	CachePoint json.RawMessage `json:"cachePoint"`
	Guard      *struct {
		Text *struct {
			Text string `json:"text"`
		} `json:"text"`
	} `json:"guardContent"`
	Citations *struct {
		Content []converseBlock `json:"content"`
	} `json:"citationsContent"`

	// These are known by name only.
	Document     json.RawMessage `json:"document"`
	Video        json.RawMessage `json:"video"`
	Audio        json.RawMessage `json:"audio"`
	SearchResult json.RawMessage `json:"searchResult"`
}

// kind names a block that is not supported, if it is a known one.
func (b *converseBlock) kind() string {
	for name, member := range map[string]json.RawMessage{
		"document": b.Document, "video": b.Video, "audio": b.Audio, "searchResult": b.SearchResult,
	} {
		if given(member) {
			return " with " + strconv.Quote(name)
		}
	}
	if b.Image != nil {
		return ` with "image"` // where only text may stand
	}
	return ""
}

type converseImage struct {
	Format string `json:"format"`
	Source struct {
		Bytes []byte `json:"bytes"`
		S3    *struct {
			URI string `json:"uri"`
		} `json:"s3Location"`
	} `json:"source"`
}

type converseCall struct {
	ID    string          `json:"toolUseId"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type converseTool struct {
	Spec *struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Schema      struct {
			JSON json.RawMessage `json:"json"`
		} `json:"inputSchema"`
	} `json:"toolSpec"`
}

// decode reads a JSON object.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return runnel.Errorf(runnel.Invalid, "the member %q cannot be %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return runnel.Errorf(runnel.Invalid, "the body is not a JSON object of the expected form").Because(err)
	}
	return nil
}

func readConverse(data []byte) (question, error) {
	p, err := readConversePrompt(data)
	return question{p, converseForm{}}, err
}

func readConversePrompt(data []byte) (p runnel.Prompt, err error) {
	var b converseRequest
	if err := decode(data, &b); err != nil {
		return p, err
	}
	if err := b.refused(); err != nil {
		return p, err
	}
	c := &b.Config
	p = runnel.Prompt{
		MaxTokens: max(c.MaxTokens, c.MaxNewTokens), Temperature: c.Temperature, TopP: c.TopP, Stop: c.StopSequences, Metadata: b.Metadata,
	}
	if given(b.Extra) {
		p.Extra = b.Extra
	}
	if p.TopP == nil {
		p.TopP = c.NovaTopP
	}
	if err := checkMetadata(b.Metadata); err != nil {
		return p, err
	}
	if p.System, err = blocksText(b.System, "\n\n"); err != nil {
		return p, err
	}
	for i := range b.Messages {
		m, err := b.Messages[i].message()
		if err != nil {
			return p, err
		}
		p.Messages = append(p.Messages, m)
	}
	return p, b.readTools(&p)
}

// given reports whether a member is there and not null.
func given(member json.RawMessage) bool { return len(member) > 0 && string(member) != "null" }

func (b *converseRequest) readTools(p *runnel.Prompt) error {
	if b.Tools == nil {
		return nil
	}
	for _, t := range b.Tools.Tools {
		if t.Spec == nil {
			continue // a cache point
		}
		p.Tools = append(p.Tools, runnel.Tool{Name: t.Spec.Name, Description: t.Spec.Description, Schema: orObject(t.Spec.Schema.JSON)})
	}
	switch c := b.Tools.Choice; {
	case c == nil:
	case c.Tool != nil:
		p.ToolChoice = runnel.ToolChoice{Mode: "tool", Name: c.Tool.Name}
	case c.Any != nil:
		p.ToolChoice.Mode = "any"
	case c.Auto != nil:
		p.ToolChoice.Mode = "auto"
	}
	return nil
}

func (m *converseMessage) message() (runnel.Message, error) {
	out := runnel.Message{Role: runnel.Role(m.Role)}
	if out.Role != runnel.User && out.Role != runnel.Assistant {
		return out, runnel.Errorf(runnel.Invalid, "unknown role %.40q; known: user, assistant", m.Role)
	}
	for i := range m.Content {
		parts, err := m.Content[i].parts()
		if err != nil {
			return out, err
		}
		out.Parts = append(out.Parts, parts...)
	}
	return out, nil
}

// parts returns what a block says; nothing for one that needs no answer.
func (b *converseBlock) parts() ([]runnel.Part, error) {
	switch {
	case b.Text != nil:
		return []runnel.Part{{Text: *b.Text}}, nil
	case b.Image != nil:
		image, err := b.Image.image()
		return []runnel.Part{{Image: image}}, err
	case b.ToolUse != nil:
		call := runnel.ToolCall{ID: b.ToolUse.ID, Name: b.ToolUse.Name, Input: orObject(b.ToolUse.Input)}
		if call.ID == "" || call.Name == "" {
			return nil, runnel.Errorf(runnel.Invalid, "a toolUse needs a toolUseId and a name")
		}
		return []runnel.Part{{ToolCall: &call}}, nil
	case b.ToolResult != nil:
		text, err := blocksText(b.ToolResult.Content, "\n")
		return []runnel.Part{{ToolResult: &runnel.ToolResult{ID: b.ToolResult.ID, Content: text, Failed: b.ToolResult.Status == "error"}}}, err
	case b.Guard != nil && b.Guard.Text != nil:
		return []runnel.Part{{Text: b.Guard.Text.Text}}, nil
	case b.Citations != nil:
		text, err := blocksText(b.Citations.Content, "")
		return []runnel.Part{{Text: text}}, err
	case b.Reasoning != nil:
		r := b.Reasoning
		return sealed(r.Text.Text, runnel.Seal{Signature: r.Text.Signature, Redacted: r.Redacted}), nil
	case given(b.CachePoint):
		return nil, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "a content block%s is not supported; text, image, toolUse, toolResult and reasoningContent are", b.kind())
}

// sealed returns a block of reasoning; nothing for one without a seal, which would
// be of no use to anybody.
func sealed(text string, seal runnel.Seal) []runnel.Part {
	if seal.Redacted != "" {
		text, seal.Signature = "", ""
	}
	if seal.Len() == 0 {
		return nil
	}
	return []runnel.Part{{Reasoning: &runnel.Reasoning{Text: text, Seal: seal}}}
}

// blocksText joins blocks that may have nothing but text and JSON.
func blocksText(blocks []converseBlock, between string) (string, error) {
	var texts []string
	for i := range blocks {
		switch b := &blocks[i]; {
		case b.Text != nil:
			texts = append(texts, *b.Text)
		case given(b.JSON):
			var compact bytes.Buffer
			_ = json.Compact(&compact, b.JSON) // it has been decoded
			texts = append(texts, compact.String())
		case b.Guard != nil && b.Guard.Text != nil:
			texts = append(texts, b.Guard.Text.Text)
		case given(b.CachePoint):
		default:
			return "", runnel.Errorf(runnel.Invalid, "a block%s is not supported there: only text can stand in a system prompt, and only text and JSON in a tool's result", b.kind())
		}
	}
	return strings.Join(texts, between), nil
}

func (i *converseImage) image() (*runnel.Image, error) {
	switch {
	case len(i.Source.Bytes) > 0 && i.Format != "" && len(i.Format) < 20:
		return &runnel.Image{MediaType: "image/" + i.Format, Data: i.Source.Bytes}, nil
	case i.Source.S3 != nil && strings.HasPrefix(i.Source.S3.URI, "s3://"):
		return &runnel.Image{MediaType: "image/" + i.Format, URL: i.Source.S3.URI}, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "an image needs a format and a source: bytes or s3Location")
}

// orObject returns a JSON value, or an empty object for nothing.
func orObject(v json.RawMessage) json.RawMessage {
	if !given(v) {
		return json.RawMessage("{}")
	}
	return v
}
