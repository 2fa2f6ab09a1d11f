package runnel

import (
	"errors"
	"fmt"
	"time"
)

// A Kind says what sort of failure an [Error] is. Each transport maps kinds to
// the codes of its protocol in one place.
type Kind uint8

// The kinds of failure. Internal is the zero value, so an error that nobody
// classified is never shown to a client as something more harmless.
const (
	Internal        Kind = iota // a fault of ours
	Invalid                     // the request can never succeed as it is
	Unauthenticated             // no credentials, or bad ones
	Denied                      // good credentials, but not for this
	NotFound                    // no such thing, or none that the caller may know of
	Conflict                    // contradicts what is already stored
	Gone                        // was there, and is past its retention
	Limited                     // over a limit; may be repeated after a while
	Unavailable                 // a part we depend on does not answer; may be repeated
	Cancelled                   // somebody stopped it
)

var kindNames = [...]string{
	Internal: "internal", Invalid: "invalid", Unauthenticated: "unauthenticated", Denied: "denied",
	NotFound: "not_found", Conflict: "conflict", Gone: "gone", Limited: "limited",
	Unavailable: "unavailable", Cancelled: "cancelled",
}

// String returns the kind's name on the wire, in snake case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Internal]
}

// ParseKind is the inverse of [Kind.String]. An unknown name is Internal.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Internal
}

// An Error is a failure with a kind and a text that may be shown to a client.
type Error struct {
	Kind Kind
	Msg  string // for the client: no secrets, no upstream bodies
	Err  error  // for the log; may be nil

	// RetryAfter is how long the other side asked us to wait; zero if it did not say.
	RetryAfter time.Duration
}

// Error returns the message and the cause, for the log.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Msg
	case e.Msg == "":
		return e.Err.Error()
	}
	return e.Msg + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an [Error] of the given kind whose text is shown to clients.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Because returns e with the cause err, which only the log will see.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// KindOf returns the kind of the outermost [Error] that err wraps, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// PublicMessage returns the text of err that may be shown to a client. An error that
// carries none, or is Internal, is described without its details.
func PublicMessage(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal && e.Msg != "" {
		return e.Msg
	}
	return "internal error"
}

// ErrFenced is returned by a [Writer] whose attempt is over: a newer attempt of
// its generation has written, or the generation has ended. It is not a fault;
// the caller stops, and leaves the generation to whoever holds it now.
var ErrFenced = errors.New("a newer attempt holds this generation, or it has ended")

// A ResetError is returned by [Log.Read] for a cursor that this log did not
// give out, or gave out for events that a crash has taken back.
type ResetError struct {
	// Intact is the last position that the reader and the log still agree on;
	// zero if they agree on nothing. What the reader saw after it is void.
	Intact Cursor
}

// Error says that the cursor is void.
func (e *ResetError) Error() string {
	return "the cursor points past what the log holds; everything after " + e.Intact.String() + " is void"
}
