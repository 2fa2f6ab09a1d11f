package function

import (
	"context"
	"encoding/json"
	"fmt"
)

// A Failure is the function's own: it raised, crashed, or ran out of time or
// memory. Whoever asked is told as Lambda tells it, with the runtime's words.
type Failure struct {
	Type    string // such as Runtime.ExitError
	Message string
	Payload []byte // all that the runtime said: a JSON object

	ours bool          // the words are ours, not a runtime's
	tail <-chan []byte // the end of the invocation's log; nil: there is none
}

// Error returns what is for the log: not the function's own words, which may have
// a prompt in them.
func (f *Failure) Error() string {
	if f.ours {
		return "the function failed: " + f.Type + ": " + f.Message
	}
	return "the function failed: " + f.Type
}

// Told returns the function's own words, for whoever looks for a fault.
func (f *Failure) Told() string { return f.Message }

// The types of failures that no runtime reports by itself, in Lambda's words.
const (
	typeExit      = "Runtime.ExitError"
	typeMemory    = "Runtime.OutOfMemory"
	typeTimeout   = "Sandbox.Timedout"
	typeInit      = "Init.Timedout"
	typeTooLarge  = "Function.ResponseSizeTooLarge"
	typeBroken    = "Runtime.TruncatedResponse"
	typeUnhandled = "Unhandled"
)

func newFailure(kind, format string, args ...any) *Failure {
	f := &Failure{Type: kind, Message: fmt.Sprintf(format, args...), ours: true}
	f.Payload, _ = json.Marshal(map[string]string{"errorType": f.Type, "errorMessage": f.Message}) // strings always encode
	return f
}

// readFailure returns what a runtime, or an Invoke API, says about a failure.
// The type may come beside the document.
func readFailure(payload []byte, kind string) *Failure {
	var said struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(payload, &said) != nil {
		if kind == "" {
			kind = typeUnhandled
		}
		return newFailure(kind, "%.1000s", payload)
	}
	if said.Type == "" {
		said.Type = kind
	}
	if said.Type == "" {
		said.Type = typeUnhandled
	}
	return &Failure{Type: said.Type, Message: said.Message, Payload: payload}
}

// of returns the failure as that of one invocation.
func (f *Failure) of(request string, tail <-chan []byte) *Failure {
	own := *f
	if f.ours {
		own = *newFailure(f.Type, "RequestId: %s %s", request, f.Message)
	}
	own.tail = tail
	return &own
}

// Tail returns the end of what the invocation logged.
func (f *Failure) Tail(ctx context.Context) []byte { return await(ctx, f.tail) }

func await(ctx context.Context, tail <-chan []byte) []byte {
	if tail == nil {
		return nil
	}
	select {
	case end := <-tail:
		return end
	case <-ctx.Done():
		return nil
	}
}
