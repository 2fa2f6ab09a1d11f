package runnel

import "context"

// Counters keep numbers that all nodes share and that survive a crash. All
// methods may be called concurrently.
type Counters interface {
	// Count adds n, which may be negative, to the number called key, and returns
	// the sum of all that was ever added; if n is zero it only looks. A key is
	// any text. A number that nobody has added to for two days may be forgotten.
	//
	// The id is of the caller's choice. What was added under an id counts once,
	// however often it is repeated within some minutes, also across a crash; the
	// sum is then the present one. A number remembers at least its last 100 ids.
	Count(ctx context.Context, key, id string, n int64) (total int64, err error)
}

// A Reservation is what a prompt was counted as. It is stored with the prompt,
// so that it can be settled by whoever ends the generation.
type Reservation struct {
	ID      string `json:"id"`
	Day     string `json:"day"`
	Prompts int64  `json:"prompts,omitempty"` // 0 if prompts are not counted
	Metered bool   `json:"metered,omitempty"` // tokens are counted
	Tokens  int64  `json:"tokens,omitempty"`  // how many were set aside
}
