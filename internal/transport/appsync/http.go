package appsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// The actions of those who sign, in IAM's words.
const (
	actionGraphQL   = "appsync:GraphQL"
	actionConnect   = "appsync:EventConnect"
	actionPublish   = "appsync:EventPublish"
	actionSubscribe = "appsync:EventSubscribe"
)

// open lets the pages of other origins in, as far as they may come, and answers
// their preflights.
func (h *Handler) open(serve http.HandlerFunc) http.Handler {
	strict := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Amzn-Requestid", header.Get("X-Request-Id"))
		origin := r.Header.Get("Origin")
		trusted := h.cfg.Asks || h.cfg.Origins.Any() || origin != "" && h.cfg.Origins.Lists(origin)
		if trusted {
			header.Set("Access-Control-Allow-Origin", "*")
			header.Set("Access-Control-Expose-Headers",
				"x-amzn-RequestId,x-amzn-ErrorType,x-amz-user-agent,x-amzn-ErrorMessage,Date,x-amz-schema-version")
		}
		switch {
		case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
			preflight(w, r, trusted)
		case !h.cfg.Asks && h.cfg.Local && !h.cfg.Origins.AllowHost(r.Host):
			WriteError(w, runnel.Errorf(runnel.Denied, "nobody here asks for credentials, so this server answers to localhost only; see the setting cors_origins"))
		case !trusted && (strict.Check(r) != nil || !wsconn.SameOrigin(r)):
			WriteError(w, runnel.Errorf(runnel.Denied, "pages from %.200q may not do this; see the setting cors_origins", origin))
		default:
			serve(w, r)
		}
	})
}

func preflight(w http.ResponseWriter, r *http.Request, trusted bool) {
	if trusted {
		allowed := "authorization,content-type,x-api-key,x-amz-date,x-amz-security-token,x-amz-user-agent"
		if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
			allowed += "," + strings.Join(asked, ",")
		}
		header := w.Header()
		header.Set("Access-Control-Allow-Headers", allowed)
		header.Set("Access-Control-Allow-Methods", "GET,POST,PUT,DELETE,OPTIONS")
		header.Set("Access-Control-Max-Age", "7200")
	}
	w.WriteHeader(http.StatusOK)
}

// graphql answers requests over HTTP, and those for a socket.
func (h *Handler) graphql(w http.ResponseWriter, r *http.Request) {
	if upgrades(r) {
		h.realtime(w, r)
		return
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete}, r.Method) {
		w.Header().Set("Allow", "GET, POST, PUT, DELETE, OPTIONS")
		writeFailure(w, http.StatusMethodNotAllowed, failure{Type: "MethodNotAllowedException", Message: "Use POST."})
		return
	}
	body, err := reply.ReadBody(w, r, maxRequest, h.cfg.BodyTimeout)
	if err != nil {
		WriteError(w, err)
		return
	}
	token, r := streamToken(r)
	p, err := h.authenticate(r, auth.FromRequest(r), actionGraphQL, body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if h.onReservation(w, r, p, token, body) {
		return
	}
	req, err := queryOf(r, body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	ctx, release := h.cfg.Bind(context.WithValue(withKey(r.Context(), r.Header.Get("Idempotency-Key")), requestKey{}, r), p)
	defer release()
	// Some clients take a stream, but would rather not have one: urql.
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "text/event-stream") && !strings.Contains(accept, "json") {
		h.stream(ctx, w, r, p, req)
		return
	}
	h.answer(ctx, w, r, p, req)
}

func upgrades(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// authenticate returns who shows the credentials, and counts the request. Their
// signature, if they have one, is over body.
func (h *Handler) authenticate(r *http.Request, c auth.Credentials, action string, body []byte) (*runnel.Principal, error) {
	c.Action = action
	c.Context = map[string]any{"apiId": "local", "accountId": "000000000000", "requestId": r.Header.Get("X-Request-Id")}
	if c.Body == nil {
		c.Body = func() ([]byte, error) { return body, nil }
	}
	p, err := h.cfg.Authenticate(r.Context(), c)
	if bad, ok := errors.AsType[*sigv4.Error](err); ok && bad.Code == sigv4.InvalidSignature {
		if other := withoutExtensions(body); other != nil {
			c.Body = func() ([]byte, error) { return other, nil }
			if q, again := h.cfg.Authenticate(r.Context(), c); again == nil {
				p, err = q, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	p = limit.ByAddress(p, r)
	if _, err := h.cfg.Limits.Frame(p, len(body)); err != nil {
		return nil, err
	}
	return p, nil
}

// withoutExtensions returns the body that Apollo's link has signed where its
// client has sent another: it adds extensions afterwards. Nil if there are none.
func withoutExtensions(body []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members["extensions"] == nil {
		return nil
	}
	signed := []byte{'{'}
	for _, name := range []string{"operationName", "variables", "query"} {
		value, ok := members[name]
		if !ok {
			continue
		}
		if len(signed) > 1 {
			signed = append(signed, ',')
		}
		var compact bytes.Buffer
		if json.Compact(&compact, value) != nil {
			return nil
		}
		signed = append(append(append(signed, '"'), name...), `":`...)
		signed = append(signed, compact.Bytes()...)
	}
	return append(signed, '}')
}

// queryOf reads what is asked: in the body, or with GET in the address.
func queryOf(r *http.Request, body []byte) (req graphql.Request, err error) {
	if r.Method == http.MethodGet {
		q := r.URL.Query()
		req.Query, req.OperationName = q.Get("query"), q.Get("operationName")
		if vars := q.Get("variables"); vars != "" {
			req.Variables, err = graphql.ParseJSON([]byte(vars))
		}
		if err != nil || req.Query == "" {
			return req, errNoQuery
		}
		return req, nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return req, failureError{failure{Type: "MalformedHttpRequestException", Message: "Request body is empty."}}
	}
	return readRequest(body)
}

var errNoQuery = failureError{failure{Type: "MalformedHttpRequestException", Message: "Unable to parse GraphQL query."}}

// readRequest reads a request that is a JSON object.
func readRequest(body []byte) (req graphql.Request, err error) {
	if json.Unmarshal(body, &req) != nil || req.Query == "" {
		return req, errNoQuery
	}
	return req, nil
}

// answer executes a request. From here on there is no status but 200: what has
// happened must not be repeated by a client that repeats what failed.
func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, p *runnel.Principal, req graphql.Request) {
	op, errs := h.api.schema.Prepare(req)
	switch {
	case errs != nil:
		writeBody(w, http.StatusOK, (&graphql.Response{Errors: errs}).AppendJSON(nil))
	case op.Kind() == "subscription" && strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		h.stream(ctx, w, r, p, req)
	case op.Kind() == "subscription":
		writeFailure(w, http.StatusBadRequest, failure{Type: "BadRequestException", Message: "Subscriptions over MQTT is not supported."})
	case op.Kind() == "mutation" && r.Method == http.MethodGet: // which a link on any page could ask for
		writeFailure(w, http.StatusMethodNotAllowed, failure{Type: "MethodNotAllowedException", Message: "Use POST for mutations."})
	default:
		writeBody(w, http.StatusOK, h.execute(ctx, p, op).AppendJSON(nil))
	}
}

// execute runs an operation, within its time. A mutation goes on without its
// client, so that no half of it is left.
func (h *Handler) execute(ctx context.Context, p *runnel.Principal, op *graphql.Operation) *graphql.Response {
	if op.Kind() == "mutation" {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	return h.api.exec.Execute(ctx, op, callerOf(p))
}

// refuse answers a request that is not executed.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	h.cfg.Failed(runnel.KindOf(err))
	if k := runnel.KindOf(err); k == runnel.Internal || k == runnel.Unavailable {
		h.failed(r.Context(), err)
	}
	limit.SetErrorHeaders(w.Header(), err)
	WriteError(w, err)
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	f, status := newFailure(err), reply.Status(err)
	if _, ok := errors.AsType[failureError](err); ok {
		status = http.StatusBadRequest
	}
	if status == http.StatusTooManyRequests {
		f.Type = "ThrottlingException"
	}
	reply.RetryAfter(w.Header(), err)
	writeFailure(w, status, f)
}

func writeFailure(w http.ResponseWriter, status int, f failure) {
	w.Header().Set("X-Amzn-Errortype", f.Type)
	writeBody(w, status, encode(map[string]any{"errors": []failure{f}}))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json;charset=UTF-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is not a failure
}
