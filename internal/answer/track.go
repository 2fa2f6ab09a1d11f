package answer

import (
	"slices"

	"github.com/runnelhq/runnel"
)

// maxCalls bounds the tool calls of one answer that are kept track of.
const maxCalls = 1024

// A Track is a text of which the client has a part already.
type Track struct {
	sent []byte
	pos  int // how much of it has been said again
}

// Add returns what the client lacks of s; false if it has something else.
func (t *Track) Add(s string) (more string, ok bool) {
	known := min(len(s), len(t.sent)-t.pos)
	if string(t.sent[t.pos:t.pos+known]) != s[:known] {
		return "", false
	}
	t.pos += len(s)
	more = s[known:]
	t.sent = append(t.sent, more...)
	return more, true
}

// NewTrack returns the Track of which [Track.State] has returned this.
func NewTrack(sent []byte, again int) Track {
	return Track{sent: sent, pos: min(max(again, 0), len(sent))}
}

// State returns what the client has, and how much of it has been said again.
func (t *Track) State() (sent []byte, again int) { return t.sent, t.pos }

// Rewind begins the text again.
func (t *Track) Rewind() { t.pos = 0 }

// Again returns what has been said again.
func (t *Track) Again() string { return string(t.sent[:t.pos]) }

// Whole reports whether all that the client has was said again.
func (t *Track) Whole() bool { return t.pos == len(t.sent) }

// Len returns how many bytes of it the client has.
func (t *Track) Len() int { return len(t.sent) }

// Copy returns a Track that goes on by itself.
func (t *Track) Copy() Track { return Track{sent: slices.Clip(t.sent), pos: t.pos} }

// A call is a tool call of which the client has a part already.
type call struct {
	id, name string
	input    Track
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
	more, ok := c.input.Add(t.Input)
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
