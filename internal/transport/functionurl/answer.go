package functionurl

import "github.com/runnelhq/runnel"

// An answer is a generation's text on its way to a client that can only append.
type answer struct {
	sent    []byte // what the client has
	pos     int    // how much of the current attempt's text is known
	attempt int
}

// add returns what the client lacks of the text up to and including ev. It
// reports false if the client has something else already.
func (a *answer) add(ev *runnel.Event) (more string, ok bool) {
	if ev.Attempt > a.attempt {
		a.attempt, a.pos = ev.Attempt, 0
	}
	text := ""
	switch ev.Type {
	case runnel.EventReset:
		a.pos = 0
		text = ev.Text
	case runnel.EventDelta:
		text = ev.Text
	case runnel.EventDone:
		return "", a.pos == len(a.sent) // or the text has become shorter
	default:
		return "", true
	}
	known := min(len(text), len(a.sent)-a.pos)
	if string(a.sent[a.pos:a.pos+known]) != text[:known] {
		return "", false
	}
	a.pos += len(text)
	more = text[known:]
	a.sent = append(a.sent, more...)
	return more, true
}
