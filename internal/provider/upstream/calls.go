package upstream

import (
	"strconv"

	"github.com/runnelhq/runnel"
)

// Calls numbers the tool calls of one answer as [runnel.ToolDelta] wants them,
// whatever the vendor counts: some count other things too, some give several
// calls the same number, some give no id.
type Calls struct {
	generation runnel.GenerationID
	calls      []call
}

type call struct {
	number int // the vendor's
	id     string
	input  bool // some has come
}

// NewCalls returns the calls of an answer that has none yet. The ids of calls
// that the vendor did not name are made from the generation's.
func NewCalls(gen runnel.GenerationID) Calls { return Calls{generation: gen} }

// Any reports whether there has been a call.
func (c *Calls) Any() bool { return len(c.calls) > 0 }

// Append appends a fragment of the call that the vendor knows by number. A
// number that is new, or comes with another id, begins a call.
func (c *Calls) Append(dst []runnel.Delta, number int, id, name, input string) []runnel.Delta {
	i := len(c.calls) - 1
	for i >= 0 && c.calls[i].number != number {
		i--
	}
	t := &runnel.ToolDelta{Index: i, Input: input}
	if i < 0 || (id != "" && id != c.calls[i].id) {
		i = len(c.calls)
		if id == "" {
			id = "call_" + string(c.generation) + "_" + strconv.Itoa(i)
		}
		c.calls = append(c.calls, call{number: number, id: id})
		t.Index, t.ID, t.Name = i, id, name
	}
	c.calls[i].input = c.calls[i].input || input != ""
	if t.ID == "" && t.Input == "" {
		return dst
	}
	return append(dst, runnel.Delta{Tool: t})
}

// Close appends what makes the input of each call a JSON object: vendors send
// nothing for a tool without parameters.
func (c *Calls) Close(dst []runnel.Delta) []runnel.Delta {
	for i := range c.calls {
		if !c.calls[i].input {
			c.calls[i].input = true
			dst = append(dst, runnel.Delta{Tool: &runnel.ToolDelta{Index: i, Input: "{}"}})
		}
	}
	return dst
}
