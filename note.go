package runnel

import (
	"context"
	"time"
)

// NoteAge is how long a note is kept that nobody writes again.
const NoteAge = time.Hour

// Notes keep small things for a while that all nodes share and that may get
// lost: with the engine, or because there are too many. All methods may be called
// concurrently.
type Notes interface {
	// Note keeps data under a key, which is any text, in place of what was there.
	// Without data it only forgets that. The data may be 256 KiB long.
	Note(ctx context.Context, key string, data []byte) error
	// Noted returns what was last kept under a key; nil if that is nothing, or
	// nothing any more.
	Noted(ctx context.Context, key string) ([]byte, error)
}
