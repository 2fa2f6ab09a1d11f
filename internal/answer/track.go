package answer

import "github.com/runnelhq/runnel"

// maxCalls bounds the tool calls of one answer that are kept track of.
const maxCalls = 1024

// A track is a text of which the client has a part already.
type track struct {
	sent []byte
	pos  int // how much of it has been said again
}

// add returns what the client lacks of s; false if it has something else.
func (t *track) add(s string) (more string, ok bool) {
	known := min(len(s), len(t.sent)-t.pos)
	if string(t.sent[t.pos:t.pos+known]) != s[:known] {
		return "", false
	}
	t.pos += len(s)
	more = s[known:]
	t.sent = append(t.sent, more...)
	return more, true
}

// again returns what has been said again.
func (t *track) again() string { return string(t.sent[:t.pos]) }

func (t *track) whole() bool { return t.pos == len(t.sent) }

// A call is a tool call of which the client has a part already.
type call struct {
	id, name string
	input    track
	again    bool // it has not been said again yet
}

// addTool takes up a fragment of a tool call. A call that is repeated under
// another id is another call: the client may have answered the first.
func (r *Reader) addTool(t *runnel.ToolDelta) bool {
	if t.Index < 0 || t.Index >= maxCalls {
		return false
	}
	for t.Index >= len(r.calls) {
		r.calls = append(r.calls, call{again: true})
	}
	c := &r.calls[t.Index]
	fresh := *t
	named := c.again && (t.ID != "" || t.Name != "")
	if named && (c.id != "" || c.name != "") {
		if c.id != t.ID || c.name != t.Name {
			return false
		}
		fresh.ID, fresh.Name = "", ""
	}
	more, ok := c.input.add(t.Input)
	if !ok {
		return false
	}
	if named {
		c.id, c.name = t.ID, t.Name
	}
	c.again = false
	if fresh.Input = more; fresh.ID != "" || fresh.Name != "" || more != "" {
		r.pieces = append(r.pieces, Piece{Tool: &fresh})
	}
	return true
}
