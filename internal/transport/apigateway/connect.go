package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/wsapi"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// What resources are called in policies. There is no AWS account behind them.
const (
	region  = "local"
	account = "000000000000"
)

// connect answers the handshake. The order is API Gateway's: the stage, the
// rate, the caller, the handler of $connect, and only then the 101.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) {
	api, stage, known := h.table.Find(r.Host, r.PathValue("stage"))
	if err := wsconn.Check(r); err != nil {
		h.refuseRequest(w, r, known, err)
		return
	}
	if !known {
		writeFailure(w, http.StatusForbidden, typeForbidden, saysForbidden)
		return
	}
	if !h.origin(r) {
		h.refuse(w, r, runnel.Errorf(runnel.Denied, "pages from %.200q may not connect; see the setting cors_origins", r.Header.Get("Origin")))
		return
	}
	if h.connects != nil && !h.connects.AllowN(h.now(), 1) {
		h.refuse(w, r, runnel.Errorf(runnel.Limited, saysTooMany))
		return
	}
	c := h.newConnection(r, api, stage)
	r, err := h.recognize(r, c)
	if err != nil {
		h.refuseCaller(w, r, err)
		return
	}
	h.accept(w, r, c)
}

// newConnection returns the connection that r asks for.
func (h *Handler) newConnection(r *http.Request, api *wsapi.Compiled, stage string) *connection {
	c := &connection{set: h, api: api, id: h.node.connectionID(), stage: stage, domain: r.Host, opened: h.now()}
	c.identity.SourceIP = h.cfg.Client(r).String()
	c.identity.UserAgent = r.UserAgent()
	// Both spellings are in the field.
	for _, name := range []string{"sessionId", "session"} {
		if id := r.URL.Query().Get(name); id != "" {
			// A copy, or a presigned URL would stay for as long as the connection.
			c.session, c.named = runnel.SessionID(strings.Clone(id)), true
			break
		}
	}
	if !c.named {
		c.session = runnel.SessionID(ulid.Make().String())
	}
	return c
}

// recognize finds out who the caller is; the request that is returned says so.
func (h *Handler) recognize(r *http.Request, c *connection) (*http.Request, error) {
	credentials := auth.FromRequest(r)
	credentials.Action = "execute-api:Invoke"
	credentials.Resource = "arn:aws:execute-api:" + region + ":" + account + ":" + c.api.Name + "/" + c.stage + "/" + wsapi.Connect
	var about map[string]any
	if err := json.Unmarshal(encode(c.context(wsapi.Connect, eventConnect, newID())), &about); err != nil {
		return r, err
	}
	credentials.Context = about
	begin := time.Now()
	p, err := h.cfg.Authenticate(r.Context(), credentials)
	if err != nil {
		return r, err
	}
	p = limit.ByAddress(p, r)
	c.principal, c.authorizer = p, authorizerOf(p, time.Since(begin))
	who := identityOf(p)
	who.SourceIP, who.UserAgent = c.identity.SourceIP, c.identity.UserAgent
	c.identity = who
	return r.WithContext(runnel.WithPrincipal(r.Context(), p)), nil
}

// accept asks the handler of $connect, and opens the connection.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request, c *connection) {
	if c.named {
		c.session = sigv4.OwnSession(c.principal, c.session)
		if err := c.session.Validate(); err != nil {
			h.refuse(w, r, err)
			return
		}
	}
	if _, err := h.cfg.Limits.Request(c.principal); err != nil {
		limit.SetErrorHeaders(w.Header(), err)
		h.refuse(w, r, err)
		return
	}
	response, status := h.askConnect(r, c)
	if status != 0 {
		writeStatus(w, status)
		return
	}
	for name, value := range response.Headers {
		if http.CanonicalHeaderKey(name) == "Sec-Websocket-Protocol" {
			w.Header().Set("Sec-Websocket-Protocol", value)
		}
	}
	if !c.named {
		w.Header().Set("Runnel-Session", url.PathEscape(string(c.session)))
	}
	if err := h.take(w, r, c); err != nil {
		limit.SetErrorHeaders(w.Header(), err)
		h.refuse(w, r, err)
	}
}

// take makes a WebSocket of r, which nothing but its bounds can hinder any more.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, c *connection) error {
	place, err := h.cfg.Limits.Connect(c.principal)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	if err := c.list(ctx); err != nil {
		place.Release()
		return err
	}
	err = h.conns.Serve(w, r, func(ws *wsconn.Conn) {
		defer place.Release()
		c.serve(ws)
	})
	if err != nil {
		c.unlist()
		place.Release()
	}
	return err
}

// askConnect calls the handler of $connect, if there is one. A status other than
// 0 refuses the client.
func (h *Handler) askConnect(r *http.Request, c *connection) (response Response, status int) {
	route := c.api.Reserved(wsapi.Connect)
	integration := h.integrations[route]
	if integration == nil {
		return response, 0
	}
	if !h.reserve() {
		return response, http.StatusTooManyRequests
	}
	defer h.release()
	patience := h.timeout(route)
	if patience <= 0 {
		patience = maxInvocation
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	response, err := integration.Invoke(ctx, encode(c.connectEvent(r)))
	switch {
	case err == nil && response.OK():
		return response, 0
	case err == nil:
		return response, response.StatusCode
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	default:
		status = http.StatusBadGateway
	}
	h.log.WarnContext(r.Context(), "a handler has failed", "api", c.api.Name, "route", wsapi.Connect, "connection_id", c.id, "err", err)
	return response, status
}
