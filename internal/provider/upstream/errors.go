package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
)

// A Failure is what a model server itself says went wrong, as a status or in
// the middle of its answer. Vendors have many words for it; an HTTP status is
// what all of them can be put in.
type Failure struct {
	Status     int
	Detail     string        // the server's own text, which may quote the prompt
	RetryAfter time.Duration // zero if the server did not say
}

// Error returns the failure for the log, without the server's own text.
func (f *Failure) Error() string { return fmt.Sprintf("status %d", f.Status) }

// Told returns the server's own text, for whoever looks for a fault.
func (f *Failure) Told() string { return f.Detail }

// ContextError returns nil while ctx is alive, and after that the error with
// which a generation ends: a deadline may be kept by another attempt, a
// cancellation is final.
func ContextError(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return runnel.Errorf(runnel.Unavailable, "the model took too long").Because(err)
	default:
		return runnel.Errorf(runnel.Cancelled, "the generation was stopped").Because(err)
	}
}

// brokenOff marks an error that ended the reading of an answer.
func brokenOff(err error) error {
	if errors.Is(err, sse.ErrTooLong) || errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return runnel.Errorf(runnel.Unavailable, "the model server broke off its answer").Because(err)
}

// unreachable marks an error from before the answer.
func unreachable(err error) error {
	return runnel.Errorf(runnel.Unavailable, "the model server cannot be reached").Because(err)
}

// classify returns err as a [*runnel.Error]. When ctx is done it is the reason
// for everything else.
func (c *Client) classify(ctx context.Context, err error) error {
	if ended := ContextError(ctx); ended != nil {
		err = ended
	}
	e, ok := errors.AsType[*runnel.Error](err)
	if !ok {
		if failure, isFailure := errors.AsType[*Failure](err); isFailure {
			failure.Detail = c.redact(failure.Detail)
			e = c.translate(failure)
		} else {
			e = runnel.Errorf(runnel.Unavailable, "the model server sent something unreadable")
		}
		e.Err = err
	}
	e.Err = fmt.Errorf("%s: %w", c.cfg.Provider, e.Err)
	return e
}

// translate says in our words what a failure means.
func (c *Client) translate(f *Failure) *runnel.Error {
	e := &runnel.Error{RetryAfter: f.RetryAfter}
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Kind, e.Msg = runnel.Denied, "the model server refused our credentials"
	case http.StatusPaymentRequired:
		e.Kind, e.Msg = runnel.Denied, "the account at the model server has no credit"
	case http.StatusNotFound:
		e.Kind, e.Msg = runnel.Invalid, fmt.Sprintf("the model server does not know the model %.80q, or its address is wrong", c.cfg.Model)
	case http.StatusRequestEntityTooLarge:
		e.Kind, e.Msg = runnel.Invalid, "the prompt is too large for the model server"
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		e.Kind, e.Msg = runnel.Unavailable, "the model server cannot take the prompt now"
	case http.StatusTooManyRequests:
		e.Kind, e.Msg = runnel.Limited, "the model server takes no more prompts for now"
	default:
		if f.Status >= 400 && f.Status < 500 {
			e.Kind, e.Msg = runnel.Invalid, "the model server refused the prompt"
		} else {
			e.Kind, e.Msg = runnel.Unavailable, "the model server has failed"
		}
	}
	return e
}

// retryAfter reads how long a server asks us to wait: in milliseconds, as some
// vendors have it, in seconds, or until a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour
	var wait time.Duration
	value := h.Get("Retry-After")
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		wait = scale(ms, time.Millisecond, most)
	} else if s, err := strconv.ParseFloat(value, 64); err == nil {
		wait = scale(s, time.Second, most)
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, most))
}

// scale multiplies without running over; what is not a number is 0.
func scale(n float64, unit, most time.Duration) time.Duration {
	if n >= float64(most/unit) {
		return most
	}
	if n > 0 {
		return time.Duration(n * float64(unit))
	}
	return 0
}
