package openai

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
)

// respond makes a response.
func (h *Handler) respond(w http.ResponseWriter, r *http.Request) {
	data, err := h.readBody(w, r)
	var body responseRequest
	var p runnel.Prompt
	if err == nil {
		err = decode(data, &body)
	}
	if err == nil {
		p, err = body.prompt()
	}
	if err == nil && body.PreviousID != "" {
		err = h.goOn(r.Context(), &p, body.PreviousID)
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
	wire := &responseWire{gen: receipt.Generation, body: newResponse(receipt.Generation, body.Model, time.Now())}
	wire.body.echo(&body)
	if body.Background && !body.Stream {
		wire.body.Status = "queued"
		reply.JSON(w, http.StatusOK, wire.body)
		return
	}
	ctx, done := h.answers.Begin(r.Context())
	defer done()
	if !body.Background {
		defer h.answers.Leave(r, h.sessions, receipt.Generation, named, h.cfg.Disconnect, h.log)
	}
	reader := answer.Follow(h.sessions, receipt)
	if body.Stream {
		h.stream(ctx, w, r, reader, wire)
		return
	}
	h.respondWhole(ctx, w, r, reader, wire)
}

// goOn makes the prompt go on where an earlier response ended.
func (h *Handler) goOn(ctx context.Context, p *runnel.Prompt, previous string) error {
	gen, err := generationOf(previous)
	if err != nil {
		return invalid("previous_response_id", "there is no response with the id %.80q", previous)
	}
	g, err := h.sessions.Generation(ctx, gen)
	if err != nil {
		return err
	}
	if p.Session != "" && p.Session != g.Session {
		return invalid("previous_response_id", "that response is of another session than the metadata names")
	}
	p.Session, p.History = g.Session, true
	return nil
}

// respondWhole answers with the response when it is complete.
func (h *Handler) respondWhole(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, wire *responseWire) {
	for wire.said.end == nil {
		pieces, err := reader.Next(ctx)
		if err != nil {
			h.fail(w, r, cause(ctx, err))
			return
		}
		wire.Frame(nil, pieces) // for what it keeps
	}
	if end := wire.said.end; end.Type == runnel.EventFailed {
		h.fail(w, r, reply.ModelError(end.Failure))
		return
	}
	reply.JSON(w, http.StatusOK, wire.body)
}

// response answers how a response stands, or tells its events again.
func (h *Handler) response(w http.ResponseWriter, r *http.Request) {
	gen, err := generationOf(r.PathValue("id"))
	var g runnel.Generation
	if err == nil {
		g, err = h.sessions.Generation(r.Context(), gen)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	query := r.URL.Query()
	if stream, _ := strconv.ParseBool(query.Get("stream")); stream {
		h.again(w, r, &g, query.Get("starting_after"))
		return
	}
	body, err := h.snapshot(r.Context(), &g)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, body)
}

// again tells the events of a response from the one after that the client has.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, g *runnel.Generation, after string) {
	wire := &responseWire{gen: g.ID, body: newResponse(g.ID, g.Model, g.AcceptedAt)}
	if after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 {
			h.fail(w, r, invalid("starting_after", "starting_after must be the sequence number of an event"))
			return
		}
		wire.skip = n
	}
	ctx, done := h.answers.Begin(r.Context())
	defer done()
	h.stream(ctx, w, r, answer.Follow(h.source(g), runnel.Receipt{Session: g.Session, Generation: g.ID, Cursor: g.Cursor}), wire)
}

// snapshot returns the response object of a generation as it stands.
func (h *Handler) snapshot(ctx context.Context, g *runnel.Generation) (response, error) {
	body := newResponse(g.ID, g.Model, g.AcceptedAt)
	switch g.State {
	case runnel.Queued:
		body.Status = "queued"
		return body, nil
	case runnel.Running:
		return body, nil
	}
	turn, err := h.turn(ctx, g)
	if err != nil {
		return body, err
	}
	said, order := turnResult(turn)
	body.Output = said.output(g.ID, order)
	body.finish(turn.State, turn.StopReason, turn.Usage, turn.Failure)
	return body, nil
}

// cancel stops a response and answers how it stands.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) {
	gen, err := generationOf(r.PathValue("id"))
	var g runnel.Generation
	if err == nil {
		g, err = h.sessions.Cancel(r.Context(), gen)
	}
	var body response
	if err == nil {
		body, err = h.snapshot(r.Context(), &g)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !g.State.Ended() {
		body.Status = "cancelled" // it will be
	}
	reply.JSON(w, http.StatusOK, body)
}
