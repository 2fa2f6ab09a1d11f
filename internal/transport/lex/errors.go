package lex

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/reply"
)

// The media types of the services at the root.
const (
	jsonTable    = "application/x-amz-json-1.0"
	jsonIdentity = "application/x-amz-json-1.1"
)

// errFulfillment is that whoever was to answer did not.
type errFulfillment struct{ error }

func (e errFulfillment) Unwrap() error { return e.error }

// exceptionOf returns what Lex says about an error.
func exceptionOf(err error) (status int, name string) {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return http.StatusForbidden, string(e.Code)
	}
	kind := runnel.KindOf(err)
	if _, ok := errors.AsType[errFulfillment](err); ok && kind != runnel.Limited {
		return http.StatusFailedDependency, "DependencyFailedException"
	}
	switch kind {
	case runnel.Invalid:
		return http.StatusBadRequest, "ValidationException"
	case runnel.Unauthenticated:
		if auth.Missing(err) {
			return http.StatusForbidden, "MissingAuthenticationTokenException"
		}
		return http.StatusForbidden, "AccessDeniedException"
	case runnel.Denied:
		return http.StatusForbidden, "AccessDeniedException"
	case runnel.NotFound, runnel.Gone:
		return http.StatusNotFound, "ResourceNotFoundException"
	case runnel.Conflict:
		return http.StatusConflict, "ConflictException"
	case runnel.Limited:
		return http.StatusTooManyRequests, "ThrottlingException"
	case runnel.Unavailable:
		return http.StatusBadGateway, "BadGatewayException"
	case runnel.Internal, runnel.Cancelled:
	}
	return http.StatusInternalServerError, "InternalServerException"
}

// WriteError answers a request of Lex's with a failure.
func WriteError(w http.ResponseWriter, err error) {
	status, name := exceptionOf(err)
	w.Header().Set("X-Amzn-Errortype", name)
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, status, map[string]string{"message": runnel.PublicMessage(err)})
}

// writeTableError answers a request of DynamoDB's with a failure.
func writeTableError(w http.ResponseWriter, err error) {
	status, name := http.StatusBadRequest, ""
	switch kind := runnel.KindOf(err); kind {
	case runnel.NotFound:
		name = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
	case runnel.Invalid:
		name = "com.amazon.coral.validate#ValidationException"
	case runnel.Limited:
		name = "com.amazonaws.dynamodb.v20120810#ThrottlingException"
	case runnel.Unauthenticated, runnel.Denied: // 400 at DynamoDB
		_, name = exceptionOf(err)
		name = "com.amazon.coral.service#" + name
	default:
		status, name = http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError"
	}
	writeTyped(w, status, name, runnel.PublicMessage(err), jsonTable)
}

// writeIdentityError answers a request of Cognito's with a failure.
func writeIdentityError(w http.ResponseWriter, err error) {
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		writeTyped(w, http.StatusBadRequest, "InvalidParameterException", runnel.PublicMessage(err), jsonIdentity)
	case runnel.Unauthenticated, runnel.Denied:
		writeTyped(w, http.StatusBadRequest, "NotAuthorizedException", runnel.PublicMessage(err), jsonIdentity)
	case runnel.Limited:
		writeTyped(w, http.StatusBadRequest, "TooManyRequestsException", runnel.PublicMessage(err), jsonIdentity)
	default:
		writeTyped(w, http.StatusInternalServerError, "InternalErrorException", runnel.PublicMessage(err), jsonIdentity)
	}
}

func writeTyped(w http.ResponseWriter, status int, name, message, media string) {
	writeBody(w, status, media, map[string]string{"__type": name, "message": message})
}

func writeBody(w http.ResponseWriter, status int, media string, v any) {
	body, _ := json.Marshal(v) // strings, and what they are made of
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is not a failure
}

// decode reads a JSON object.
func decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return runnel.Errorf(runnel.Invalid, "the body is not a JSON object of the expected form").Because(err)
	}
	return nil
}
