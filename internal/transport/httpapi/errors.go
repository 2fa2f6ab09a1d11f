package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/limit"
)

// retryAfter is what a client is told to wait that may repeat its request, if
// nobody knows better.
const retryAfter = time.Second

// A statusError is a failure for which HTTP has a better status than that of
// its kind.
type statusError struct {
	status int
	error
}

func (e statusError) Unwrap() error { return e.error }

// status returns the status of a failure.
func status(err error) int {
	if e, ok := errors.AsType[statusError](err); ok {
		return e.status
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

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	h := w.Header()
	code := status(err)
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		wait := retryAfter
		if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		limit.SetErrorHeaders(h, err)
	}
	type failure struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	writeJSON(w, code, map[string]failure{
		"error": {Kind: runnel.KindOf(err).String(), Message: runnel.PublicMessage(err)},
	})
}

// fail answers a request with a failure and records it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // the client has left
	}
	if h.cfg.Stream.Failed != nil {
		h.cfg.Stream.Failed(runnel.KindOf(err))
	}
	level := slog.LevelDebug
	switch runnel.KindOf(err) {
	case runnel.Internal:
		level = slog.LevelError
	case runnel.Unavailable:
		level = slog.LevelWarn
	default:
	}
	h.log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path,
		"request_id", w.Header().Get("X-Request-Id"), "err", err)
	WriteError(w, err)
}

// writeJSON answers with a JSON body that is not to be cached.
func writeJSON(w http.ResponseWriter, code int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // a client that has left is not a failure
}
