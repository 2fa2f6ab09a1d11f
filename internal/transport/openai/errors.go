package openai

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
	"github.com/runnelhq/runnel/internal/answer"
)

// A refusal is a failure with what OpenAI's form says beside the message.
type refusal struct {
	status      int // zero: that of the kind
	param, code string
	error
}

func (e refusal) Unwrap() error { return e.error }

func invalid(param, format string, args ...any) error {
	return refusal{param: param, error: runnel.Errorf(runnel.Invalid, format, args...)}
}

// unsupported refuses a parameter that cannot be ignored.
func unsupported(param, format string, args ...any) error {
	return refusal{param: param, code: "unsupported_parameter", error: runnel.Errorf(runnel.Invalid, format, args...)}
}

func noModel(name string) error {
	return refusal{http.StatusNotFound, "model", "model_not_found", runnel.Errorf(runnel.NotFound, "the model %.120q does not exist", name)}
}

// modelError returns the failure of a generation. A vendor's refusal of our own
// credentials is no fault of the client's.
func modelError(f *runnel.Failure) error {
	if f == nil {
		f = &runnel.Failure{Message: "the generation failed"}
	}
	kind, code := runnel.ParseKind(f.Kind), 0
	switch kind {
	case runnel.Invalid, runnel.Limited, runnel.Unavailable:
	default:
		code = http.StatusBadGateway
	}
	return refusal{status: code, error: &runnel.Error{Kind: kind, Msg: f.Message}}
}

// status returns the status of a failure.
func status(err error) int {
	if e, ok := errors.AsType[refusal](err); ok && e.status != 0 {
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

// A failure is the member "error" of OpenAI's bodies.
type failure struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func newFailure(err error) failure {
	f := failure{Message: runnel.PublicMessage(err), Type: "invalid_request_error"}
	code := ""
	switch status := status(err); {
	case status == http.StatusUnauthorized:
		code = "invalid_api_key"
	case status == http.StatusTooManyRequests:
		f.Type, code = "rate_limit_error", "rate_limit_exceeded"
	case status >= http.StatusInternalServerError:
		f.Type, code = "server_error", "server_error"
	}
	if errors.Is(err, answer.ErrDiverged) {
		f.Message = "the model began again and says something else; ask again"
	}
	if e, ok := errors.AsType[refusal](err); ok {
		if e.param != "" {
			f.Param = &e.param
		}
		if e.code != "" {
			code = e.code
		}
	}
	if code != "" {
		f.Code = &code
	}
	return f
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	code := status(err)
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		wait := time.Second
		if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	writeJSON(w, code, map[string]failure{"error": newFailure(err)})
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // a client that has left is not a failure
}

// fail answers a request with a failure and records it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if h.record(w, r, err) {
		WriteError(w, err)
	}
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
	h.log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path,
		"request_id", w.Header().Get("X-Request-Id"), "generation_id", w.Header().Get("Runnel-Generation"), "err", err)
	return true
}
