package answer

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/runnelhq/runnel"
)

// ErrDiverged ends an answer whose repetition says something else than what was
// handed out before.
var ErrDiverged = errors.New("answer: a new attempt says something else than what was sent")

// Sessions is what a reader needs of [runnel.Sessions].
type Sessions interface {
	Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error)
}

// A Piece is what comes next of an answer. Exactly one field is set.
type Piece struct {
	Void      bool   // all that came before is void; what follows is the answer from its start
	Model     string // that is being asked; again when it falls over to another
	Text      string
	Reasoning string
	Seal      *runnel.Seal // of the reasoning before it
	Tool      *runnel.ToolDelta
	Progress  json.RawMessage
	End       *runnel.Event // the terminal event
}

// A Reader hands out one generation's answer, each piece once. It is used by
// one goroutine at a time.
type Reader struct {
	sessions   Sessions
	session    runnel.SessionID
	generation runnel.GenerationID
	after      runnel.Cursor
	voids      bool

	attempt   int
	text      Track
	reasoning Track
	seals     int    // that the client has
	resealed  int    // that have been said again
	calls     []call // by index
	pieces    []Piece
}

// Follow returns a reader of the generation that was accepted with this receipt,
// from its start.
func Follow(sessions Sessions, receipt runnel.Receipt) *Reader {
	return &Reader{sessions: sessions, session: receipt.Session, generation: receipt.Generation, after: receipt.Cursor}
}

// Voids lets r say that what it has handed out is void, where it would end with
// [ErrDiverged]. It is for clients that can be told so.
func (r *Reader) Voids() *Reader {
	r.voids = true
	return r
}

// Next waits for more of the answer and returns all that is there, in order.
// The last piece of all has End set; Next must not be called after it. The
// slice is valid until the next call.
//
// Errors are those of [runnel.Sessions], ctx's, and [ErrDiverged].
func (r *Reader) Next(ctx context.Context) ([]Piece, error) {
	r.pieces = r.pieces[:0]
	for len(r.pieces) == 0 {
		events, err := r.sessions.Read(ctx, r.session, r.after)
		if err != nil {
			return nil, err
		}
		for i := range events {
			ev := &events[i]
			if !ev.Cursor.IsZero() {
				r.after = ev.Cursor
			}
			if ev.Generation != r.generation {
				continue
			}
			if sure := len(r.pieces); !r.add(ev) {
				if !r.voids {
					return nil, ErrDiverged
				}
				r.pieces = r.pieces[:sure]
				r.startOver(ev)
			}
			if ev.Type.Terminal() {
				return r.pieces, nil
			}
		}
	}
	return r.pieces, nil
}

// After returns the position of the last event that was looked at.
func (r *Reader) After() runnel.Cursor { return r.after }

// add takes up one event; it reports false if the client has something else
// already.
func (r *Reader) add(ev *runnel.Event) bool {
	if ev.Attempt > r.attempt {
		r.attempt = ev.Attempt
		r.rewind()
	}
	switch ev.Type {
	case runnel.EventReset:
		r.rewind()
		return r.addText(ev.Text) && r.addReasoning(ev.Reasoning)
	case runnel.EventStarted:
		r.pieces = append(r.pieces, Piece{Model: ev.Model})
	case runnel.EventDelta:
		return r.addText(ev.Text)
	case runnel.EventReasoning:
		r.addSeal(ev.Seal)
		return r.addReasoning(ev.Text)
	case runnel.EventTool:
		return ev.Tool == nil || r.addTool(ev.Tool)
	case runnel.EventProgress:
		r.pieces = append(r.pieces, Piece{Progress: ev.Progress})
	case runnel.EventDone:
		if !r.complete() {
			return false // the answer has become shorter
		}
		r.pieces = append(r.pieces, Piece{End: ev})
	case runnel.EventFailed, runnel.EventCancelled:
		r.pieces = append(r.pieces, Piece{End: ev})
	case runnel.EventQueued:
	}
	return true
}

func (r *Reader) addText(s string) bool {
	more, ok := r.text.Add(s)
	if more != "" {
		r.pieces = append(r.pieces, Piece{Text: more})
	}
	return ok
}

func (r *Reader) addReasoning(s string) bool {
	more, ok := r.reasoning.Add(s)
	if more != "" {
		r.pieces = append(r.pieces, Piece{Reasoning: more})
	}
	return ok
}

// addSeal takes up a seal. The client may keep the one that it has: a vendor seals
// the same reasoning anew each time, and knows all of its seals.
func (r *Reader) addSeal(s *runnel.Seal) {
	if s == nil {
		return
	}
	if r.resealed++; r.resealed > r.seals {
		r.seals++
		r.pieces = append(r.pieces, Piece{Seal: s})
	}
}

// rewind begins the comparison again: what follows says it all once more.
func (r *Reader) rewind() {
	r.text.Rewind()
	r.reasoning.Rewind()
	r.resealed = 0
	for i := range r.calls {
		r.calls[i].again = true
		r.calls[i].input.Rewind()
	}
}

// startOver hands out again what has been said again so far, and then ev.
func (r *Reader) startOver(ev *runnel.Event) {
	r.pieces = append(r.pieces, Piece{Void: true})
	text, reasoning, calls := r.text.Again(), r.reasoning.Again(), r.calls
	r.text, r.reasoning, r.calls = Track{}, Track{}, nil
	r.seals, r.resealed = 0, 0 // who can start over has no use for them
	if ev.Type != runnel.EventReset {
		r.addReasoning(reasoning)
		r.addText(text)
		for i := range calls {
			if c := &calls[i]; !c.again {
				r.addTool(&runnel.ToolDelta{Index: i, ID: c.id, Name: c.name, Input: c.input.Again()})
			}
		}
	}
	r.add(ev)
}

// complete reports whether all that was handed out has been said again.
func (r *Reader) complete() bool {
	whole := r.text.Whole() && r.reasoning.Whole()
	for i := range r.calls {
		whole = whole && !r.calls[i].again && r.calls[i].input.Whole()
	}
	return whole
}
