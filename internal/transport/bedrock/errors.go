package bedrock

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/reply"
)

// An exception is what Bedrock calls a failure.
type exception struct {
	status int
	name   string
}

func exceptionOf(err error) exception {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return exception{http.StatusForbidden, string(e.Code)}
	}
	if reply.Status(err) == http.StatusBadGateway { // the model's failure, and not one of the request
		return exception{http.StatusFailedDependency, "ModelErrorException"}
	}
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		return exception{http.StatusBadRequest, "ValidationException"}
	case runnel.Unauthenticated:
		if auth.Missing(err) {
			return exception{http.StatusForbidden, "MissingAuthenticationTokenException"}
		}
		return exception{http.StatusForbidden, "AccessDeniedException"}
	case runnel.Denied:
		return exception{http.StatusForbidden, "AccessDeniedException"}
	case runnel.NotFound, runnel.Gone:
		return exception{http.StatusNotFound, "ResourceNotFoundException"}
	case runnel.Conflict:
		return exception{http.StatusConflict, "ConflictException"}
	case runnel.Limited:
		return exception{http.StatusTooManyRequests, "ThrottlingException"}
	case runnel.Unavailable:
		return exception{http.StatusServiceUnavailable, "ServiceUnavailableException"}
	case runnel.Cancelled:
		return exception{http.StatusFailedDependency, "ModelErrorException"}
	case runnel.Internal:
	}
	return exception{http.StatusInternalServerError, "InternalServerException"}
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	e := exceptionOf(err)
	w.Header().Set("X-Amzn-Errortype", e.name)
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, e.status, map[string]string{"message": message(err)})
}

// fail answers a request with a failure and records it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) {
		WriteError(w, err)
	}
}

func message(err error) string {
	if errors.Is(err, answer.ErrDiverged) {
		return "the model began again and says something else; ask again"
	}
	if errors.Is(err, errMixed) {
		return errMixed.Error()
	}
	return runnel.PublicMessage(err)
}

// appendFailure appends the frame of a failure that ends a stream.
func appendFailure(dst []byte, err error) []byte {
	body := map[string]any{"message": message(err)}
	name := "internalServerException"
	switch kind := runnel.KindOf(err); {
	case reply.Status(err) == http.StatusBadGateway, errors.Is(err, answer.ErrDiverged), errors.Is(err, errMixed):
		name = "modelStreamErrorException"
		body["originalStatusCode"], body["originalMessage"] = http.StatusInternalServerError, body["message"]
	case kind == runnel.Invalid:
		name = "validationException"
	case kind == runnel.Limited:
		name = "throttlingException"
	case kind == runnel.Unavailable:
		name = "serviceUnavailableException"
	case kind == runnel.Unauthenticated, kind == runnel.Denied: // which the service's model does not have here
		return eventstream.AppendError(dst, exceptionOf(err).name, message(err))
	}
	payload, _ := json.Marshal(body) // strings and a number always encode
	return eventstream.AppendException(dst, name, payload)
}
