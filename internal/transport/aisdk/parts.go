package aisdk

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/wire"
)

// What is open in a message.
const (
	nothing   = ""
	text      = "text"
	reasoning = "reasoning"
	tool      = "tool"
)

// parts frames one answer as the parts of a message.
type parts struct {
	gen runnel.GenerationID

	begun bool
	open  string     // text, reasoning or tool
	count int        // of the texts and reasonings that were begun: their ids
	calls []openCall // while open is tool
}

// An openCall is a tool call whose input is being told.
type openCall struct {
	index    int
	id, name string
	input    []byte
}

// messageID is the id of the message that a generation answers with. It is the
// same on every page and after every reload.
func messageID(gen runnel.GenerationID) string { return "msg_" + string(gen) }

// Open implements [reply.Framer]: nothing, for a failure could still be a status.
func (m *parts) Open(dst []byte) []byte { return dst }

// Frame implements [reply.Framer].
func (m *parts) Frame(dst []byte, pieces []answer.Piece) []byte {
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.Void:
			dst = m.void(dst)
		case p.Text != "":
			dst = m.delta(dst, text, p.Text)
		case p.Reasoning != "":
			dst = m.delta(dst, reasoning, p.Reasoning)
		case p.Tool != nil:
			dst = m.tool(dst, p.Tool)
		case p.Progress != nil:
			dst = m.begin(dst)
			dst = append(dst, `data: {"type":"data-progress","transient":true,"data":`...)
			dst = append(dst, p.Progress...)
			dst = append(dst, "}\n\n"...)
		case p.End != nil:
			dst = m.end(dst, p.End)
		}
	}
	return dst
}

// begin appends what every message begins with, once.
func (m *parts) begin(dst []byte) []byte {
	if m.begun {
		return dst
	}
	m.begun = true
	dst = append(dst, `data: {"type":"start","messageId":`...)
	dst = wire.AppendString(dst, messageID(m.gen))
	return append(dst, "}\n\ndata: {\"type\":\"start-step\"}\n\n"...)
}

// delta appends a piece of text or of reasoning.
func (m *parts) delta(dst []byte, kind, s string) []byte {
	if m.open != kind {
		dst = m.close(m.begin(dst))
		m.open = kind
		m.count++
		dst = append(m.about(dst, kind, "-start"), "}\n\n"...)
	}
	dst = append(m.about(dst, kind, "-delta"), `,"delta":`...)
	dst = wire.AppendString(dst, s)
	return append(dst, "}\n\n"...)
}

// about appends a part about the text or reasoning that is open.
func (m *parts) about(dst []byte, kind, what string) []byte {
	dst = append(dst, `data: {"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, what...)
	dst = append(dst, `","id":"`...)
	dst = strconv.AppendInt(dst, int64(m.count), 10)
	return append(dst, '"')
}

// tool appends a piece of a tool call. Models may call several tools at once.
func (m *parts) tool(dst []byte, t *runnel.ToolDelta) []byte {
	if m.open != tool {
		dst = m.close(m.begin(dst))
		m.open = tool
	}
	i := slices.IndexFunc(m.calls, func(c openCall) bool { return c.index == t.Index })
	if i < 0 {
		i = len(m.calls)
		m.calls = append(m.calls, openCall{index: t.Index, id: t.ID, name: t.Name})
		dst = append(dst, `data: {"type":"tool-input-start","toolCallId":`...)
		dst = wire.AppendString(dst, t.ID)
		dst = append(dst, `,"toolName":`...)
		dst = wire.AppendString(dst, t.Name)
		dst = append(dst, "}\n\n"...)
	}
	if t.Input == "" {
		return dst
	}
	m.calls[i].input = append(m.calls[i].input, t.Input...)
	dst = append(dst, `data: {"type":"tool-input-delta","toolCallId":`...)
	dst = wire.AppendString(dst, m.calls[i].id)
	dst = append(dst, `,"inputTextDelta":`...)
	dst = wire.AppendString(dst, t.Input)
	return append(dst, "}\n\n"...)
}

// close ends what is open.
func (m *parts) close(dst []byte) []byte {
	kind := m.open
	m.open = nothing
	switch kind {
	case text, reasoning:
		return append(m.about(dst, kind, "-end"), "}\n\n"...)
	case tool:
		for i := range m.calls {
			dst = m.calls[i].close(dst)
		}
		m.calls = nil
	}
	return dst
}

// close appends a call as a whole, or why there is none.
func (c *openCall) close(dst []byte) []byte {
	input := c.input
	if len(input) == 0 {
		input = []byte("{}")
	}
	kind, rest := "tool-input-available", `,"input":`
	if !json.Valid(input) {
		kind, rest = "tool-input-error", `,"errorText":"the model's input is not JSON","input":`
		input = wire.AppendString(nil, string(input))
	}
	dst = append(dst, `data: {"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","toolCallId":`...)
	dst = wire.AppendString(dst, c.id)
	dst = append(dst, `,"toolName":`...)
	dst = wire.AppendString(dst, c.name)
	dst = append(dst, rest...)
	dst = append(dst, input...)
	return append(dst, "}\n\n"...)
}

// void takes back all that was shown.
func (m *parts) void(dst []byte) []byte {
	m.open, m.calls = nothing, nil
	return append(m.begin(dst), "data: {\"type\":\"reset-step\"}\n\n"...)
}

// end appends what ends the message.
func (m *parts) end(dst []byte, end *runnel.Event) []byte {
	dst = m.close(m.begin(dst))
	switch end.Type {
	case runnel.EventFailed:
		message := "the generation failed"
		if end.Failure != nil {
			message = end.Failure.Message
		}
		return m.failed(dst, message)
	case runnel.EventCancelled:
		dst = append(dst, "data: {\"type\":\"abort\"}\n\n"...)
	default:
		dst = append(dst, "data: {\"type\":\"finish-step\"}\n\ndata: {\"type\":\"finish\",\"finishReason\":\""...)
		dst = append(dst, finishReason(end.StopReason)...)
		dst = append(dst, "\"}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// Fail implements [reply.Framer].
func (m *parts) Fail(dst []byte, err error) []byte { return m.failed(dst, runnel.PublicMessage(err)) }

func (m *parts) failed(dst []byte, message string) []byte {
	dst = append(m.begin(dst), `data: {"type":"error","errorText":`...)
	dst = wire.AppendString(dst, message)
	return append(dst, "}\n\ndata: [DONE]\n\n"...)
}

func finishReason(reason runnel.StopReason) string {
	switch reason {
	case runnel.MaxTokens:
		return "length"
	case runnel.ToolUse:
		return "tool-calls"
	case runnel.Filtered:
		return "content-filter"
	case runnel.EndTurn, runnel.StopSequence:
		return "stop"
	}
	return "other"
}
