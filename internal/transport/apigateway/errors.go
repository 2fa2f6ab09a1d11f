package apigateway

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
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// The types of errors, by which SDKs know them.
const (
	typeBadRequest   = "BadRequestException"
	typeForbidden    = "ForbiddenException"
	typeGone         = "GoneException"
	typeLimit        = "LimitExceededException"
	typeTooLarge     = "PayloadTooLargeException"
	typeInternal     = "InternalServerErrorException"
	typeMissingToken = "MissingAuthenticationTokenException"
	headerErrorType  = "X-Amzn-Errortype"
)

// writeFailure answers with an error of API Gateway's.
func writeFailure(w http.ResponseWriter, status int, errorType, message string) {
	body, _ := json.Marshal(map[string]string{"message": message}) // a string always encodes
	writeJSON(w, status, errorType, body)
}

func writeJSON(w http.ResponseWriter, status int, errorType string, body []byte) {
	h := w.Header()
	if errorType != "" {
		h.Set(headerErrorType, errorType)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is not a failure
}

// writeStatus answers a handshake with what the handler of $connect decided.
func writeStatus(w http.ResponseWriter, status int) {
	if status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		status = http.StatusInternalServerError // those have no body, or are no answer
	}
	writeFailure(w, status, "", http.StatusText(status))
}

// refuseRequest answers a request that asks for no WebSocket, or not rightly.
func (h *Handler) refuseRequest(w http.ResponseWriter, r *http.Request, known bool, err error) {
	bad, _ := errors.AsType[*wsconn.HandshakeError](err)
	if !known && bad.Status == http.StatusUpgradeRequired {
		// It is just a path that nobody serves, as on every other door.
		body := encode(map[string]any{"error": map[string]string{
			"kind": runnel.NotFound.String(), "message": fmt.Sprintf("nothing is served at %.200q", r.URL.Path),
		}})
		writeJSON(w, http.StatusNotFound, "", body)
		return
	}
	for name, values := range bad.Header {
		w.Header()[name] = values
	}
	writeFailure(w, bad.Status, "", bad.Msg)
}

// refuseCaller answers somebody whose credentials are missing or do not hold.
func (h *Handler) refuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	signature, signed := errors.AsType[*sigv4.Error](err)
	switch kind := runnel.KindOf(err); {
	case signed:
		writeFailure(w, http.StatusForbidden, string(signature.Code), runnel.PublicMessage(err))
	case auth.Unsigned(err):
		writeFailure(w, http.StatusForbidden, typeMissingToken, saysMissingToken)
	case kind == runnel.Unauthenticated && auth.Unknown(err):
		writeFailure(w, http.StatusUnauthorized, "UnauthorizedException", "Unauthorized")
	case kind == runnel.Unauthenticated, kind == runnel.Denied:
		writeFailure(w, http.StatusForbidden, typeForbidden, saysForbidden)
	case kind == runnel.Unavailable: // an authorizer that does not answer as it should
		writeFailure(w, http.StatusInternalServerError, typeInternal, saysInternal)
	default:
		h.refuse(w, r, err)
	}
}

// refuse answers a handshake that fails for another reason.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if h.cfg.Failed != nil {
		h.cfg.Failed(runnel.KindOf(err))
	}
	if k := runnel.KindOf(err); k == runnel.Internal || k == runnel.Unavailable {
		h.log.Log(r.Context(), slog.LevelWarn, "a connection is refused", "err", err)
	}
	WriteError(w, err)
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	status, errorType, message := http.StatusInternalServerError, typeInternal, saysInternal
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		status, errorType, message = http.StatusBadRequest, typeBadRequest, runnel.PublicMessage(err)
	case runnel.Unauthenticated, runnel.Denied:
		status, errorType, message = http.StatusForbidden, typeForbidden, saysForbidden
	case runnel.NotFound:
		status, errorType, message = http.StatusNotFound, "NotFoundException", runnel.PublicMessage(err)
	case runnel.Limited:
		status, errorType, message = http.StatusTooManyRequests, typeLimit, saysTooMany
		w.Header().Set("Retry-After", retryAfter(err))
	case runnel.Gone:
		status, errorType, message = http.StatusGone, typeGone, ""
	case runnel.Unavailable:
		status, errorType, message = http.StatusServiceUnavailable, "ServiceUnavailableException", "Service Unavailable"
		w.Header().Set("Retry-After", retryAfter(err))
	case runnel.Conflict, runnel.Cancelled, runnel.Internal:
	}
	writeFailure(w, status, errorType, message)
}

func retryAfter(err error) string {
	wait := time.Second
	if e, ok := errors.AsType[*runnel.Error](err); ok && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
