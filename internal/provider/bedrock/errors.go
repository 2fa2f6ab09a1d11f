package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A serviceError is what Bedrock itself says went wrong, as a status or inside a
// stream.
type serviceError struct {
	code       string // such as ThrottlingException
	status     int    // of the response; zero inside a stream
	original   int    // the status of the model behind Bedrock; zero if unknown
	message    string // may quote the prompt
	retryAfter time.Duration
}

func (f *serviceError) Error() string { return fmt.Sprintf("%.80s (status %d)", f.code, f.status) }

// Told returns the service's own text, for whoever looks for a fault.
func (f *serviceError) Told() string { return f.message }

// exceptionBody is what stands in the body of an error, however it comes.
type exceptionBody struct {
	Type     string `json:"__type"`
	Message  string `json:"message"`
	Upper    string `json:"Message"` // services differ
	Original int    `json:"originalStatusCode"`
}

// readRefusal reads an error response.
func readRefusal(resp *http.Response) error {
	const patience, most = 5 * time.Second, 64 << 10
	defer time.AfterFunc(patience, func() { _ = resp.Body.Close() }).Stop()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	f := newServiceError(resp.Header.Get("X-Amzn-Errortype"), text)
	f.status = resp.StatusCode
	f.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return f
}

// newServiceError reads the body of an error. The name may be empty, or have more
// behind a colon; in a body it may stand behind a number sign.
func newServiceError(name string, body []byte) *serviceError {
	var b exceptionBody
	if json.Unmarshal(body, &b) != nil {
		b.Message = string(body)
	}
	if name == "" {
		name = b.Type[strings.LastIndexByte(b.Type, '#')+1:]
	}
	name, _, _ = strings.Cut(name, ":")
	if b.Message == "" {
		b.Message = b.Upper
	}
	message := strings.ToValidUTF8(b.Message, "\uFFFD")
	return &serviceError{code: strings.TrimSpace(name), original: b.Original, message: fmt.Sprintf("%.2000s", message)}
}

// streamError reads an exception or an error that came inside a stream.
func streamError(m *eventstream.Message) error {
	if code := m.Header(":error-code"); code != nil {
		return &serviceError{code: string(code), message: string(m.Header(":error-message"))}
	}
	f := newServiceError(string(m.Header(":exception-type")), m.Payload)
	if f.code != "" { // inside a stream the names begin with a small letter
		f.code = strings.ToUpper(f.code[:1]) + f.code[1:]
	}
	return f
}

func unreadable(err error) error {
	return runnel.Errorf(runnel.Unavailable, "Bedrock sent something unreadable").Because(err)
}

// classify returns err as a [*runnel.Error]. When ctx is done it is the reason
// for everything else. The key, if there is one, is kept out of it.
func classify(ctx context.Context, err error, key string) error {
	if ended := upstream.ContextError(ctx); ended != nil {
		return ended
	}
	e, ok := errors.AsType[*runnel.Error](err)
	if !ok {
		if f, isFailure := errors.AsType[*serviceError](err); isFailure {
			if key != "" {
				f.message = strings.ReplaceAll(f.message, key, "[key]")
			}
			e = f.translate()
		} else {
			e = runnel.Errorf(runnel.Unavailable, "Bedrock's answer could not be read")
		}
		e.Err = err
	}
	if e.Err != nil {
		e.Err = fmt.Errorf("bedrock: %w", e.Err)
	}
	return e
}

// translate says in our words what a failure means.
func (f *serviceError) translate() *runnel.Error {
	e := &runnel.Error{RetryAfter: f.retryAfter}
	switch f.code {
	case "ValidationException":
		e.Kind, e.Msg = runnel.Invalid, "the model refused the prompt"
	case "ResourceNotFoundException":
		e.Kind, e.Msg = runnel.Invalid, "Bedrock does not know this model"
	case "ServiceQuotaExceededException":
		e.Kind, e.Msg = runnel.Denied, "the account's quota at Bedrock is used up"
	case "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "OptInRequired":
		e.Kind, e.Msg = runnel.Denied, "Bedrock refused our credentials"
	case "ThrottlingException":
		e.Kind, e.Msg = runnel.Limited, "Bedrock takes no more prompts for now"
	case "ModelNotReadyException":
		e.Kind, e.Msg = runnel.Unavailable, "the model is not ready yet"
	case "ModelTimeoutException":
		e.Kind, e.Msg = runnel.Unavailable, "the model took too long"
	case "ModelErrorException", "ModelStreamErrorException":
		e.Kind, e.Msg = runnel.Unavailable, "the model has failed"
		if f.original >= 400 && f.original < 500 {
			e.Kind, e.Msg = runnel.Invalid, "the model refused the prompt"
		}
	case "InternalServerException", "ServiceUnavailableException":
		e.Kind, e.Msg = runnel.Unavailable, "Bedrock has failed"
	default:
		e.Kind, e.Msg = f.byStatus()
	}
	return e
}

// byStatus says what a failure with a name that we do not know means.
func (f *serviceError) byStatus() (runnel.Kind, string) {
	switch {
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden:
		return runnel.Denied, "Bedrock refused our credentials"
	case f.status == http.StatusTooManyRequests:
		return runnel.Limited, "Bedrock takes no more prompts for now"
	case f.status == http.StatusRequestTimeout:
		return runnel.Unavailable, "the model took too long"
	case f.status >= 400 && f.status < 500:
		return runnel.Invalid, "Bedrock refused the prompt"
	}
	return runnel.Unavailable, "Bedrock has failed"
}

// retryAfter reads how long a server asks us to wait, in seconds or until a
// date.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	var wait time.Duration
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, most))
}
