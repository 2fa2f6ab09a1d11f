package runnel

import (
	"context"
	"iter"
)

// A Provider speaks one vendor's API for one model.
type Provider interface {
	// Generate sends p and yields what the model produces, in order. The last
	// delta has End set. The sequence ends after its first error; a stream that
	// stops before its vendor said that the answer is complete is an error too. Leaving the
	// loop early, or cancelling ctx, releases the upstream connection; an error
	// that comes of ctx wraps ctx.Err().
	//
	// Errors are of type [*Error]: Limited and Unavailable may succeed when
	// repeated, after RetryAfter if it is set; every other kind will not.
	// Generate never retries by itself. It may be called concurrently.
	Generate(ctx context.Context, p Prompt) iter.Seq2[Delta, error]
}

// A Continuer is a Provider that may be able to go on with an answer that was
// broken off.
type Continuer interface {
	Provider
	// Continues reports whether it is: Generate then takes a prompt with
	// Continue set. Its model may still refuse one, with an Invalid error before
	// the first delta.
	Continues() bool
}

// A Delta is one fragment of a model's output as the provider sent it. Exactly
// one field is set, but for End, which may stand alone or with nothing else.
type Delta struct {
	Text      string
	Reasoning string
	Seal      *Seal // ends a block of reasoning
	Tool      *ToolDelta
	Progress  string // a worker's own status: one JSON value
	Usage     *Usage // what it has cost so far, of vendors that say so before the end
	End       *End
}

// A Seal is what only the vendor understands of its model's reasoning. It refuses
// the result of a tool unless the reasoning that led to the call comes back as it
// was. Exactly one field is set.
type Seal struct {
	Signature string `json:"signature,omitempty"` // of the reasoning since the last seal
	Redacted  string `json:"redacted,omitempty"`  // reasoning that nobody else may read, in base64
}

// Len returns how many bytes a seal has; a nil one has none.
func (s *Seal) Len() int {
	if s == nil {
		return 0
	}
	return len(s.Signature) + len(s.Redacted)
}

// A ToolDelta is a fragment of a tool call. The first fragment of a call has
// its ID and Name; the Input fragments, joined, are a JSON object.
type ToolDelta struct {
	Index int    `json:"index"` // counts the calls of one generation from 0
	ID    string `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	Input string `json:"input,omitempty"`
}

// An End is a model's own statement that it has finished.
type End struct {
	StopReason StopReason
	Usage      *Usage // nil if the vendor did not report it
	Model      string // as the vendor names it; may be empty
}

// A Candidate is one model that a route may use.
type Candidate struct {
	Name     string // such as openai/gpt-5-mini; shown to clients
	Provider Provider
}
