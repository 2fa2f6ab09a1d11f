package runnel

import "context"

// Sessions is what a transport may ask of the core. All methods may be called
// concurrently. The caller's [Principal] travels in ctx. Errors are of type
// [*Error] unless ctx ended the call.
//
// A session belongs to the first user, that is a principal who is not a service,
// who submits or publishes to it or is shown something of it. To other users,
// and to whoever lacks the grant, it is one that nobody has ever used, and its
// generations are unknown.
type Sessions interface {
	// Submit accepts a prompt. When it returns nil the prompt is durable, will
	// be answered, and the answer ends with exactly one terminal event,
	// whatever becomes of the caller, the worker or the process. A session of
	// another user is NotFound; without the grant to submit it is Denied.
	Submit(ctx context.Context, s Submission) (Receipt, error)

	// Publish adds a piece to an answer that somebody outside produces. When it
	// returns nil the piece is durable and will be an event of the session after
	// those of the pieces before it, whatever becomes of the caller, the worker
	// or the process. Pieces that are published at the same time get some order.
	//
	// A piece for a generation that was stopped is Cancelled, also if it names
	// none and does not begin one: whoever publishes should stop. One for a
	// generation that has ended, or that is not the session's open one, is a
	// Conflict. A generation whose publisher falls silent fails. A session of
	// another user is NotFound; without the grant to publish it is Denied.
	Publish(ctx context.Context, p Publication) (Receipt, error)

	// Read returns at least one event of the session after the given position,
	// waiting for one if need be, as [Log.Read] does. A reader whose cursor a
	// crash has made void gets a reset: for each generation that it may have
	// seen differently, an [EventReset] with the text so far and what else is
	// needed to go on. If the cursor was not of this log at all, the first event
	// is a reset without a generation: the whole session is void, and what
	// follows is all of it. Only the last event of a reset has a cursor, so that
	// a reader who is interrupted within gets it again.
	Read(ctx context.Context, id SessionID, after Cursor) ([]Event, error)

	// End returns the position of the session's last event.
	End(ctx context.Context, id SessionID) (Cursor, error)

	// Cancel asks for a generation to be stopped, durably, and returns how it
	// stands. Stopping one that has ended changes nothing.
	Cancel(ctx context.Context, gen GenerationID) (Generation, error)

	// Generation returns how a generation stands.
	Generation(ctx context.Context, gen GenerationID) (Generation, error)

	// Transcript returns what a session has said so far. An unknown session
	// is empty: sessions begin to exist with their first prompt.
	Transcript(ctx context.Context, id SessionID) (Transcript, error)

	// Active returns what Transcript does but for the turns, which it does not
	// read: where a viewer begins who wants the answer in flight and no history.
	Active(ctx context.Context, id SessionID) (Transcript, error)
}

// A Submission is a prompt on its way in. The core fills in the prompt's
// Generation, AcceptedAt and Cursor.
type Submission struct {
	Prompt Prompt
	// IdempotencyKey makes repeating the submission within a day harmless: the
	// same key and prompt return the same generation, the same key with
	// another prompt is a Conflict. Empty means none.
	IdempotencyKey string
}

// A Receipt says that a prompt or a piece was accepted.
type Receipt struct {
	Session    SessionID    `json:"session"`
	Generation GenerationID `json:"generation"`
	// Cursor lies before the generation's first event.
	Cursor Cursor `json:"cursor"`
	// Repeated is true if an earlier call with the same key did it.
	Repeated bool `json:"repeated,omitempty"`
}
