package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
)

// A statusError is a reply that is not a success.
type statusError struct {
	status int
	err    *runnel.Error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// replyError reads the error out of a response. A reply that is not one of the
// gateway's, perhaps a proxy's, is told by its status.
func replyError(resp *http.Response) error {
	var body struct {
		Error runnel.Failure `json:"error"`
	}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // the status is enough
	e := &runnel.Error{Kind: kindOf(resp.StatusCode), Msg: "the gateway answered " + resp.Status}
	if json.Unmarshal(data, &body) == nil && body.Error.Message != "" {
		e.Kind, e.Msg = runnel.ParseKind(body.Error.Kind), body.Error.Message
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	return &statusError{status: resp.StatusCode, err: e}
}

func kindOf(status int) runnel.Kind {
	switch status {
	case http.StatusUnauthorized:
		return runnel.Unauthenticated
	case http.StatusForbidden:
		return runnel.Denied
	case http.StatusNotFound:
		return runnel.NotFound
	case http.StatusConflict:
		return runnel.Conflict
	case http.StatusGone:
		return runnel.Gone
	case http.StatusTooManyRequests:
		return runnel.Limited
	}
	if status >= 500 {
		return runnel.Unavailable
	}
	return runnel.Invalid
}

// retryAfter reads the header field of that name: seconds, or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// temporary reports whether the same request may succeed later.
func temporary(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status >= 500 || e.status == http.StatusRequestTimeout || e.status == http.StatusTooManyRequests
	}
	kind := runnel.KindOf(err)
	return kind == runnel.Unavailable || kind == runnel.Limited
}
