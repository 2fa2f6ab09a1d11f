package upstream

import (
	"bufio"
	"bytes"
	"io"

	"github.com/runnelhq/runnel/internal/sse"
)

// maxFrame bounds what one frame may make the gateway hold. Deltas are a few
// hundred bytes; the largest frames are whole tool calls.
const maxFrame = 4 << 20

// A Format is how a body is cut into frames.
type Format struct {
	accept []string // media types, the first of which is asked for
	cut    func(io.Reader) frames
}

// EventStream is a body of server-sent events; a frame is the data of one.
func EventStream() Format {
	return Format{
		accept: []string{"text/event-stream"},
		cut:    func(body io.Reader) frames { return events{sse.NewReader(body, maxFrame)} },
	}
}

// Lines is a body in which each line is a frame.
func Lines() Format {
	return Format{
		accept: []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json"},
		cut: func(body io.Reader) frames {
			s := bufio.NewScanner(body)
			s.Buffer(nil, maxFrame)
			return lines{s}
		},
	}
}

// frames gives out one frame after the other, each valid until the next.
type frames interface {
	next() ([]byte, error)
}

type events struct{ *sse.Reader }

func (e events) next() ([]byte, error) {
	for {
		frame, err := e.Next()
		if err != nil || len(frame.Data) > 0 { // without data it only keeps the connection alive
			return frame.Data, err
		}
	}
}

type lines struct{ *bufio.Scanner }

func (l lines) next() ([]byte, error) {
	for l.Scan() {
		if line := bytes.TrimSpace(l.Bytes()); len(line) > 0 {
			return line, nil
		}
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}
