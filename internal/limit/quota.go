package limit

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// The names of the limits, in errors and headers.
const (
	Requests    = "requests"
	Connections = "connections"
	Generations = "generations"
	Prompts     = "prompts"
	Tokens      = "tokens"
	Body        = "body_bytes"
	Frame       = "frame_bytes"
	Prompt      = "prompt_bytes"
)

// The fields, as net/http spells them.
const (
	headerPolicy = "Ratelimit-Policy"
	headerLimit  = "Ratelimit"
)

// A Quota says how a principal stands against one of its limits. The zero value
// says nothing: there is no such limit.
type Quota struct {
	Policy    string        // which limit
	Limit     int64         // how much there is in all
	Window    time.Duration // in what time; zero if the limit is on how much at once
	Remaining int64         // how much is left
	Reset     time.Duration // until there will be more; zero if nobody knows
}

// An Error is a refusal. It wraps a [*runnel.Error] of kind Limited, or Invalid
// for what is too large: there is no use in repeating that.
type Error struct {
	Quota Quota
	err   *runnel.Error
}

// Error says which limit was reached.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error with its kind, its public message, and when to try again.
func (e *Error) Unwrap() error { return e.err }

func (l *Limiter) refuse(p *runnel.Principal, q Quota, retry time.Duration, format string, args ...any) *Error {
	l.trail.add(p, q.Policy)
	err := runnel.Errorf(runnel.Limited, format, args...)
	err.RetryAfter = retry
	return &Error{Quota: q, err: err}
}

func (l *Limiter) tooLarge(p *runnel.Principal, what string, most Bytes, format string, args ...any) *Error {
	l.trail.add(p, what)
	return &Error{Quota: Quota{Policy: what, Limit: int64(most)}, err: runnel.Errorf(runnel.Invalid, format, args...)}
}

// because returns e with a cause for the log; nil is none.
func (e *Error) because(err error) *Error {
	e.err.Err = err
	return e
}

// SetErrorHeaders is [SetHeaders] for the limit by which err refuses, if it does.
func SetErrorHeaders(h http.Header, err error) {
	if e, ok := errors.AsType[*Error](err); ok && runnel.KindOf(err) == runnel.Limited {
		SetHeaders(h, e.Quota)
	}
}

// SetHeaders tells a client of HTTP how it stands, in the fields RateLimit-Policy
// and RateLimit as draft-ietf-httpapi-ratelimit-headers-11 has them. Quotas that
// say nothing, or that h tells of already, are left out.
func SetHeaders(h http.Header, quotas ...Quota) {
	policies, limits := []byte(h.Get(headerPolicy)), []byte(h.Get(headerLimit))
	for _, q := range quotas {
		if q.Policy == "" || strings.Contains(h.Get(headerPolicy), `"`+q.Policy+`"`) {
			continue
		}
		policies = appendItem(policies, q.Policy, 'q', q.Limit)
		if unit := q.unit(); unit != Requests {
			policies = append(policies, `;qu="`+unit+`"`...)
		}
		if q.Window > 0 {
			policies = append(policies, ";w="...)
			policies = strconv.AppendInt(policies, seconds(q.Window), 10)
		}
		limits = appendItem(limits, q.Policy, 'r', q.Remaining)
		if q.Reset > 0 {
			limits = append(limits, ";t="...)
			limits = strconv.AppendInt(limits, seconds(q.Reset), 10)
		}
	}
	if len(policies) > 0 {
		h[headerPolicy] = []string{string(policies)}
		h[headerLimit] = []string{string(limits)}
	}
}

// unit is what the quota counts. The draft's registry has no tokens yet; to
// call them requests, its default, would be wrong rather than unknown.
func (q Quota) unit() string {
	switch q.Policy {
	case Tokens:
		return Tokens
	case Connections, Generations:
		return "concurrent-requests"
	}
	return Requests
}

func appendItem(dst []byte, name string, param byte, value int64) []byte {
	if len(dst) > 0 {
		dst = append(dst, ", "...)
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ';', param, '=')
	return strconv.AppendInt(dst, max(value, 0), 10)
}

// seconds rounds up: whoever waits that long has waited long enough.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
