package functionurl

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

// A statusError is a failure whose status is not that of its kind.
type statusError struct {
	status int
	error
}

func (e statusError) Unwrap() error { return e.error }

// modelError returns the failure of a generation, before its first text.
func modelError(f *runnel.Failure) error {
	if f == nil {
		f = &runnel.Failure{Message: "the generation failed"}
	}
	kind := runnel.ParseKind(f.Kind)
	code := http.StatusBadGateway
	if kind == runnel.Limited || kind == runnel.Unavailable {
		code = http.StatusServiceUnavailable
	}
	return statusError{code, &runnel.Error{Kind: kind, Msg: f.Message}}
}

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
		return 499 // nobody is left to read it
	case runnel.Internal:
	}
	return http.StatusInternalServerError
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	h := w.Header()
	code := status(err)
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		wait := time.Second
		if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		limit.SetErrorHeaders(h, err)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]string{"error": runnel.PublicMessage(err)}) // a client that has left is not a failure
}

// record logs and counts a failure. It reports false if it is only that the
// client has left.
func (h *Handler) record(w http.ResponseWriter, r *http.Request, err error) bool {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return false
	}
	if h.cfg.Stream.Failed != nil {
		h.cfg.Stream.Failed(runnel.KindOf(err))
	}
	level := slog.LevelDebug
	switch status(err) {
	case http.StatusInternalServerError:
		level = slog.LevelError
	case http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	h.log.Log(r.Context(), level, "request failed", "request_id", w.Header().Get("X-Request-Id"),
		"generation_id", w.Header().Get("Runnel-Generation"), "err", err)
	return true
}
