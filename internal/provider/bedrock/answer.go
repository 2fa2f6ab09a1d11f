package bedrock

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
)

// A decoder reads one event of a model into an answer. The event's name is
// empty where the event itself says what it is.
type decoder func(a *answer, event string, s *jsonscan.Scanner)

// An answer is what a stream has said so far.
type answer struct {
	read decoder

	deltas   []runnel.Delta // of the last message, to be yielded
	stop     runnel.StopReason
	model    string
	usage    runnel.Usage
	metered  bool  // usage is known
	stopped  bool  // the terminal event was read
	complete bool  // and nothing is to come that matters
	failure  error // the stream says that it has failed

	tools []toolBlock // in the order of their start
	chunk []byte      // a chunk's bytes, decoded
}

// A toolBlock is a block of a message that holds a tool call. Its place in
// [answer.tools] is the call's index.
type toolBlock struct {
	index int // of the block
	input bool
}

// message reads one message.
func (a *answer) message(m *eventstream.Message) error {
	if string(m.Header(":message-type")) != "event" {
		return streamError(m)
	}
	event, payload := m.Header(":event-type"), m.Payload
	if string(event) == "chunk" {
		var err error
		if payload, err = a.unwrap(payload); err != nil {
			return unreadable(err)
		}
		event = nil
	}
	s := jsonscan.New(payload)
	a.read(a, string(event), &s)
	if err := s.Done(); err != nil {
		return unreadable(err)
	}
	return a.failure
}

// unwrap returns the model's own JSON inside a chunk.
func (a *answer) unwrap(payload []byte) ([]byte, error) {
	s := jsonscan.New(payload)
	var err error
	for key := range s.Object() {
		if string(key) == "bytes" {
			a.chunk, err = base64.StdEncoding.AppendDecode(a.chunk[:0], s.Bytes())
		}
	}
	if err == nil {
		err = s.Done()
	}
	if err != nil {
		return nil, fmt.Errorf("chunk: %w", err)
	}
	return a.chunk, nil
}

// end returns what the answer says of itself.
func (a *answer) end() *runnel.End {
	e := &runnel.End{StopReason: a.stop, Model: a.model}
	if a.metered {
		e.Usage = &a.usage
	}
	return e
}

func (a *answer) text(s string) {
	if s != "" {
		a.deltas = append(a.deltas, runnel.Delta{Text: s})
	}
}

func (a *answer) reasoning(s string) {
	if s != "" {
		a.deltas = append(a.deltas, runnel.Delta{Reasoning: s})
	}
}

func (a *answer) seal(s runnel.Seal) {
	if s.Len() > 0 {
		a.deltas = append(a.deltas, runnel.Delta{Seal: &s})
	}
}

// calls reports whether a block is known to hold a tool call.
func (a *answer) calls(block int) bool {
	return slices.ContainsFunc(a.tools, func(t toolBlock) bool { return t.index == block })
}

// startTool begins the tool call of a block.
func (a *answer) startTool(block int, id, name string) {
	a.tools = append(a.tools, toolBlock{index: block})
	a.deltas = append(a.deltas, runnel.Delta{Tool: &runnel.ToolDelta{Index: len(a.tools) - 1, ID: id, Name: name}})
}

// toolInput goes on with the tool call of a block.
func (a *answer) toolInput(block int, fragment string) {
	for i := range a.tools {
		if t := &a.tools[i]; t.index == block && fragment != "" {
			t.input = true
			a.deltas = append(a.deltas, runnel.Delta{Tool: &runnel.ToolDelta{Index: i, Input: fragment}})
		}
	}
}

// endBlock ends a block. A call without input has an empty one, which vendors
// leave out.
func (a *answer) endBlock(block int) {
	for i := range a.tools {
		if t := &a.tools[i]; t.index == block && !t.input {
			a.toolInput(block, "{}")
		}
	}
}

// setStop notes the reason for the stop. A word without a counterpart stays.
func (a *answer) setStop(reason string) {
	switch reason {
	case "stop", "FINISH", "FINISHED", "COMPLETE", "eos":
		a.stop = runnel.EndTurn
	case "length", "LENGTH", "MAX_TOKENS", "model_length":
		a.stop = runnel.MaxTokens
	case "STOP_CRITERIA_MET", "STOP_SEQUENCE":
		a.stop = runnel.StopSequence
	case "tool_calls", "TOOL_CALL":
		a.stop = runnel.ToolUse
	case "guardrail_intervened", "CONTENT_FILTERED", "content_filter", "ERROR_TOXIC":
		a.stop = runnel.Filtered
	default: // Claude's and Converse's words are ours
		a.stop = runnel.StopReason(reason)
	}
}

// readUsage reads an object that counts tokens, in any of the spellings. What
// it leaves out keeps the count that it had.
func (a *answer) readUsage(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "inputTokens", "input_tokens", "inputTokenCount", "prompt_tokens":
			a.usage.InputTokens, a.metered = s.Int(), true
		case "outputTokens", "output_tokens", "outputTokenCount", "completion_tokens":
			a.usage.OutputTokens, a.metered = s.Int(), true
		case "cacheReadInputTokens", "cache_read_input_tokens", "cacheReadInputTokenCount":
			a.usage.CacheReadTokens = s.Int()
		case "cacheWriteInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokenCount":
			a.usage.CacheWriteTokens = s.Int()
		}
	}
}
