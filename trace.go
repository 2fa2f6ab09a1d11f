package runnel

import (
	"context"
	"time"
)

// A Trace says of which distributed trace a piece of work is a part, in the
// words of the headers of W3C Trace Context. The zero value is none.
type Trace struct {
	Parent string `json:"parent,omitempty"` // traceparent
	State  string `json:"state,omitempty"`  // tracestate
}

// SetHeaders calls set for the headers that hand the trace on to a server.
func (t Trace) SetHeaders(set func(name, value string)) {
	if t.Parent == "" {
		return
	}
	set("Traceparent", t.Parent)
	if t.State != "" {
		set("Tracestate", t.State)
	}
}

type traceKey struct{}

// WithTrace returns a context whose work is a part of t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t == (Trace{}) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceFrom returns the trace that the work of ctx is a part of.
func TraceFrom(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// A StepName says what is done in a step of a generation's life.
type StepName string

// The steps, in their order. A call, of which there may be several, is a part
// of its attempt, as are the stream and the commit.
const (
	StepAccept  StepName = "accept"  // make the prompt durable
	StepQueue   StepName = "queue"   // wait for a worker, a turn and a free slot
	StepAttempt StepName = "attempt" // run it once
	StepCall    StepName = "call"    // ask one model once
	StepStream  StepName = "stream"  // store what is said, from the first event on
	StepCommit  StepName = "commit"  // make the end durable
)

// A Step is a part of a generation's life that takes time. It knows nothing of
// what is said.
type Step struct {
	Name       StepName
	Begin      time.Time // zero: now
	Session    SessionID
	Generation GenerationID
	Node       string
	Attempt    int    // 0 before the first
	Try        int    // of a call: 1 at first, counted anew for each model
	Model      string // of a call, an attempt
}

// An Outcome is how a step ended.
type Outcome struct {
	// Problem is empty if all went well, else the name of a [Kind] or another
	// fixed word.
	Problem    string
	End        *End          // of a call that was answered to its end
	FirstToken time.Duration // of a call: until its first fragment; 0 if there was none
}
