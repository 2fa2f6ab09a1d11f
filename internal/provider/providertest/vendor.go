package providertest

import (
	"net/http"
	"testing"

	"github.com/runnelhq/runnel"
)

// The words that a provider has to keep to itself.
const (
	// Secret is the key that the provider is to use.
	Secret = "sk-runnel-test-0123456789"
	// detail stands for what a model server says about a failure.
	detail = "upstream-detail-7f3a"
)

// Model is the name of the model that the provider is to ask for.
const Model = "test-model"

// A Vendor is how the model servers of one vendor behave.
type Vendor struct {
	// Open returns a provider for the server at url, with [Model] and [Secret].
	Open func(t testing.TB, url string) runnel.Provider

	// ContentType is that of an answer.
	ContentType string

	// Frames returns an answer as the vendor sends it: its content, one element
	// for each fragment together with the frames around it, and the frames that
	// end it. Content without end is an answer that was cut off.
	Frames func(a Answer) (content, end [][]byte)

	// Failure returns the frame that says, in the middle of an answer, that the
	// server is overloaded, in the vendor's words and in those of detail.
	Failure func(detail string) []byte

	// Refuse answers with a status and detail instead of a stream. The statuses
	// are 400, 401, 404, 429, 500 and 503. If nil, the body is plain text.
	Refuse func(w http.ResponseWriter, status int, detail string)

	// Garbage is a frame that is not in the vendor's format. If nil, it is a
	// line of text followed by an empty one.
	Garbage []byte

	// Huge returns a frame larger than the provider is willing to hold.
	Huge func() []byte

	// Request is the golden file of the request for a prompt that uses
	// everything; it is written by go test -update.
	Request string

	// Continue is the same for a prompt that is to go on with an answer, by a
	// model that can; empty if there are several ways to ask it.
	Continue string
}

// An Answer is what the server says. Each string is a fragment.
type Answer struct {
	Reasoning []string
	Seals     []runnel.Seal
	Text      []string
	Tools     []ToolCall
	Stop      runnel.StopReason // EndTurn, MaxTokens, ToolUse or Filtered
	Usage     runnel.Usage      // input and output tokens
}

// A ToolCall is a call in an answer, its input in fragments. A vendor that sends
// calls whole joins them.
type ToolCall struct {
	ID, Name string
	Input    []string
}
