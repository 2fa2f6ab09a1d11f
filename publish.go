package runnel

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// A Publication is one piece of an answer that somebody outside produces, on its
// way into a session. Its pieces make up a generation like any other; a session
// has one such generation open at a time.
type Publication struct {
	Session SessionID
	// Generation is the one that the piece belongs to. Empty means the
	// session's open published generation, or, if there is none, a new one that
	// begins with this piece.
	Generation GenerationID

	// Type says what the piece is. EventStarted always begins a new generation,
	// for which Generation is empty; if one is open, that one ends as failed.
	// EventDelta, EventReasoning and EventProgress go on, and EventDone and
	// EventFailed end it.
	Type       EventType
	Text       string          // delta, reasoning; may be empty
	Progress   json.RawMessage // progress: any JSON
	StopReason StopReason      // done; empty means end_turn
	Usage      *Usage          // done
	Failure    *Failure        // failed; nil means that the publisher did not say why

	// Data is what the publisher says besides: readers get it with the event
	// of this piece, which is then one of its own. Any JSON, or nil.
	Data json.RawMessage

	// Model names what produces the answer, and Prompt is the question. They
	// count in the piece that begins a generation, and are for show and for
	// the session's history.
	Model  string
	Prompt string

	// Key makes repeating the piece harmless, for some minutes: the same key
	// and piece have the same receipt, the same key with another piece is a
	// Conflict. The data that came first stays. Empty means none.
	Key string
}

// A Piece is a [Publication] as it is stored until its generation has ended.
type Piece struct {
	Generation GenerationID    `json:"generation"`
	Type       EventType       `json:"type"` // cancelled: the generation was stopped
	Text       string          `json:"text,omitempty"`
	Progress   json.RawMessage `json:"progress,omitempty"`
	StopReason StopReason      `json:"stop_reason,omitempty"`
	Usage      *Usage          `json:"usage,omitempty"`
	Failure    *Failure        `json:"failure,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Model      string          `json:"model,omitempty"`
	Prompt     string          `json:"prompt,omitempty"`

	// Key is a hash of the publisher and its key.
	Key string `json:"key,omitempty"`
	// First is the number of the generation's first piece; zero in that piece.
	First uint64 `json:"first,omitempty"`
	// Chars and Size count the bytes of text, and of everything, of the
	// generation's pieces up to this one.
	Chars int `json:"chars,omitempty"`
	Size  int `json:"size,omitempty"`

	// Seq is the piece's number, which rises within a session. The engine gives
	// it, and the time.
	Seq  uint64    `json:"-"`
	Time time.Time `json:"-"`
}

// Pieces keeps what is published into sessions, in order, until the generations
// have ended. All methods may be called concurrently.
type Pieces interface {
	// LastPiece returns the piece that was stored last in the session; one
	// without a number if there is none.
	LastPiece(ctx context.Context, id SessionID) (Piece, error)

	// PutPiece stores p durably as the session's next piece and returns it with
	// its number. If the last piece is not the one numbered after (zero: there
	// must be none), the error is of kind Conflict and nothing is stored. If a
	// piece with p's key was stored in the session within the last minutes, that
	// one is returned instead; if it was dropped since, the error is Gone.
	PutPiece(ctx context.Context, id SessionID, p Piece, after uint64) (stored Piece, err error)

	// Pieces yields the session's pieces after the given number, in order, and
	// waits for more until ctx is done; the error is ctx's then. The sequence
	// ends after its first error.
	Pieces(ctx context.Context, id SessionID, after uint64) iter.Seq2[Piece, error]

	// DropPieces drops those before the given number.
	DropPieces(ctx context.Context, id SessionID, before uint64) error
}
