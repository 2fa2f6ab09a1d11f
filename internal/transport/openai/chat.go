package openai

import (
	"context"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
)

// chat answers a request for a chat completion.
func (h *Handler) chat(w http.ResponseWriter, r *http.Request) {
	data, err := h.readBody(w, r)
	var body chatRequest
	var p runnel.Prompt
	if err == nil {
		err = decode(data, &body)
	}
	if err == nil {
		p, err = body.prompt()
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	receipt, named, err := h.submit(w, r, &p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	ctx, done := h.answers.Begin(r.Context())
	defer done()
	defer h.answers.Leave(r, h.sessions, receipt.Generation, named, h.cfg.Disconnect, h.log)
	reader := answer.Follow(h.sessions, receipt)
	wire := newChatWire(receipt.Generation, body.Model, time.Now())
	if !body.Stream {
		h.chatWhole(ctx, w, r, reader, wire)
		return
	}
	wire.usage = body.StreamOptions != nil && body.StreamOptions.IncludeUsage
	h.stream(ctx, w, r, reader, wire)
}

// chatWhole answers with the whole completion when it is there.
func (h *Handler) chatWhole(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, wire *chatWire) {
	var said result
	for said.end == nil {
		pieces, err := reader.Next(ctx)
		if err != nil {
			h.fail(w, r, cause(ctx, err))
			return
		}
		said.add(pieces)
	}
	if said.end.Type == runnel.EventFailed {
		h.fail(w, r, reply.ModelError(said.end.Failure))
		return
	}
	reply.JSON(w, http.StatusOK, wire.whole(&said))
}

// stream copies an answer to the client until its end.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, frames reply.Framer) {
	begun, err := reply.Stream(ctx, w, reader, frames, h.cfg.Stream)
	if err != nil && reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) && !begun {
		WriteError(w, err)
	}
}

// cause returns why ctx ended, if that is what err comes of.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
