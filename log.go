package runnel

import "context"

// A Log keeps every session's events in order, across restarts. All methods
// may be called concurrently. It is implemented by natslog, and by memlog for
// tests; logtest holds both to this contract.
type Log interface {
	// Append stores ev as the next event of its session and returns its
	// position. A crash may take back the last few events; readers then get a
	// [ResetError].
	Append(ctx context.Context, ev Event) (Cursor, error)

	// Writer returns a writer for one attempt of a generation. Call it before
	// claiming the attempt in the [Ledger]: what others append from here on is
	// checked at the first write.
	Writer(ctx context.Context, id SessionID, gen GenerationID) (Writer, error)

	// Read returns at least one event after the given position, in order. At
	// the end of the log it waits until an event arrives or ctx is done; then
	// the error is ctx's. Once Read has been called, no later event can be
	// missed by calling it again with the last event's cursor.
	//
	// A position older than the log still keeps is an [Error] of kind Gone,
	// never a silent gap; one that the log has not given out, or has taken
	// back, is a [*ResetError]. The zero cursor reads from the first event
	// that is kept and is neither.
	//
	// The slice and its events are shared with other readers: read only.
	Read(ctx context.Context, id SessionID, after Cursor) ([]Event, error)

	// End returns the position of the session's last event; one before its
	// first event if it has none.
	End(ctx context.Context, id SessionID) (Cursor, error)

	// Empty reports whether the log keeps no event of the session, so that End
	// is not the position of one, and reading up to it would wait.
	Empty(ctx context.Context, id SessionID) (bool, error)
}

// A Writer appends the events of one attempt of one generation. It is used by
// one goroutine at a time.
type Writer interface {
	// Append stores ev as the session's next event, whatever others append
	// meanwhile, and returns its position. It returns [ErrFenced] and stores
	// nothing if, since the call of [Log.Writer], the session has got an event
	// of a newer attempt of the generation, or its terminal event.
	Append(ctx context.Context, ev Event) (Cursor, error)
}
