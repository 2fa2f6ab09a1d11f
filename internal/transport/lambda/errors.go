package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/function"
)

// A refusal is an answer that AWS's clients know as an exception.
type refusal struct {
	status  int
	code    string
	message string
	reason  string // of too many requests
}

// refusalOf returns what the Invoke API says about an error.
func refusalOf(err error) refusal {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		message := fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", e.Limit)
		return refusal{http.StatusRequestEntityTooLarge, "RequestTooLargeException", message, ""}
	}
	message := runnel.PublicMessage(err)
	switch runnel.KindOf(err) {
	case runnel.Unauthenticated:
		if e, ok := errors.AsType[*sigv4.Error](err); ok {
			return refusal{http.StatusForbidden, string(e.Code), message, ""}
		}
		return refusal{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token", ""}
	case runnel.Denied:
		return refusal{http.StatusForbidden, "AccessDeniedException", message, ""}
	case runnel.Invalid:
		return refusal{http.StatusBadRequest, "InvalidRequestContentException", message, ""}
	case runnel.NotFound:
		return refusal{http.StatusNotFound, "ResourceNotFoundException", message, ""}
	case runnel.Limited:
		return refusal{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.", "ConcurrentInvocationLimitExceeded"}
	case runnel.Unavailable:
		return refusal{http.StatusServiceUnavailable, "ServiceException", message, ""}
	case runnel.Internal, runnel.Conflict, runnel.Gone, runnel.Cancelled:
	}
	return refusal{http.StatusInternalServerError, "ServiceException", message, ""}
}

func (f refusal) write(w http.ResponseWriter, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amzn-Errortype", f.code)
	if f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter(err))
	}
	w.WriteHeader(f.status)
	said := map[string]string{"Type": "User", "Message": f.message, "message": f.message}
	if f.status >= 500 {
		said["Type"] = "Service"
	}
	if f.reason != "" {
		said["Reason"] = f.reason
	}
	body, _ := json.Marshal(said) // strings always encode
	_, _ = w.Write(body)
}

func retryAfter(err error) string {
	wait := time.Second
	if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// record counts and logs a failure.
func (c *Config) record(r *http.Request, name, request string, err error) {
	kind := runnel.KindOf(err)
	level := slog.LevelDebug
	switch failure, own := errors.AsType[*function.Failure](err); {
	case own:
		c.Logger.DebugContext(r.Context(), "a function failed", "function", name, "request_id", request, "message", failure.Message)
		level, kind = slog.LevelInfo, runnel.Unavailable
	case kind == runnel.Internal:
		level = slog.LevelError
	case kind == runnel.Unavailable:
		level = slog.LevelWarn
	}
	c.Failed(kind)
	c.Logger.Log(r.Context(), level, "request failed", "function", name, "request_id", request, "err", err)
}
