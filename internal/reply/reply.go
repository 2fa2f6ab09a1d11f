package reply

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

// defaultRetry is what a client is told to wait that may repeat its request, if
// nobody knows better.
const defaultRetry = time.Second

// A StatusError is a failure for which HTTP has a better status than that of its
// kind.
type StatusError struct {
	Status int
	Err    error
}

// Error implements error.
func (e StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the failure itself.
func (e StatusError) Unwrap() error { return e.Err }

// Status returns the status of a failure.
func Status(err error) int {
	if e, ok := errors.AsType[StatusError](err); ok {
		return e.Status
	}
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		return http.StatusBadRequest
	case runnel.Unauthenticated:
		return http.StatusUnauthorized
	case runnel.Denied:
		return http.StatusForbidden
	case runnel.NotFound:
		return http.StatusNotFound
	case runnel.Conflict:
		return http.StatusConflict
	case runnel.Gone:
		return http.StatusGone
	case runnel.Limited:
		return http.StatusTooManyRequests
	case runnel.Unavailable:
		return http.StatusServiceUnavailable
	case runnel.Cancelled:
		return 499 // nginx's "client closed request"; nobody is left to read it
	case runnel.Internal:
	}
	return http.StatusInternalServerError
}

// ModelError returns the failure of a generation for a request that can still be
// answered with a status. A vendor's refusal of our own credentials, or of what we
// sent, is no fault of the client's: 502.
func ModelError(f *runnel.Failure) error {
	if f == nil {
		f = &runnel.Failure{Message: "the generation failed"}
	}
	err := &runnel.Error{Kind: runnel.ParseKind(f.Kind), Msg: f.Message}
	switch err.Kind {
	case runnel.Invalid, runnel.Limited, runnel.Unavailable:
		return err
	default:
		return StatusError{http.StatusBadGateway, err}
	}
}

// RetryAfter tells the client when it may come back, if the status is one after
// which it may, and how it stands if it is over a limit.
func RetryAfter(h http.Header, err error) {
	if code := Status(err); code != http.StatusTooManyRequests && code != http.StatusServiceUnavailable {
		return
	}
	wait := defaultRetry
	if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	limit.SetErrorHeaders(h, err)
}

// JSON answers with a body that is not to be cached.
func JSON(w http.ResponseWriter, code int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // a client that has left is not a failure
}

// ReadBody reads a request's body of at most maxBody bytes, which has to be there
// within timeout: a client could hold a connection for ever by sending a byte now
// and then. A failure is of kind Invalid; one that is too large has the status 413.
func ReadBody(w http.ResponseWriter, r *http.Request, maxBody int64, timeout time.Duration) ([]byte, error) {
	// The deadline stays when the body did not come, for net/http looks for the
	// rest, but not for the stream that follows.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(timeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, StatusError{http.StatusRequestEntityTooLarge, runnel.Errorf(runnel.Invalid, "the body has more than %d bytes", e.Limit)}
	}
	if err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "the body could not be read").Because(err)
	}
	_ = rc.SetReadDeadline(time.Time{})
	return data, nil
}

// MaxBody returns the limit of a body whose texts have at most maxPrompt bytes.
// JSON that escapes all but ASCII, as Python writes it, triples most texts.
func MaxBody(maxPrompt int) int64 { return 3*int64(maxPrompt) + 64<<10 }
