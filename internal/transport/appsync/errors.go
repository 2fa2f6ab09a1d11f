package appsync

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
)

// A failure is one of AppSync's errors. A client that reads Unauthorized or
// UnauthorizedException closes its socket and asks its user to sign in again, so
// those words mean credentials and nothing else.
type failure struct {
	Type    string `json:"errorType,omitempty"`
	Message string `json:"message"`
	Code    int    `json:"errorCode,omitempty"` // of a connection_error
}

// messages that clients know.
const (
	messageUnauthorized = "You are not authorized to make this call."
	messageThrottled    = "Rate limit exceeded"
)

// newFailure returns AppSync's form of an error.
func newFailure(err error) failure {
	if f, ok := errors.AsType[failureError](err); ok {
		return f.failure
	}
	if e, ok := errors.AsType[*graphql.Error](err); ok {
		return failure{Type: e.Type, Message: e.Message}
	}
	message := runnel.PublicMessage(err)
	switch runnel.KindOf(err) {
	case runnel.Unauthenticated:
		return failure{Type: "UnauthorizedException", Message: messageUnauthorized}
	case runnel.Denied:
		return failure{Type: "Unauthorized", Message: message}
	case runnel.Invalid, runnel.NotFound, runnel.Conflict, runnel.Gone:
		return failure{Type: "BadRequestException", Message: message}
	case runnel.Limited:
		return failure{Type: "LimitExceededError", Message: messageThrottled + ": " + message}
	case runnel.Unavailable:
		return failure{Type: "ServiceUnavailableException", Message: message}
	case runnel.Cancelled, runnel.Internal:
	}
	return failure{Type: "InternalFailure", Message: message}
}

// connectionFailure is a failure as a connection_error has it: with a code, by
// which clients know whether to come back.
func connectionFailure(err error) failure {
	f := newFailure(err)
	if f.Code != 0 {
		return f
	}
	switch runnel.KindOf(err) {
	case runnel.Unauthenticated:
		f.Code = 401
	case runnel.Denied:
		f.Type, f.Code = "UnauthorizedException", 403
	case runnel.Invalid:
		f.Code = 400
	default: // it may pass: they retry what has none
	}
	return f
}

// A failureError is an error whose form is already known.
type failureError struct{ failure }

func (f failureError) Error() string { return f.Type + ": " + f.Message }

var errTooMany = failureError{failure{
	Type: "MaxSubscriptionsReachedError", Message: fmt.Sprintf("Max number of %d subscriptions reached", maxSubscriptions),
}}

// encode returns v as JSON in one line, with nothing escaped that need not be.
func encode(v any) []byte {
	var b jsonBuffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("appsync: " + err.Error()) // our own types always encode
	}
	return b[:len(b)-1]
}

type jsonBuffer []byte

func (b *jsonBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
