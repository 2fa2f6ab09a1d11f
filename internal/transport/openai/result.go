package openai

import (
	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// A result is an answer as far as it has come.
type result struct {
	model           string // that the vendor was asked for
	text, reasoning []byte
	calls           []runnel.ToolCall
	inputs          [][]byte // of calls
	end             *runnel.Event
}

func (s *result) add(pieces []answer.Piece) {
	for i := range pieces {
		p := &pieces[i]
		if p.Model != "" {
			s.model = p.Model
		}
		s.text = append(s.text, p.Text...)
		s.reasoning = append(s.reasoning, p.Reasoning...)
		if p.Tool != nil {
			s.addTool(p.Tool)
		}
		if p.End != nil {
			s.end = p.End
		}
	}
}

func (s *result) addTool(t *runnel.ToolDelta) {
	for t.Index >= len(s.calls) {
		s.calls, s.inputs = append(s.calls, runnel.ToolCall{}), append(s.inputs, nil)
	}
	if t.ID != "" || t.Name != "" {
		s.calls[t.Index].ID, s.calls[t.Index].Name = t.ID, t.Name
	}
	s.inputs[t.Index] = append(s.inputs[t.Index], t.Input...)
}

// finishReason returns OpenAI's word for why an answer ended.
func finishReason(end *runnel.Event) string {
	switch end.StopReason {
	case runnel.MaxTokens:
		return "length"
	case runnel.ToolUse:
		return "tool_calls"
	case runnel.Filtered:
		return "content_filter"
	}
	return "stop"
}
