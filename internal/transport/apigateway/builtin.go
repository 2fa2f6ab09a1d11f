package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// A prompt is a message to a built-in route. Members that it does not know are
// for others.
type prompt struct {
	Text    string `json:"text"`   // of sendtext
	Prompt  string `json:"prompt"` // of stream; either will do
	Session string `json:"sessionId"`
	Options struct {
		MaxTokens int `json:"max_tokens"`
	} `json:"options"`

	// After goes on with a generation, the session's next one if none is named,
	// behind a cursor that any door has given.
	After      *runnel.Cursor      `json:"after"`
	Generation runnel.GenerationID `json:"generation"`
	// Cursor asks the stream route for cursors.
	Cursor bool `json:"cursor"`
	// Key makes it safe to send the message again.
	Key string `json:"idempotencyKey"`
}

// builtin answers a message by the session's log.
func (c *connection) builtin(route *wsapi.Route, message []byte, request string) {
	var p prompt
	if err := json.Unmarshal(message, &p); err != nil {
		p = prompt{}
		if route.Key != wsapi.Default || route.Integration == wsapi.Stream {
			c.refuse(c.newView(route, request, false), runnel.Errorf(runnel.Invalid, "the message must be a JSON object").Because(err))
			return
		}
		p.Text = string(message) // as it was typed
	}
	v := c.newView(route, request, p.Cursor)
	if !c.begin() {
		c.refuse(v, errTooMany)
		return
	}
	receipt, err := c.receipt(route, &p)
	if err != nil {
		c.done()
		c.refuse(v, err)
		return
	}
	c.set.work.Go(func() {
		defer c.done()
		c.follow(receipt, v)
	})
}

// receipt submits the prompt, or finds what is to be gone on with.
func (c *connection) receipt(route *wsapi.Route, p *prompt) (runnel.Receipt, error) {
	ctx := c.ws.Context()
	id := c.session
	if p.Session != "" {
		id = runnel.SessionID(p.Session)
	}
	if err := id.Validate(); err != nil {
		return runnel.Receipt{}, err
	}
	text := p.Text
	if text == "" {
		text = p.Prompt
	}
	if p.After != nil && text == "" {
		return runnel.Receipt{Session: id, Generation: p.Generation, Cursor: *p.After}, nil
	}
	switch {
	case strings.TrimSpace(text) == "":
		return runnel.Receipt{}, runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case p.Options.MaxTokens < 0:
		return runnel.Receipt{}, runnel.Errorf(runnel.Invalid, "max_tokens must be at least 1")
	}
	return c.set.sessions.Submit(ctx, runnel.Submission{IdempotencyKey: p.Key, Prompt: runnel.Prompt{
		Session: id, Model: route.Model, System: route.System, MaxTokens: p.Options.MaxTokens, History: true,
		Messages: []runnel.Message{runnel.TextMessage(runnel.User, text)},
	}})
}

// refuse tells the client why its message comes to nothing. It is called where
// the connection is read, so it does not wait.
func (c *connection) refuse(v view, err error) {
	c.set.failed(c, err)
	_ = c.ws.Send(v.fail(nil, err)) // else the client is cut off, or gone
}

// follow shows a generation until its end, or the connection's.
func (c *connection) follow(receipt runnel.Receipt, v view) {
	ctx := c.ws.Context()
	if receipt.Generation == "" {
		var err error
		if receipt.Generation, err = c.set.next(ctx, receipt.Session, receipt.Cursor); err != nil {
			c.stopped(ctx, v, err)
			return
		}
	}
	if err := c.show(ctx, answer.Follow(c.set.sessions, receipt), v); err != nil {
		c.stopped(ctx, v, err)
	}
}

// show writes what the reader hands out until the end of the answer.
func (c *connection) show(ctx context.Context, r *answer.Reader, v view) error {
	var frames []byte
	for {
		pieces, err := r.Next(ctx)
		if err != nil {
			return err
		}
		var ended bool
		if frames, ended = show(v, frames[:0], pieces, r.After()); len(frames) > 0 {
			if err := c.ws.Write(ctx, frames); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// stopped ends a view early, unless it is that the client has left.
func (c *connection) stopped(ctx context.Context, v view, err error) {
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, answer.ErrDiverged) {
		err = runnel.Errorf(runnel.Conflict, "the answer was begun again and says something else now").Because(err)
	}
	c.set.failed(c, err)
	if frames := v.fail(nil, err); len(frames) > 0 {
		_ = c.ws.Write(ctx, frames) // the connection is gone, then
	}
}

// next waits for the first event behind a cursor and returns its generation.
func (h *Handler) next(ctx context.Context, id runnel.SessionID, after runnel.Cursor) (runnel.GenerationID, error) {
	for {
		events, err := h.sessions.Read(ctx, id, after)
		if err != nil {
			return "", err
		}
		for i := range events {
			if gen := events[i].Generation; gen != "" {
				return gen, nil
			}
			if !events[i].Cursor.IsZero() {
				after = events[i].Cursor
			}
		}
	}
}

// watch shows, as bare text, whatever is said in the connection's session from
// now on, one generation after the other.
func (c *connection) watch() {
	ctx := c.ws.Context()
	at, err := c.set.sessions.End(ctx, c.session)
	for err == nil {
		var gen runnel.GenerationID
		if gen, err = c.set.next(ctx, c.session, at); err != nil {
			break
		}
		r := answer.Follow(c.set.sessions, runnel.Receipt{Session: c.session, Generation: gen, Cursor: at})
		if err = c.show(ctx, r, lexView{}); errors.Is(err, answer.ErrDiverged) {
			err = nil // the client has another way to the whole answer
		}
		at = r.After()
	}
	if ctx.Err() == nil {
		c.set.failed(c, err)
	}
}
