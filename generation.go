package runnel

import (
	"encoding/json"
	"time"
)

// A GenerationID names one generation. It sorts by the time at which the prompt
// came in; prompts that come in at the same time may be accepted, and run, in
// another order.
type GenerationID string

// A State is where a generation is in its life. It moves from queued to
// running, and from either to one of the last three, where it stays.
type State string

// The states of a generation.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
	Stopped State = "cancelled"
)

// Ended reports whether a generation in this state has had its terminal event.
func (s State) Ended() bool { return s == Done || s == Failed || s == Stopped }

// A Generation is the public view of one model run for one prompt.
type Generation struct {
	ID         GenerationID `json:"generation"`
	Session    SessionID    `json:"session"`
	State      State        `json:"state"`
	Attempt    int          `json:"attempt"` // 0 while queued
	Model      string       `json:"model,omitempty"`
	AcceptedAt time.Time    `json:"accepted_at,omitzero"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	EndedAt    time.Time    `json:"ended_at,omitzero"`
	StopReason StopReason   `json:"stop_reason,omitempty"`
	Usage      *Usage       `json:"usage,omitempty"`
	Failure    *Failure     `json:"failure,omitempty"`

	// Cancelling is true from a stop request until the terminal event.
	Cancelling bool `json:"cancelling,omitempty"`
	// Cursor lies just before the generation's first event.
	Cursor Cursor `json:"cursor,omitzero"`
}

// A StopReason says why a model stopped. Providers map their vendor's words to
// these; a word without a counterpart passes through unchanged.
type StopReason string

// The stop reasons that have a name here.
const (
	EndTurn      StopReason = "end_turn"
	MaxTokens    StopReason = "max_tokens"
	StopSequence StopReason = "stop_sequence"
	ToolUse      StopReason = "tool_use"
	Filtered     StopReason = "content_filtered"
)

// Usage is what a model run cost, in tokens, as the vendor reported it.
type Usage struct {
	InputTokens      int `json:"input_tokens"`
	OutputTokens     int `json:"output_tokens"`
	CacheReadTokens  int `json:"cache_read_tokens,omitempty"`
	CacheWriteTokens int `json:"cache_write_tokens,omitempty"`
	ReasoningTokens  int `json:"reasoning_tokens,omitempty"`
}

// A Failure says, to clients, why a generation failed.
type Failure struct {
	Kind    string `json:"kind"` // a [Kind]'s name
	Message string `json:"message"`
}

// A Run is the durable record of a generation. Exactly one exists per
// generation from its first attempt (or stop request) on; it ends by becoming
// the session's turn. Every change names the revision that it replaces, so a
// worker that lost its lease cannot write.
type Run struct {
	Session    SessionID    `json:"session"`
	Generation GenerationID `json:"generation"`
	State      State        `json:"state"`
	Attempt    int          `json:"attempt"`            // 0 before the first
	Owner      string       `json:"owner,omitempty"`    // the node that runs it
	Model      string       `json:"model,omitempty"`    // the first model asked
	Cancel     bool         `json:"cancel,omitempty"`   // a stop was asked for
	Accepted   time.Time    `json:"accepted,omitzero"`  // when the prompt was accepted
	Started    time.Time    `json:"started,omitzero"`   // when the last attempt began
	Cursor     Cursor       `json:"cursor,omitzero"`    // just before the first event
	Attempts   []Attempt    `json:"attempts,omitempty"` // those before the last
	Turn       *Turn        `json:"turn,omitempty"`     // set when State has ended

	// Revision is the version that was read; zero for a record that does not
	// exist yet. The ledger fills it in.
	Revision uint64 `json:"-"`
}

// A Turn is how a generation ended: what was asked, what was answered, at what
// cost. Turns are the session's history and the usage ledger.
type Turn struct {
	Generation GenerationID `json:"generation"`
	State      State        `json:"state"`
	Attempt    int          `json:"attempt"`
	Model      string       `json:"model,omitempty"`
	Prompt     []Message    `json:"prompt"` // what the client sent, without earlier turns
	Text       string       `json:"text"`
	Reasoning  string       `json:"reasoning,omitempty"`
	Tools      []ToolCall   `json:"tools,omitempty"`
	StopReason StopReason   `json:"stop_reason,omitempty"`
	Usage      *Usage       `json:"usage,omitempty"` // of all attempts, as far as it is known
	Failure    *Failure     `json:"failure,omitempty"`
	// Attempts are all of them, if there was more than one.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Data is what the publisher of the answer said with its end.
	Data       json.RawMessage `json:"data,omitempty"`
	AcceptedAt time.Time       `json:"accepted_at"`
	StartedAt  time.Time       `json:"started_at,omitzero"`
	FirstAt    time.Time       `json:"first_token_at,omitzero"`
	EndedAt    time.Time       `json:"ended_at"`
}

// An Attempt is what is known of one attempt to run a generation.
type Attempt struct {
	Attempt   int       `json:"attempt"`
	Model     string    `json:"model,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// Continued is true if it went on with what the attempts before it had said.
	Continued bool `json:"continued,omitempty"`
	// Usage is what the vendor has reported of it; nil if it came to nothing of the kind.
	Usage *Usage `json:"usage,omitempty"`
}

// Plus returns what both cost together; nil if neither is known.
func (u *Usage) Plus(other *Usage) *Usage {
	if u == nil {
		return other
	}
	if other == nil {
		return u
	}
	return &Usage{
		InputTokens:      u.InputTokens + other.InputTokens,
		OutputTokens:     u.OutputTokens + other.OutputTokens,
		CacheReadTokens:  u.CacheReadTokens + other.CacheReadTokens,
		CacheWriteTokens: u.CacheWriteTokens + other.CacheWriteTokens,
		ReasoningTokens:  u.ReasoningTokens + other.ReasoningTokens,
	}
}
