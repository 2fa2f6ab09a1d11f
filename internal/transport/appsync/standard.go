package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// The close codes of graphql-transport-ws.
const (
	codeBadRequest   = 4400
	codeUnauthorized = 4401
	codeForbidden    = 4403
	codeDuplicate    = 4409
	codeTwice        = 4429
)

// A standard is the protocol graphql-transport-ws, of the npm package graphql-ws
// and of those who follow it. Credentials come with the handshake, or in the
// payload of connection_init, which is a header object then.
type standard struct{}

func (d standard) throttled(msg []byte, err error) []byte { return d.fail(idOf(msg), err, false) }

func (standard) executes() bool { return true }

func (standard) message(s *socket, msg []byte) {
	var m struct {
		Type    string          `json:"type"`
		ID      string          `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(msg, &m); err != nil {
		s.ws.Close(codeBadRequest, "Invalid message received")
		return
	}
	switch m.Type {
	case "connection_init":
		standard{}.hello(s, m.Payload)
	case "ping":
		s.send(wsconn.AppendText(nil, []byte(`{"type":"pong"}`)))
	case "pong":
	case "subscribe":
		if !s.ready {
			s.ws.Close(codeUnauthorized, "Unauthorized")
			return
		}
		if !validID(m.ID) {
			s.ws.Close(codeBadRequest, "Invalid message received")
			return
		}
		standard{}.subscribe(s, m.ID, m.Payload)
	case "complete":
		s.stop(m.ID)
	default:
		s.ws.Close(codeBadRequest, "Invalid message received")
	}
}

// hello finds out who the client is.
func (standard) hello(s *socket, payload []byte) {
	if s.ready {
		s.ws.Close(codeTwice, "Too many initialisation requests")
		return
	}
	header := map[string]string{}
	if len(payload) > 0 && string(payload) != "null" {
		var err error
		if header, err = readHeader(payload); err != nil {
			s.ws.Close(codeBadRequest, "Invalid message received")
			return
		}
	}
	_, release, p, err := s.authenticate(s.ws.Context(), header, actionGraphQL, endpoint(s.request)+"/connect", []byte("{}"))
	if err == nil {
		release()
		if p.ID == "" && s.door.cfg.Asks {
			err = runnel.Errorf(runnel.Unauthenticated, messageUnauthorized)
		}
	}
	if err != nil {
		s.door.cfg.Failed(runnel.KindOf(err))
		s.ws.Close(codeForbidden, "Forbidden")
		return
	}
	s.caller, s.ready = p, true
	s.send(wsconn.AppendText(nil, []byte(`{"type":"connection_ack"}`)))
}

func (standard) subscribe(s *socket, id string, payload []byte) {
	s.mu.Lock()
	old := s.subs[id]
	s.mu.Unlock()
	if old != nil && !old.cancelled() {
		s.ws.Close(codeDuplicate, fmt.Sprintf("Subscriber for %.80s already exists", id))
		return
	}
	payload = append([]byte(nil), payload...) // it lies in what is read
	caller := s.caller
	s.begin(id, func(ctx context.Context, sub *subscription) error {
		ctx, release := s.door.cfg.Bind(ctx, caller)
		defer release()
		req, err := readRequest(payload)
		if err != nil {
			return err
		}
		return sub.subscribe(ctx, caller, req)
	})
}

func (standard) refused(err error) []byte { return nil } // the close code says it

func (standard) ack(string) []byte         { return nil }
func (standard) stopped(string) []byte     { return nil }
func (standard) complete(id string) []byte { return typed("complete", id) }

func (standard) invalidated(s *socket, id string) {
	_ = s.ws.Write(s.ws.Context(), typed("complete", id)) // the connection is gone, then
}

func (standard) framer(id string) framer {
	return framer{head: string(appendTyped(nil, "next", id)) + `,"payload":`, tail: "}", text: true}
}

// fail tells of an error in the way that the package's clients expect: before data
// as an error, which ends the subscription.
func (standard) fail(id string, err error, _ bool) []byte {
	if id == "" {
		return nil
	}
	b := append(appendTyped(nil, "error", id), `,"payload":`...)
	return wsconn.AppendText(nil, append(appendStandardErrors(b, err), '}'))
}

// appendStandardErrors appends errors as the GraphQL specification has them: what
// AppSync has beside the message is under extensions.
func appendStandardErrors(dst []byte, err error) []byte {
	if errs, ok := errors.AsType[graphql.Errors](err); ok {
		return errs.AppendJSON(dst)
	}
	if e, ok := errors.AsType[*graphql.Error](err); ok {
		return graphql.Errors{e}.AppendJSON(dst)
	}
	f := newFailure(err)
	return append(dst, encode([]any{map[string]any{"message": f.Message, "extensions": map[string]string{"code": f.Type}}})...)
}
