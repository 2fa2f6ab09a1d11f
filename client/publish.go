package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/runnelhq/runnel"
)

// A Piece is a part of an answer that the caller produces, in place of a model of
// the gateway's.
type Piece struct {
	// Type is EventStarted, which begins an answer, EventDelta,
	// EventReasoning, EventProgress, or EventDone or EventFailed, which end it.
	Type       runnel.EventType
	Text       string            // delta, reasoning
	Progress   json.RawMessage   // progress: any JSON
	StopReason runnel.StopReason // done; empty means end_turn
	Usage      *runnel.Usage     // done
	Failure    *runnel.Failure   // failed

	Data       json.RawMessage     // for readers, with the event of this piece; any JSON, or nil
	Generation runnel.GenerationID // that it belongs to; empty means the session's open one
	Model      string              // in an answer's first piece: what produces it
	Prompt     string              // in an answer's first piece: the question

	// IdempotencyKey makes this call and any other with the same key, for some
	// minutes, one and the same. Empty means a fresh one.
	IdempotencyKey string
}

// Publish adds a piece to an answer in the session. When it returns nil the piece
// is durable and will be an event, after those of the pieces before it. An error
// of kind Cancelled says that the answer was stopped: the caller should stop, too.
func (c *Client) Publish(ctx context.Context, id runnel.SessionID, p Piece) (runnel.Receipt, error) {
	var r runnel.Receipt
	body, err := json.Marshal(p.body())
	if err != nil {
		return r, fmt.Errorf("client: publish: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {cmp.Or(p.IdempotencyKey, rand.Text())}}
	if err := c.call(ctx, http.MethodPost, header, body, &r, "sessions", string(id), "events"); err != nil {
		return r, fmt.Errorf("client: publish to session %s: %w", id, err)
	}
	return r, nil
}

// body returns what goes over the wire: the gateway refuses members that do not
// belong to the type.
func (p *Piece) body() map[string]any {
	b := map[string]any{"type": p.Type}
	switch p.Type {
	case runnel.EventDelta, runnel.EventReasoning:
		b["text"] = p.Text
	case runnel.EventProgress:
		b["progress"] = p.Progress
	case runnel.EventDone:
		b["stop_reason"], b["usage"] = cmp.Or(p.StopReason, runnel.EndTurn), p.Usage
	case runnel.EventFailed:
		if p.Failure != nil {
			b["kind"], b["message"] = p.Failure.Kind, p.Failure.Message
		}
	default:
	}
	if p.Data != nil {
		b["data"] = p.Data
	}
	for name, value := range map[string]string{"generation": string(p.Generation), "model": p.Model, "prompt": p.Prompt} {
		if value != "" {
			b[name] = value
		}
	}
	return b
}
