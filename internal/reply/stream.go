package reply

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/sse"
)

// A Framer turns an answer into the frames of a protocol.
type Framer interface {
	// Open appends what can be said before there is any piece; with nothing, a
	// failure before the first frame can still be a status.
	Open(dst []byte) []byte
	// Frame appends the frames of pieces, and, with the last one, what ends the
	// stream.
	Frame(dst []byte, pieces []answer.Piece) []byte
	// Fail appends the frame of a failure that ends the stream.
	Fail(dst []byte, err error) []byte
}

// A Former is a [Framer] of a protocol that is not one of server-sent events.
type Former interface {
	Framer
	// SetHeader sets the header of the response.
	SetHeader(h http.Header)
	// Beat appends a sign of life; nothing if the protocol has none.
	Beat(dst []byte) []byte
}

// Stream copies an answer to the client, in frames, until it ends or ctx is
// done, with a sign of life every heartbeat. It blocks.
//
// It returns nil after a whole answer. Any other end is told on the stream, if
// that has begun; if begun is false nothing was written, and the failure is the
// caller's to tell. A failure that comes of ctx is ctx's cause.
func Stream(ctx context.Context, w http.ResponseWriter, reader *answer.Reader, frames Framer, cfg sse.Config) (begun bool, err error) {
	cfg = cfg.WithDefaults()
	s := stream{w: w, out: sse.NewWriter(w, cfg.WriteTimeout), form: sseForm{}}
	if f, ok := frames.(Former); ok {
		s.form = f
	}
	err = s.copy(ctx, reader, frames, cfg.Heartbeat)
	if err != nil && s.begun {
		_ = s.write(frames.Fail(nil, err)) // a client that has left is not a failure
	}
	return s.begun, err
}

// A stream is a response that begins with its first frame.
type stream struct {
	w     http.ResponseWriter
	out   *sse.Writer
	form  form
	begun bool
}

// A form is what protocols differ in besides their frames.
type form interface {
	SetHeader(h http.Header)
	Beat(dst []byte) []byte
}

type sseForm struct{}

func (sseForm) SetHeader(h http.Header) { sse.SetHeader(h) }

func (sseForm) Beat(dst []byte) []byte { return append(dst, ": ping\n\n"...) }

func (s *stream) copy(ctx context.Context, reader *answer.Reader, frames Framer, heartbeat time.Duration) error {
	buf := frames.Open(nil)
	if err := s.write(buf); err != nil {
		return err
	}
	for {
		done, err := s.between(ctx, reader, frames, heartbeat, &buf)
		if done || err != nil {
			return err
		}
		if err := s.write(s.form.Beat(nil)); err != nil {
			return err
		}
	}
}

// between copies until it is time for a sign of life. One context serves all its
// reads: a new one for each would cost more than they do.
func (s *stream) between(ctx context.Context, reader *answer.Reader, frames Framer, heartbeat time.Duration, buf *[]byte) (done bool, err error) {
	beat, stop := context.WithTimeout(ctx, heartbeat)
	defer stop()
	for {
		pieces, err := reader.Next(beat)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded):
			return false, nil
		default:
			return false, err
		}
		last := pieces[len(pieces)-1].End
		if last != nil && last.Type == runnel.EventFailed && !s.begun {
			return false, ModelError(last.Failure) // a status says more than half an answer
		}
		*buf = frames.Frame((*buf)[:0], pieces)
		if err := s.write(*buf); err != nil || last != nil {
			return true, err
		}
	}
}

func (s *stream) write(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	if !s.begun {
		s.begun = true
		s.form.SetHeader(s.w.Header())
		s.w.WriteHeader(http.StatusOK)
	}
	_, err := s.out.Write(frames)
	return err
}
