package function

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
	"github.com/runnelhq/runnel/internal/provider/upstream"
	"github.com/runnelhq/runnel/internal/sse"
)

const (
	maxFrame    = 4 << 20  // bytes of a line, or an event
	maxProgress = 64 << 10 // bytes of a status
)

// lines returns what gives out the lines of a body that are not empty.
func lines(body io.Reader) func() ([]byte, error) {
	s := bufio.NewScanner(body)
	s.Buffer(nil, maxFrame)
	return func() ([]byte, error) {
		for s.Scan() {
			if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
				return line, nil
			}
		}
		if err := s.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
}

// events returns what gives out the data of a body's events.
func events(body io.Reader) func() ([]byte, error) {
	r := sse.NewReader(body, maxFrame)
	return func() ([]byte, error) {
		for {
			frame, err := r.Next()
			if err != nil || len(frame.Data) > 0 { // without data it only keeps the connection alive
				return frame.Data, err
			}
		}
	}
}

// frames is an answer of typed objects.
type frames struct {
	cut   func() ([]byte, error)
	calls upstream.Calls
	seen  int // calls without an index
}

func newFrames(cut func() ([]byte, error), gen runnel.GenerationID) *frames {
	return &frames{cut: cut, calls: upstream.NewCalls(gen)}
}

// next implements [answer].
func (f *frames) next(dst []runnel.Delta) ([]runnel.Delta, error) {
	frame, err := f.cut()
	switch {
	case errors.Is(err, io.EOF):
		return dst, runnel.Errorf(runnel.Unavailable, "the function broke off its answer").Because(io.ErrUnexpectedEOF)
	case errors.Is(err, bufio.ErrTooLong) || errors.Is(err, sse.ErrTooLong):
		return dst, unreadable(err)
	case err != nil:
		return dst, err
	}
	return f.decode(dst, frame)
}

// A frame is all that an object may say.
type frame struct {
	kind, text, message, failure string
	progress                     string
	tool                         *runnel.ToolDelta
	numbered                     bool // the tool has an index
	end                          runnel.End
}

func (f *frames) decode(dst []runnel.Delta, data []byte) ([]runnel.Delta, error) {
	fr, err := parse(data)
	if err != nil {
		return dst, unreadable(err)
	}
	switch strings.TrimPrefix(fr.kind, "generation.") {
	case "delta":
		if fr.text != "" {
			dst = append(dst, runnel.Delta{Text: fr.text})
		}
	case "reasoning":
		if fr.text != "" {
			dst = append(dst, runnel.Delta{Reasoning: fr.text})
		}
	case "tool":
		if t := fr.tool; t != nil {
			if !fr.numbered {
				t.Index = -1 - f.seen
				f.seen++
			}
			dst = f.calls.Append(dst, t.Index, t.ID, t.Name, t.Input)
		}
	case "progress":
		if fr.progress != "" && len(fr.progress) <= maxProgress && json.Valid([]byte(fr.progress)) {
			dst = append(dst, runnel.Delta{Progress: fr.progress})
		}
	case "done":
		if fr.end.StopReason == "" {
			fr.end.StopReason = runnel.EndTurn
			if f.calls.Any() {
				fr.end.StopReason = runnel.ToolUse
			}
		}
		return append(f.calls.Close(dst), runnel.Delta{End: &fr.end}), nil
	case "failed":
		kind := runnel.ParseKind(fr.failure)
		if kind != runnel.Limited && kind != runnel.Invalid {
			kind = runnel.Unavailable
		}
		return dst, &failure{kind: kind, message: fr.message}
	}
	return dst, nil
}

func parse(data []byte) (fr frame, err error) {
	s := jsonscan.New(data)
	for key := range s.Object() {
		switch string(key) {
		case "type":
			fr.kind = s.String()
		case "text":
			fr.text = s.String()
		case "message":
			fr.message = s.String()
		case "kind":
			fr.failure = s.String()
		case "model":
			fr.end.Model = s.String()
		case "stop_reason":
			fr.end.StopReason = runnel.StopReason(s.String())
		case "progress":
			fr.progress = string(s.Raw())
		case "usage":
			fr.end.Usage = readUsage(&s)
		case "tool":
			fr.tool, fr.numbered = readTool(&s)
		}
	}
	return fr, s.Done()
}

func readTool(s *jsonscan.Scanner) (t *runnel.ToolDelta, numbered bool) {
	t = new(runnel.ToolDelta)
	for key := range s.Object() {
		switch string(key) {
		case "index":
			t.Index, numbered = s.Int(), true
		case "id":
			t.ID = s.String()
		case "name":
			t.Name = s.String()
		case "input":
			if s.Kind() == '{' {
				t.Input = string(s.Raw())
			} else {
				t.Input = s.String()
			}
		}
	}
	return t, numbered
}

func readUsage(s *jsonscan.Scanner) *runnel.Usage {
	var u runnel.Usage
	for key := range s.Object() {
		switch string(key) {
		case "input_tokens":
			u.InputTokens = s.Int()
		case "output_tokens":
			u.OutputTokens = s.Int()
		case "cache_read_tokens":
			u.CacheReadTokens = s.Int()
		case "cache_write_tokens":
			u.CacheWriteTokens = s.Int()
		case "reasoning_tokens":
			u.ReasoningTokens = s.Int()
		}
	}
	if u == (runnel.Usage{}) {
		return nil
	}
	return &u
}
