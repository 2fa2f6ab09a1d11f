package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wsconn"
)

const eventsAck = `{"type":"connection_ack","connectionTimeoutMs":300000}`

// eventSocket opens a socket of AppSync Events.
func (h *Handler) eventSocket(w http.ResponseWriter, r *http.Request) {
	if err := wsconn.Check(r); err != nil {
		refuseHandshake(w, err)
		return
	}
	s := &socket{dialect: events{}}
	protocol := choose(r, protocolEvents)
	if protocol == "" {
		message := "SubProtocolNotSupportedError"
		if len(wsconn.Protocols(r)) == 0 {
			message = "NoProtocolError"
		}
		s.bad = failureError{failure{Message: message, Code: http.StatusBadRequest}}
	} else {
		s.caller, s.bad = h.shakeHands(r, actionConnect, endpoint(r))
	}
	h.serve(w, r, h.events, protocol, s)
}

// An events is the protocol of AppSync Events.
type events struct{}

func (e events) throttled(msg []byte, err error) []byte {
	var m eventMessage
	if json.Unmarshal(msg, &m) == nil && m.Type == "publish" && eventID.MatchString(m.ID) {
		return e.frame("publish_error", m.ID, err)
	}
	return e.fail(idOf(msg), err, false)
}

func (events) executes() bool { return false }

// eventID is what the ids of operations look like.
var eventID = regexp.MustCompile(`^[a-zA-Z0-9_+-]{1,128}$`)

// An eventMessage is what a client sends. Channel and events are kept as they came:
// they are what is signed.
type eventMessage struct {
	Type          string          `json:"type"`
	ID            string          `json:"id"`
	Channel       json.RawMessage `json:"channel"`
	Events        json.RawMessage `json:"events"`
	Authorization json.RawMessage `json:"authorization"`
}

// signed returns what a signature in the message is over.
func (m *eventMessage) signed() []byte {
	b := append([]byte(`{"channel":`), m.Channel...)
	if m.Events != nil {
		b = append(append(b, `,"events":`...), m.Events...)
	}
	return append(b, '}')
}

func (e events) message(s *socket, msg []byte) {
	var m eventMessage
	if err := json.Unmarshal(msg, &m); err != nil {
		s.send(e.frame("error", "", runnel.Errorf(runnel.Invalid, "the message is not JSON")))
		return
	}
	if m.Type == "connection_init" {
		s.send(wsconn.AppendText(wsconn.AppendText(nil, []byte(eventsAck)), []byte(keepAlive)))
		return
	}
	if !eventID.MatchString(m.ID) {
		s.send(e.frame("error", "", runnel.Errorf(runnel.Invalid, "the id is missing or malformed")))
		return
	}
	switch m.Type {
	case "subscribe":
		s.begin(m.ID, func(ctx context.Context, sub *subscription) error { return e.subscribe(ctx, s, sub, &m) })
	case "unsubscribe":
		if !s.stop(m.ID) {
			s.send(e.frame("unsubscribe_error", m.ID, failureError{failure{Type: "UnknownOperationError", Message: "Unknown operation id " + m.ID}}))
		}
	case "publish":
		e.publish(s, &m)
	default:
		s.send(e.frame("error", m.ID, failureError{failure{Type: "UnsupportedOperation", Message: "the operation is not supported"}}))
	}
}

func (e events) caller(ctx context.Context, s *socket, m *eventMessage, action string) (context.Context, context.CancelFunc, *runnel.Principal, error) {
	var header map[string]string
	if len(m.Authorization) > 0 {
		var err error
		if header, err = readHeader(m.Authorization); err != nil {
			return nil, nil, nil, err
		}
	}
	return s.authenticate(ctx, header, action, endpoint(s.request), m.signed())
}

func (e events) subscribe(ctx context.Context, s *socket, sub *subscription, m *eventMessage) error {
	ctx, release, p, err := e.caller(ctx, s, m, actionSubscribe)
	if err != nil {
		return err
	}
	defer release()
	var name string
	if json.Unmarshal(m.Channel, &name) != nil {
		return runnel.Errorf(runnel.Invalid, "the channel is missing")
	}
	src, err := s.door.listen(ctx, p, name, m.ID, sub)
	if err != nil {
		return err
	}
	defer src.close()
	return sub.follow(ctx, src)
}

// publish answers where the socket is read: what a client publishes stays in its
// order, and it is not let get ahead of what becomes of it.
func (e events) publish(s *socket, m *eventMessage) {
	res, err := e.published(s, m)
	if err != nil {
		s.door.failed(s.ws.Context(), err)
		s.send(e.frame("publish_error", m.ID, err))
		return
	}
	b := append(appendTyped(nil, "publish_success", m.ID), ',')
	s.send(wsconn.AppendText(nil, append(b, encode(res)[1:]...)))
}

func (e events) published(s *socket, m *eventMessage) (result, error) {
	ctx, cancel := context.WithTimeout(s.ws.Context(), s.door.cfg.Timeout)
	defer cancel()
	ctx, release, p, err := e.caller(ctx, s, m, actionPublish)
	if err != nil {
		return result{}, err
	}
	defer release()
	var in publish
	if json.Unmarshal(m.Channel, &in.Channel) != nil || json.Unmarshal(m.Events, &in.Events) != nil {
		return result{}, runnel.Errorf(runnel.Invalid, "there must be a channel, and events that are strings")
	}
	return s.door.publish(ctx, p, in)
}

// frame returns a message that says what is wrong.
func (events) frame(kind, id string, err error) []byte {
	b := append(appendTyped(nil, kind, id), `,"errors":`...)
	return wsconn.AppendText(nil, append(appendErrors(b, err), '}'))
}

func (events) refused(err error) []byte {
	b := append(appendTyped(nil, "connection_error", ""), `,"errors":`...)
	return wsconn.AppendText(nil, append(append(b, encode([]failure{connectionFailure(err)})...), '}'))
}

func (events) ack(id string) []byte      { return typed("subscribe_success", id) }
func (events) stopped(id string) []byte  { return typed("unsubscribe_success", id) }
func (events) complete(id string) []byte { return nil }

func (events) invalidated(*socket, string) {} // nothing ends channels

func (events) framer(id string) framer {
	return framer{head: string(appendTyped(nil, "data", id)) + `,"event":`, tail: "}", text: true}
}

func (e events) fail(id string, err error, acked bool) []byte {
	if !acked {
		return e.frame("subscribe_error", id, err)
	}
	if errors.Is(err, errBehind) || runnel.KindOf(err) != runnel.Unauthenticated {
		err = failureError{failure{Type: "MessageProcessingError", Message: newFailure(err).Message}}
	}
	return e.frame("broadcast_error", id, err)
}
