package openai

import (
	"errors"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
)

// A refusal is a failure with what OpenAI's form says beside the message.
type refusal struct {
	param, code string
	err         error
}

func (e refusal) Error() string { return e.err.Error() }

func (e refusal) Unwrap() error { return e.err }

func invalid(param, format string, args ...any) error {
	return refusal{param: param, err: runnel.Errorf(runnel.Invalid, format, args...)}
}

// unsupported refuses a parameter that cannot be ignored.
func unsupported(param, format string, args ...any) error {
	return refusal{param, "unsupported_parameter", runnel.Errorf(runnel.Invalid, format, args...)}
}

func noModel(name string, known []string) error {
	return refusal{"model", "model_not_found",
		runnel.Errorf(runnel.NotFound, "the model %.120q does not exist; known: %s", name, strings.Join(known, ", "))}
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
	switch status := reply.Status(err); {
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
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, reply.Status(err), map[string]failure{"error": newFailure(err)})
}

// fail answers a request with a failure and records it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) {
		WriteError(w, err)
	}
}
