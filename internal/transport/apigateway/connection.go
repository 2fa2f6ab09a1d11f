package apigateway

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wsapi"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// maxWork bounds what one connection has under way: invocations of handlers,
// answers that are shown, subscriptions.
const maxWork = 64

var errTooMany = runnel.Errorf(runnel.Limited, "too much is under way on this connection")

// A connection is one client at one stage.
type connection struct {
	set        *Handler
	api        *wsapi.Compiled
	id         string
	stage      string
	domain     string // by which the client reaches us
	identity   identity
	authorizer map[string]any // for events; nil without one
	principal  *runnel.Principal
	opened     time.Time
	// session is what the client named, or one of the connection's own.
	session runnel.SessionID
	named   bool

	ws      *wsconn.Conn // set before the connection is known to anybody
	work    atomic.Int64 // what is under way
	streams *streams     // of the native route; nil until it is used. Of the reading goroutine
}

// serve runs a connection on a goroutine of its own, until its end.
func (c *connection) serve(ws *wsconn.Conn) {
	c.ws = ws
	c.set.add(c)
	if r := c.api.Reserved(wsapi.Connect); r != nil && r.Integration == wsapi.Lex && c.named {
		c.begin()
		c.set.work.Go(func() {
			defer c.done()
			c.watch()
		})
	}
	var err error
	for err == nil {
		var message []byte
		if message, err = ws.Read(); err == nil {
			c.dispatch(message)
		}
	}
	c.set.remove(c)
	c.ended(err)
}

// dispatch lets a message take its route.
func (c *connection) dispatch(message []byte) {
	request := newID()
	if _, err := c.set.cfg.Limits.Frame(c.principal, len(message)); err != nil {
		if runnel.KindOf(err) == runnel.Invalid {
			c.ws.Close(wsconn.TooBig, runnel.PublicMessage(err))
			return
		}
		c.tell(saysTooMany, request)
		return
	}
	route := c.api.Select(message)
	if route == nil {
		c.tell(saysForbidden, request)
		return
	}
	switch route.Integration {
	case wsapi.Mock:
	case wsapi.SendText, wsapi.Stream, wsapi.Lex:
		c.builtin(route, message, request)
	case wsapi.Native:
		c.native(message)
	default:
		c.invoke(route, message, request)
	}
}

// tell sends an error frame, without waiting.
func (c *connection) tell(message, request string) {
	_ = c.ws.Send(c.errorFrame(message, request)) // else the client is cut off, or gone
}

func (c *connection) errorFrame(message, request string) []byte {
	return appendFrame(nil, func(b []byte) []byte { return appendError(b, message, c.id, request) })
}

// begin counts a piece of work, unless there is too much; done ends it.
func (c *connection) begin() bool {
	if c.work.Add(1) > maxWork {
		c.work.Add(-1)
		return false
	}
	return true
}

func (c *connection) done() { c.work.Add(-1) }

// invoke hands a message to somebody else's handler, and what it answers to the
// client.
func (c *connection) invoke(route *wsapi.Route, message []byte, request string) {
	if !c.begin() {
		c.tell(saysTooMany, request)
		return
	}
	if !c.set.reserve() {
		c.done()
		c.tell(saysTooMany, request)
		return
	}
	body := encode(c.messageEvent(route.Key, request, message))
	c.set.work.Go(func() {
		defer c.done()
		defer c.set.release()
		c.call(route, body, request)
	})
}

// call waits for a handler. One that is late goes on: it may have more to send
// by the management API.
func (c *connection) call(route *wsapi.Route, body []byte, request string) {
	ctx, cancel := context.WithTimeout(c.set.life, maxInvocation)
	defer cancel()
	var late atomic.Bool
	if limit := c.set.timeout(route); limit > 0 && !route.Async {
		timer := time.AfterFunc(limit, func() {
			if !late.Swap(true) {
				c.tell(saysTimeout, request)
			}
		})
		defer timer.Stop()
	}
	response, err := c.set.integrations[route].Invoke(ctx, body)
	if late.Swap(true) {
		return
	}
	switch {
	case err != nil:
		c.set.log.Warn("a handler has failed", "api", c.api.Name, "route", route.Key, "connection_id", c.id, "err", err)
		c.tell(saysInternal, request)
	case route.Response && response.Body != "":
		_ = c.ws.Write(c.ws.Context(), wsconn.AppendText(nil, []byte(response.Body))) // the connection is gone, then
	}
}

// ended tells who wants to know that the connection has ended: the list of the
// session's connections, and $disconnect.
func (c *connection) ended(err error) {
	c.unlist()
	code, reason := wsconn.Abnormal, ""
	if end, ok := errors.AsType[*wsconn.CloseError](err); ok {
		code, reason = end.Code, end.Reason
	}
	c.set.log.Debug("connection closed", "connection_id", c.id, "code", code, "err", err)
	route := c.api.Reserved(wsapi.Disconnect)
	if route == nil || route.Integration == wsapi.Mock || !c.set.reserve() {
		return
	}
	body := encode(c.disconnectEvent(code, reason))
	c.set.work.Go(func() {
		defer c.set.release()
		ctx, cancel := context.WithTimeout(c.set.life, maxInvocation)
		defer cancel()
		if _, err := c.set.integrations[route].Invoke(ctx, body); err != nil {
			c.set.log.Warn("a handler has failed", "api", c.api.Name, "route", route.Key, "connection_id", c.id, "err", err)
		}
	})
}

// note is what the list of connections has of this one.
func (c *connection) note() runnel.Connection {
	return runnel.Connection{
		ID: c.id, Session: c.session, Node: c.set.node.String(), Principal: c.principal.ID, Opened: c.opened.UTC(),
	}
}

// list notes the connection under the session that its client named.
func (c *connection) list(ctx context.Context) error {
	if !c.named || c.set.cfg.Connections == nil {
		return nil
	}
	return c.set.cfg.Connections.Connected(ctx, c.note())
}

// unlist takes the note back. Should that fail, the note expires.
func (c *connection) unlist() {
	if !c.named || c.set.cfg.Connections == nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.set.life, listTimeout)
	defer cancel()
	if err := c.set.cfg.Connections.Disconnected(ctx, c.note()); err != nil {
		c.set.log.LogAttrs(ctx, slog.LevelDebug, "a connection stays listed", slog.String("connection_id", c.id), slog.Any("err", err))
	}
}
