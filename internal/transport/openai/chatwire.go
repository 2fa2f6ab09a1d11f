package openai

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/wire"
)

// A chatWire frames one chat completion.
type chatWire struct {
	id      string
	model   string // as the client named it, else as the route did
	created int64
	usage   bool // goes along with the stream

	prefix []byte // of every chunk, up to its delta
	tail   string // of every chunk that does not end the answer
}

func newChatWire(gen runnel.GenerationID, model string, now time.Time) *chatWire {
	return &chatWire{id: "chatcmpl-" + string(gen), model: model, created: now.Unix()}
}

// Open implements [reply.Framer]: nothing, for a failure could still be a status.
func (c *chatWire) Open(dst []byte) []byte { return dst }

// Frame implements [reply.Framer].
func (c *chatWire) Frame(dst []byte, pieces []answer.Piece) []byte {
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.Model != "":
			c.model = cmp.Or(c.model, p.Model)
		case p.Text != "":
			dst = c.text(c.begin(dst), "content", p.Text)
		case p.Reasoning != "":
			dst = c.text(c.begin(dst), "reasoning_content", p.Reasoning)
		case p.Tool != nil:
			dst = c.tool(c.begin(dst), p.Tool)
		case p.End != nil:
			dst = c.end(c.begin(dst), p.End)
		}
	}
	return dst
}

// begin appends the chunk that names the role, once.
func (c *chatWire) begin(dst []byte) []byte {
	if c.prefix != nil {
		return dst
	}
	c.prefix = c.head(nil)
	c.tail = `},"logprobs":null,"finish_reason":null}]`
	if c.usage {
		c.tail += `,"usage":null`
	}
	c.tail += "}\n\n"
	dst = append(dst, c.prefix...)
	dst = append(dst, `"role":"assistant","content":"","refusal":null`...)
	return append(dst, c.tail...)
}

// head appends a chunk up to the members of its delta.
func (c *chatWire) head(dst []byte) []byte {
	return append(c.lead(dst), `[{"index":0,"delta":{`...)
}

// lead appends a chunk up to its choices.
func (c *chatWire) lead(dst []byte) []byte {
	dst = append(dst, `data: {"id":`...)
	dst = wire.AppendString(dst, c.id)
	dst = append(dst, `,"object":"chat.completion.chunk","created":`...)
	dst = strconv.AppendInt(dst, c.created, 10)
	dst = append(dst, `,"model":`...)
	dst = wire.AppendString(dst, c.model)
	return append(dst, `,"system_fingerprint":null,"choices":`...)
}

func (c *chatWire) text(dst []byte, member, text string) []byte {
	dst = append(dst, c.prefix...)
	dst = append(dst, '"')
	dst = append(dst, member...)
	dst = append(dst, `":`...)
	dst = wire.AppendString(dst, text)
	return append(dst, c.tail...)
}

func (c *chatWire) tool(dst []byte, t *runnel.ToolDelta) []byte {
	dst = append(dst, c.prefix...)
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(t.Index), 10)
	if t.ID != "" || t.Name != "" {
		dst = append(dst, `,"id":`...)
		dst = wire.AppendString(dst, t.ID)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = wire.AppendString(dst, t.Name)
		dst = append(dst, `,"arguments":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	dst = wire.AppendString(dst, t.Input)
	dst = append(dst, `}}]`...)
	return append(dst, c.tail...)
}

// end appends what ends the stream. An answer that failed ends with its failure.
func (c *chatWire) end(dst []byte, end *runnel.Event) []byte {
	if end.Type == runnel.EventFailed {
		return c.Fail(dst, reply.ModelError(end.Failure))
	}
	dst = append(dst, c.prefix...)
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	dst = wire.AppendString(dst, finishReason(end))
	dst = append(dst, `}]`...)
	if c.usage {
		dst = append(dst, `,"usage":null`...)
	}
	dst = append(dst, "}\n\n"...)
	if c.usage {
		dst = append(c.lead(dst), `[],"usage":`...)
		body, _ := json.Marshal(newChatUsage(end.Usage)) // numbers always encode
		dst = append(dst, body...)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// Fail implements [reply.Framer].
func (c *chatWire) Fail(dst []byte, err error) []byte {
	body, _ := json.Marshal(map[string]failure{"error": newFailure(err)}) // strings always encode
	dst = append(dst, "data: "...)
	dst = append(dst, body...)
	return append(dst, "\n\n"...)
}

type chatUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	PromptDetails    struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// newChatUsage returns OpenAI's count, which is null if nobody counted.
func newChatUsage(u *runnel.Usage) *chatUsage {
	if u == nil {
		return nil
	}
	c := &chatUsage{PromptTokens: u.InputTokens, CompletionTokens: u.OutputTokens, TotalTokens: u.InputTokens + u.OutputTokens}
	c.PromptDetails.CachedTokens = u.CacheReadTokens
	c.CompletionDetails.ReasoningTokens = u.ReasoningTokens
	return c
}

type completion struct {
	ID      string     `json:"id"`
	Object  string     `json:"object"`
	Created int64      `json:"created"`
	Model   string     `json:"model"`
	Choices []choice   `json:"choices"`
	Usage   *chatUsage `json:"usage,omitempty"`
	System  *string    `json:"system_fingerprint"`
}

type choice struct {
	Index        int         `json:"index"`
	Message      chatMessage `json:"message"`
	Logprobs     *struct{}   `json:"logprobs"`
	FinishReason string      `json:"finish_reason"`
}

type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Refusal   *string    `json:"refusal"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// whole returns the completion as one body.
func (c *chatWire) whole(said *result) completion {
	m := chatMessage{Role: "assistant", Reasoning: string(said.reasoning)}
	if text := string(said.text); text != "" || len(said.calls) == 0 {
		m.Content = &text
	}
	for i, call := range said.calls {
		m.ToolCalls = append(m.ToolCalls, toolCall{ID: call.ID, Type: "function", Function: callName{call.Name, string(said.inputs[i])}})
	}
	return completion{
		ID: c.id, Object: "chat.completion", Created: c.created, Model: cmp.Or(c.model, said.model),
		Choices: []choice{{Message: m, FinishReason: finishReason(said.end)}},
		Usage:   newChatUsage(said.end.Usage),
	}
}
