package functionurl

import (
	"context"
	"io"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// A textStream writes the text of one generation.
type textStream struct {
	w     http.ResponseWriter
	out   io.Writer
	begun bool
}

// copy copies the generation's text until its end.
func (s *textStream) copy(ctx context.Context, sessions runnel.Sessions, receipt runnel.Receipt) error {
	reader := answer.Follow(sessions, receipt)
	for {
		pieces, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		done, err := s.forward(pieces)
		if done || err != nil {
			return err
		}
	}
}

// forward writes the text of pieces, all at once, and reports whether the
// answer has ended.
func (s *textStream) forward(pieces []answer.Piece) (done bool, err error) {
	var text []byte
	for i := range pieces {
		text = append(text, pieces[i].Text...)
		if end := pieces[i].End; end != nil {
			done = true
			if end.Type == runnel.EventFailed {
				err = modelError(end.Failure)
			}
		}
	}
	if len(text) == 0 || (err != nil && !s.begun) { // a status says more than half a text
		return done, err
	}
	s.begin()
	if _, werr := s.out.Write(text); werr != nil {
		return false, werr
	}
	return done, err
}

// begin writes the head, once.
func (s *textStream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff") // a browser that sniffs holds text back
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}
