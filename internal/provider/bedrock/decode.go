package bedrock

import (
	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
)

// A textChunk is a chunk of any family but Claude's newer form and Nova. What
// the families say is the same, and where they say it does not collide; so one
// decoder serves them all, also when a vendor moves from one form to another.
type textChunk struct {
	event     string // of Command R; the others have but one
	text      string
	reasoning string
	reason    string // for the stop: its presence is the terminal event
	sequence  string // at which a Claude has stopped
	legacy    bool   // is a Claude's
	finished  bool   // Command says so in another way
	calls     []textCall
}

// A textCall is a fragment of a tool call.
type textCall struct {
	index           int
	id, name, input string
}

// decodeText reads one chunk.
func decodeText(a *answer, _ string, s *jsonscan.Scanner) {
	var c textChunk
	for key := range s.Object() {
		switch string(key) {
		case "choices", "outputs":
			for i := range s.Array() {
				if i == 0 {
					c.readChoice(s)
				} else {
					s.Skip() // nobody asked for alternatives
				}
			}
		case "amazon-bedrock-invocationMetrics", "usage":
			a.readUsage(s)
		default:
			c.read(string(key), s)
		}
	}
	c.apply(a)
}

// read reads one member of a chunk that is not divided further.
func (c *textChunk) read(key string, s *jsonscan.Scanner) {
	switch key {
	case "completion":
		c.text, c.legacy = s.String(), true
	case "outputText", "generation", "text":
		c.text = s.String()
	case "stop_reason", "completionReason", "finish_reason":
		c.reason = s.String()
	case "stop":
		c.sequence = s.String()
	case "is_finished":
		c.finished = s.Bool()
	case "event_type":
		c.event = s.String()
	default:
		s.Skip()
	}
}

// readChoice reads the only choice of a chunk.
func (c *textChunk) readChoice(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "delta", "message":
			c.readDelta(s)
		default:
			c.read(string(key), s)
		}
	}
}

func (c *textChunk) readDelta(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "content":
			c.text = s.String()
		case "reasoning_content", "reasoning":
			c.reasoning = s.String()
		case "tool_calls":
			for i := range s.Array() {
				c.readCall(i, s)
			}
		}
	}
}

func (c *textChunk) readCall(index int, s *jsonscan.Scanner) {
	call := textCall{index: index}
	for key := range s.Object() {
		switch string(key) {
		case "index":
			call.index = s.Int()
		case "id":
			call.id = s.String()
		case "function":
			for key := range s.Object() {
				switch string(key) {
				case "name":
					call.name = s.String()
				case "arguments":
					call.input = s.String()
				}
			}
		}
	}
	c.calls = append(c.calls, call)
}

func (c *textChunk) apply(a *answer) {
	if a.stopped {
		a.complete = a.metered
		return
	}
	a.reasoning(c.reasoning)
	if c.event == "" || c.event == "text-generation" {
		a.text(c.text)
	}
	for _, call := range c.calls {
		if !a.calls(call.index) {
			a.startTool(call.index, call.id, call.name)
		}
		a.toolInput(call.index, call.input)
	}
	if c.reason == "" && !c.finished {
		return
	}
	for i := range a.tools {
		a.endBlock(a.tools[i].index)
	}
	a.stopped = true
	a.setStop(c.reason)
	if c.legacy && a.stop == runnel.StopSequence && (c.sequence == "" || c.sequence == "\n\nHuman:") {
		a.stop = runnel.EndTurn // a Claude of old always stops where the human would speak
	}
	a.complete = a.metered
}
