package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// A command is a message to the native route.
type command struct {
	Type string `json:"type"`
	// ID is the client's name for what it asks, which the answers repeat.
	ID string `json:"id"`

	Session    runnel.SessionID    `json:"session"`
	Generation runnel.GenerationID `json:"generation"`

	// For subscribe. Without a cursor it is what comes from now on.
	After *runnel.Cursor `json:"after"`

	// For submit.
	Prompt      string            `json:"prompt"`
	Model       string            `json:"model"`
	System      string            `json:"system"`
	MaxTokens   int               `json:"max_tokens"`
	Temperature *float64          `json:"temperature"`
	Metadata    map[string]string `json:"metadata"`
	Key         string            `json:"idempotency_key"`
	Follow      bool              `json:"follow"` // and send the generation's events
}

// maxCommandID bounds what is repeated in every answer.
const maxCommandID = 128

// streams are the subscriptions of one connection.
type streams struct {
	mu   sync.Mutex
	open map[string]*stream
}

// A stream is one subscription.
type stream struct {
	id         string
	session    runnel.SessionID
	generation runnel.GenerationID // ends with it; empty: with the connection
	after      runnel.Cursor
	cancel     context.CancelFunc
}

func (s *streams) add(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[st.id] != nil {
		return false
	}
	s.open[st.id] = st
	return true
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[st.id] == st {
		delete(s.open, st.id)
	}
}

func (s *streams) take(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.open[id]
	delete(s.open, id)
	return st
}

// native answers a command.
func (c *connection) native(message []byte) {
	var cmd command
	if err := json.Unmarshal(message, &cmd); err != nil {
		c.reject(cmd.ID, runnel.Errorf(runnel.Invalid, "the message is not a command as docs/websocket.md has them").Because(err))
		return
	}
	if len(cmd.ID) > maxCommandID {
		c.reject("", runnel.Errorf(runnel.Invalid, "the id has %d bytes; the limit is %d", len(cmd.ID), maxCommandID))
		return
	}
	if cmd.Session == "" {
		cmd.Session = c.session
	}
	if err := c.obey(&cmd); err != nil {
		c.reject(cmd.ID, err)
	}
}

func (c *connection) obey(cmd *command) error {
	switch cmd.Type {
	case "submit":
		return c.submit(cmd)
	case "subscribe":
		return c.subscribe(cmd)
	case "unsubscribe":
		if st := c.open().take(cmd.ID); st != nil {
			st.cancel()
			return nil // the stream itself says that it has ended
		}
		return runnel.Errorf(runnel.NotFound, "nothing is subscribed to under this id")
	case "cancel":
		gen, err := c.set.sessions.Cancel(c.ws.Context(), cmd.Generation)
		if err == nil {
			c.answer("generation", cmd.ID, encode(gen))
		}
		return err
	}
	return runnel.Errorf(runnel.Invalid, "the type is %.40q; it must be submit, subscribe, unsubscribe or cancel", cmd.Type)
}

func (c *connection) open() *streams {
	if c.streams == nil {
		c.streams = &streams{open: make(map[string]*stream)}
	}
	return c.streams
}

func (c *connection) submit(cmd *command) error {
	switch {
	case strings.TrimSpace(cmd.Prompt) == "":
		return runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case cmd.MaxTokens < 0:
		return runnel.Errorf(runnel.Invalid, "max_tokens must be at least 1")
	}
	if err := cmd.Session.Validate(); err != nil {
		return err
	}
	receipt, err := c.set.sessions.Submit(c.ws.Context(), runnel.Submission{IdempotencyKey: cmd.Key, Prompt: runnel.Prompt{
		Session: cmd.Session, Model: cmd.Model, System: cmd.System, MaxTokens: cmd.MaxTokens, Temperature: cmd.Temperature,
		Metadata: cmd.Metadata, History: true, Messages: []runnel.Message{runnel.TextMessage(runnel.User, cmd.Prompt)},
	}})
	if err != nil {
		return err
	}
	c.answer("accepted", cmd.ID, encode(receipt))
	if !cmd.Follow {
		return nil
	}
	return c.stream(&stream{id: cmd.ID, session: receipt.Session, generation: receipt.Generation, after: receipt.Cursor})
}

func (c *connection) subscribe(cmd *command) error {
	if err := cmd.Session.Validate(); err != nil {
		return err
	}
	st := &stream{id: cmd.ID, session: cmd.Session, generation: cmd.Generation}
	if cmd.After != nil {
		st.after = *cmd.After
	} else {
		var err error
		if st.after, err = c.set.sessions.End(c.ws.Context(), cmd.Session); err != nil {
			return err
		}
	}
	return c.stream(st)
}

// stream begins a subscription. When the client hears of it, nothing behind the
// cursor that it is told can be missed.
func (c *connection) stream(st *stream) error {
	if !c.begin() {
		return errTooMany
	}
	var ctx context.Context
	ctx, st.cancel = context.WithCancel(c.ws.Context())
	if !c.open().add(st) {
		st.cancel()
		c.done()
		return runnel.Errorf(runnel.Conflict, "the id is in use for another subscription")
	}
	open := c.streams
	c.answer("subscribed", st.id, encode(map[string]any{"session": st.session, "cursor": st.after}))
	c.set.work.Go(func() {
		defer c.done()
		defer st.cancel()
		err := c.copy(ctx, st)
		open.remove(st)
		c.finish(st, err)
	})
	return nil
}

// copy sends the events of a stream, until its generation has ended.
func (c *connection) copy(ctx context.Context, st *stream) error {
	var frames []byte
	for {
		events, err := c.set.sessions.Read(ctx, st.session, st.after)
		if err != nil {
			return err
		}
		ended := false
		frames = frames[:0]
		for i := range events {
			ev := &events[i]
			if !ev.Cursor.IsZero() {
				st.after = ev.Cursor
			}
			if st.generation == "" || ev.Generation == st.generation || ev.Generation == "" {
				frames = appendEvent(frames, st.id, ev)
			}
			if st.generation != "" && ev.Generation == st.generation && ev.Type.Terminal() {
				ended = true
				break
			}
		}
		if len(frames) > 0 {
			if err := c.ws.Write(ctx, frames); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// appendEvent appends the frame of an event.
func appendEvent(dst []byte, id string, ev *runnel.Event) []byte {
	start := len(dst)
	dst = append(wsconn.BeginText(dst), `{"type":"event","id":`...)
	dst = wire.AppendString(dst, id)
	if !ev.Cursor.IsZero() {
		dst = append(dst, `,"cursor":"`...)
		dst = ev.Cursor.Append(dst)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"data":`...)
	dst = append(dst, ev.Body...)
	return wsconn.EndText(append(dst, '}'), start)
}

// finish says that a stream has ended, and why if it was not at its end. A
// client that has asked for that hears no reason.
func (c *connection) finish(st *stream, err error) {
	if c.ws.Context().Err() != nil {
		return
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.set.failed(c, err)
		_ = c.ws.Write(c.ws.Context(), rejection(st.id, err)) // the connection is gone, then
		return
	}
	_ = c.ws.Write(c.ws.Context(), appendFrame(nil, func(b []byte) []byte {
		b = append(b, `{"type":"end","id":`...)
		return append(wire.AppendString(b, st.id), '}')
	}))
}

// answer sends an answer to a command: body is an object, whose members go along.
func (c *connection) answer(kind, id string, body []byte) {
	_ = c.ws.Send(appendFrame(nil, func(b []byte) []byte { // else the client is cut off, or gone
		b = append(b, `{"type":"`...)
		b = append(b, kind...)
		b = append(b, `","id":`...)
		b = wire.AppendString(b, id)
		b = append(b, ',')
		return append(b, body[1:]...)
	}))
}

// reject tells the client why a command comes to nothing.
func (c *connection) reject(id string, err error) {
	c.set.failed(c, err)
	_ = c.ws.Send(rejection(id, err)) // else the client is cut off, or gone
}

func rejection(id string, err error) []byte {
	return appendFrame(nil, func(b []byte) []byte {
		b = append(b, `{"type":"error","id":`...)
		b = wire.AppendString(b, id)
		b = appendMember(b, "kind", runnel.KindOf(err).String())
		return append(appendMember(b, "message", runnel.PublicMessage(err)), '}')
	})
}
