package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/wire"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// What AppSync's sockets say that is always the same.
const (
	keepAlive     = `{"type":"ka"}`
	connectionAck = `{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}`
)

// realtime opens a socket for GraphQL subscriptions.
func (h *Handler) realtime(w http.ResponseWriter, r *http.Request) {
	if err := wsconn.Check(r); err != nil {
		refuseHandshake(w, err)
		return
	}
	switch protocol := choose(r, protocolRealtime, protocolStandard); protocol {
	case protocolStandard:
		s := &socket{dialect: standard{}}
		// Browsers have no other place for credentials than the first message.
		if p, err := h.authenticate(r, auth.FromRequest(r), actionGraphQL, nil); err == nil {
			s.caller = p
		}
		h.serve(w, r, h.standard, protocol, s)
	case protocolRealtime:
		s := &socket{dialect: realtime{}}
		s.caller, s.bad = h.shakeHands(r, actionGraphQL, endpoint(r)+"/connect")
		h.serve(w, r, h.aws, protocol, s)
	default:
		message := "SubProtocolNotSupportedError"
		if len(wsconn.Protocols(r)) == 0 {
			message = "NoProtocolError"
		}
		h.serve(w, r, h.aws, "", &socket{dialect: realtime{}, bad: failureError{failure{Message: message, Code: http.StatusBadRequest}}})
	}
}

// shakeHands returns who opens a socket. A signature is one of target.
func (h *Handler) shakeHands(r *http.Request, action, target string) (*runnel.Principal, error) {
	header, err := handshakeHeader(r)
	if err != nil {
		return nil, err
	}
	c := auth.FromRequest(r)
	if header != nil {
		c = auth.FromHandshake(r, header, target, []byte("{}"))
	}
	return h.authenticate(r, c, action, nil)
}

// A realtime is AppSync's own protocol.
type realtime struct{}

func (d realtime) throttled(msg []byte, err error) []byte { return d.fail(idOf(msg), err, false) }

func (realtime) executes() bool { return false }

func (realtime) message(s *socket, msg []byte) {
	var m struct {
		Type    string `json:"type"`
		ID      string `json:"id"`
		Payload struct {
			Data       *string `json:"data"`
			Extensions struct {
				Authorization json.RawMessage `json:"authorization"`
			} `json:"extensions"`
		} `json:"payload"`
	}
	err := json.Unmarshal(msg, &m)
	switch {
	case err == nil && m.Type == "connection_init":
		s.send(wsconn.AppendText(wsconn.AppendText(nil, []byte(connectionAck)), []byte(keepAlive)))
	case err == nil && m.Type == "stop" && m.ID != "":
		if !s.stop(m.ID) {
			s.send(realtime{}.stopped(m.ID))
		}
	case err == nil && m.Type == "start" && validID(m.ID) && m.Payload.Data != nil:
		data := []byte(*m.Payload.Data)
		s.begin(m.ID, func(ctx context.Context, sub *subscription) error {
			var header map[string]string
			if len(m.Payload.Extensions.Authorization) > 0 {
				var err error
				if header, err = readHeader(m.Payload.Extensions.Authorization); err != nil {
					return err
				}
			}
			ctx, release, p, err := s.authenticate(ctx, header, actionGraphQL, endpoint(s.request), data)
			if err != nil {
				return err
			}
			defer release()
			req, err := readRequest(data)
			if err != nil {
				return err
			}
			return sub.subscribe(ctx, p, req)
		})
	default:
		s.door.cfg.Failed(runnel.Invalid)
		s.send(realtime{}.fail("", failureError{failure{Type: "UnsupportedOperation", Message: "unknown not supported through the realtime channel"}}, false))
	}
}

const maxID = 256

func validID(id string) bool { return id != "" && len(id) <= maxID }

func (realtime) refused(err error) []byte {
	b := append(appendTyped(nil, "connection_error", ""), `,"payload":{"errors":`...)
	return wsconn.AppendText(nil, append(append(b, encode([]failure{connectionFailure(err)})...), "}}"...))
}

// appendTyped appends {"type":…,"id":… without its end.
func appendTyped(dst []byte, kind, id string) []byte {
	dst = append(append(append(dst, `{"type":"`...), kind...), '"')
	if id != "" {
		dst = wire.AppendString(append(dst, `,"id":`...), id)
	}
	return dst
}

func typed(kind, id string) []byte {
	return wsconn.AppendText(nil, append(appendTyped(nil, kind, id), '}'))
}

func (realtime) ack(id string) []byte      { return typed("start_ack", id) }
func (realtime) stopped(id string) []byte  { return typed("complete", id) }
func (realtime) complete(id string) []byte { return typed("complete", id) }

// invalidated closes the socket as AppSync does. Amplify then begins again, with the
// other subscriptions; this one is told that it stays ended.
func (realtime) invalidated(s *socket, id string) {
	b := append(appendTyped(nil, "complete", id), `,"payload":{"message":"Subscription complete."}}`...)
	_ = s.ws.Write(s.ws.Context(), wsconn.AppendText(nil, b)) // the connection is gone, then
	s.ws.Close(wsconn.Normal, "")
}

func (realtime) framer(id string) framer {
	return framer{head: string(appendTyped(nil, "data", id)) + `,"payload":`, tail: "}", text: true}
}

func (realtime) fail(id string, err error, _ bool) []byte {
	b := append(appendTyped(nil, "error", id), `,"payload":{"errors":`...)
	return wsconn.AppendText(nil, append(appendErrors(b, err), "}}"...))
}

// appendErrors appends the list of what is wrong.
func appendErrors(dst []byte, err error) []byte {
	if errs, ok := errors.AsType[graphql.Errors](err); ok {
		return errs.AppendJSON(dst)
	}
	if e, ok := errors.AsType[*graphql.Error](err); ok {
		return graphql.Errors{e}.AppendJSON(dst)
	}
	return append(append(append(dst, '['), encode(newFailure(err))...), ']')
}

// idOf returns the id of a message that is not looked at otherwise.
func idOf(msg []byte) string {
	var m struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(msg, &m) != nil || !validID(m.ID) {
		return ""
	}
	return m.ID
}
