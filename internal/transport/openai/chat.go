package openai

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/sse"
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
	ctx, done := h.under(r)
	defer done()
	defer h.left(r, receipt, named)
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
		h.fail(w, r, modelError(said.end.Failure))
		return
	}
	writeJSON(w, http.StatusOK, wire.whole(&said))
}

// A framer turns the pieces of an answer into frames of an event stream.
type framer interface {
	// open appends what can be said before there is any piece.
	open(dst []byte) []byte
	// frame appends the frames of pieces, and, with the last, what ends the
	// stream.
	frame(dst []byte, pieces []answer.Piece) []byte
	// fail appends the frame of a failure that ends the stream.
	fail(dst []byte, err error) []byte
}

// stream copies an answer to the client until its end, with a sign of life now
// and then. Until the first frame a failure is a status.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, frames framer) {
	out := &stream{w: w, out: sse.NewWriter(w, h.cfg.Stream.WriteTimeout)}
	err := h.copy(ctx, out, reader, frames)
	if err == nil || !h.record(w, r, err) {
		return
	}
	if !out.begun {
		WriteError(w, err)
		return
	}
	_ = out.write(frames.fail(nil, err)) // a client that has left is not a failure
}

func (h *Handler) copy(ctx context.Context, out *stream, reader *answer.Reader, frames framer) error {
	buf := frames.open(nil)
	if err := out.write(buf); err != nil {
		return err
	}
	for {
		beat, stop := context.WithTimeout(ctx, h.cfg.Stream.Heartbeat)
		for {
			pieces, err := reader.Next(beat)
			if err != nil {
				stop()
				if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
					break
				}
				return cause(ctx, err)
			}
			last := pieces[len(pieces)-1].End
			if last != nil && last.Type == runnel.EventFailed && !out.begun {
				stop()
				return modelError(last.Failure) // a status says more than half an answer
			}
			buf = frames.frame(buf[:0], pieces)
			if err := out.write(buf); err != nil || last != nil {
				stop()
				return err
			}
		}
		if err := out.write([]byte(": ping\n\n")); err != nil {
			return err
		}
	}
}

// cause returns why ctx ended, if that is what err comes of.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A stream is a response that begins with its first frame.
type stream struct {
	w     http.ResponseWriter
	out   io.Writer
	begun bool
}

func (s *stream) write(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	if !s.begun {
		s.begun = true
		sse.SetHeader(s.w.Header())
		s.w.WriteHeader(http.StatusOK)
	}
	_, err := s.out.Write(frames)
	return err
}
