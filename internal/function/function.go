package function

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/runnelhq/runnel"
)

// What Lambda allows.
const (
	MaxPayload  = 6 << 20   // bytes of an event, and of an answer in one piece
	maxStreamed = 200 << 20 // bytes of an answer that is streamed
	maxFailure  = 256 << 10 // bytes of a failure's description
	maxTail     = 4 << 10   // bytes of a log's end
)

// A Request is one event for a function.
type Request struct {
	Payload       []byte // JSON; not changed, and not kept after the answer
	ClientContext string // base64 of JSON; may be empty
	Trace         string // X-Ray's; may be empty
	ID            string // as [NewRequestID] returns it; empty: a new one
}

// A Response is an answer as it comes.
type Response struct {
	// ContentType is what the runtime declared of the answer.
	ContentType string
	// Streamed is true if the runtime said that the answer comes in pieces.
	Streamed bool
	// Body is read by one goroutine. Its error is a [*Failure] if the function
	// failed in the middle. To close it before its end abandons the invocation,
	// which ends a function's process.
	Body io.ReadCloser

	tail func(context.Context) []byte // nil: there is none
}

// Tail returns the end of what the invocation logged. It is called once, when
// the body has been read to its end.
func (r *Response) Tail(ctx context.Context) []byte {
	if r.tail == nil {
		return nil
	}
	return r.tail(ctx)
}

// A backend is where a function runs.
type backend interface {
	// call hands over an event and returns when the answer begins. The end of
	// ctx abandons the invocation.
	call(ctx context.Context, r Request) (*Response, error)
}

// A Function answers events. Its methods may be called concurrently.
type Function struct {
	Config

	backend backend
}

// Stream has the function answer an event and returns when the answer begins.
// The error is a [*Failure] of the function, or a [*runnel.Error]: Limited if too
// many invocations run already, Unavailable if nobody answers. The end of ctx
// abandons the invocation. The caller closes the body.
func (f *Function) Stream(ctx context.Context, r Request) (*Response, error) {
	if len(r.Payload) > MaxPayload {
		return nil, runnel.Errorf(runnel.Invalid, "the event has %d bytes; the limit is %d", len(r.Payload), MaxPayload)
	}
	if r.ID == "" {
		r.ID = NewRequestID()
	}
	resp, err := f.backend.call(ctx, r)
	if err != nil {
		return nil, f.wrap(err)
	}
	return resp, nil
}

// A Result is a whole answer.
type Result struct {
	Payload []byte   // JSON, unless the function had it otherwise
	Failure *Failure // the function failed, and Payload says how
	Tail    []byte   // the end of the log
}

// Invoke has the function answer an event and returns the whole answer, also
// that it failed. The error is as with Stream, but never a [*Failure].
func (f *Function) Invoke(ctx context.Context, r Request) (Result, error) {
	resp, err := f.Stream(ctx, r)
	if failure, ok := errors.AsType[*Failure](err); ok {
		return Result{Payload: failure.Payload, Failure: failure, Tail: failure.Tail(ctx)}, nil
	}
	if err != nil {
		return Result{}, err
	}
	defer resp.Body.Close()
	var res Result
	res.Payload, err = io.ReadAll(io.LimitReader(resp.Body, MaxPayload+1))
	switch failure, ok := errors.AsType[*Failure](err); {
	case ok:
		res.Failure, res.Payload = failure, failure.Payload
	case err != nil:
		return Result{}, f.wrap(err)
	case len(res.Payload) > MaxPayload:
		res.Failure = newFailure(typeTooLarge, "Response payload size exceeded maximum allowed payload size (%d bytes).", MaxPayload)
		res.Payload = res.Failure.Payload
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // or the process would be killed
			return res, nil
		}
	case len(bytes.TrimSpace(res.Payload)) == 0:
		res.Payload = []byte("null")
	}
	res.Tail = resp.Tail(ctx)
	return res, nil
}

func (f *Function) wrap(err error) error {
	return fmt.Errorf("function: %s: %w", f.Name, err)
}

// NewRequestID returns the id of an invocation: a UUID.
func NewRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
