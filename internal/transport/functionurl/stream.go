package functionurl

import (
	"context"
	"io"
	"net/http"

	"github.com/runnelhq/runnel"
)

// A textStream writes the text of one generation.
type textStream struct {
	w          http.ResponseWriter
	out        io.Writer
	generation runnel.GenerationID
	answer     answer
	begun      bool
}

// copy copies the generation's text until its end.
func (s *textStream) copy(ctx context.Context, sessions runnel.Sessions, receipt runnel.Receipt) error {
	after := receipt.Cursor
	for {
		events, err := sessions.Read(ctx, receipt.Session, after)
		if err != nil {
			return err
		}
		done, err := s.forward(events)
		if done || err != nil {
			return err
		}
		if last := events[len(events)-1].Cursor; !last.IsZero() {
			after = last
		}
	}
}

// forward writes the text of events, all at once, and reports whether the
// generation has ended.
func (s *textStream) forward(events []runnel.Event) (done bool, err error) {
	var text []byte
	for i := range events {
		ev := &events[i]
		if ev.Generation != s.generation {
			continue
		}
		more, ok := s.answer.add(ev)
		if !ok {
			return false, errDiverged
		}
		text = append(text, more...)
		if done = ev.Type.Terminal(); done {
			if ev.Type == runnel.EventFailed {
				err = modelError(ev.Failure)
			}
			break
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
