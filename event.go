package runnel

import (
	"encoding/json"
	"time"
)

// An EventType says what an event reports.
type EventType string

// The types of events. The last three are terminal: exactly one of them ends a
// generation.
const (
	EventQueued    EventType = "generation.queued"
	EventStarted   EventType = "generation.started"
	EventDelta     EventType = "delta"
	EventReasoning EventType = "reasoning"
	EventTool      EventType = "tool"
	EventProgress  EventType = "progress"
	EventReset     EventType = "reset"
	EventDone      EventType = "generation.done"
	EventFailed    EventType = "generation.failed"
	EventCancelled EventType = "generation.cancelled"
)

// Terminal reports whether an event of this type ends its generation.
func (t EventType) Terminal() bool {
	return t == EventDone || t == EventFailed || t == EventCancelled
}

// An Event is a numbered durable record in a session's log. Which fields are
// set depends on Type. Events that came from a log are shared by all readers:
// nobody changes them.
type Event struct {
	// Cursor is the event's position, given by the log. It is zero for an
	// event that is not stored yet, and for all but the last of the events
	// that together stand for a reader's reset (see [Sessions.Read]).
	Cursor     Cursor
	Session    SessionID
	Generation GenerationID
	Attempt    int
	Type       EventType
	Time       time.Time // when it was stored

	Prompt     string          // queued: the text of the last user message
	Model      string          // started
	Text       string          // delta, reasoning; reset: the whole text so far
	Reasoning  string          // reset: the whole reasoning so far
	Seal       *Seal           // reasoning, which then has no text; may be nil
	Tool       *ToolDelta      // tool
	Progress   json.RawMessage // progress: a worker's own JSON
	StopReason StopReason      // done
	Usage      *Usage          // done; failed and cancelled if known
	Failure    *Failure        // failed

	// Data is what the publisher of a piece said with it; nil in the events of
	// an answer that was not published, and where it said nothing.
	Data json.RawMessage // started, delta, reasoning, progress, done, failed

	// Body is the event as one line of JSON, as clients get it. The log sets
	// it on every event that it returns.
	Body []byte
}
