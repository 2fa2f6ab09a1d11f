package anthropic

import (
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A decoder reads the events of one answer.
type decoder struct {
	end      runnel.End
	usage    runnel.Usage
	finished bool // a stop reason has come
	inCall   bool // the current block calls a tool of ours, not one of the server's
	calls    upstream.Calls
}

func newDecoder(gen runnel.GenerationID) *decoder {
	return &decoder{calls: upstream.NewCalls(gen)}
}

// An event has the members that matter of all types of events. Which of them are
// set depends on typ.
type event struct {
	typ   string
	index int

	text, thinking, partial string // of a delta, or of the block that starts
	signature, redacted     string // of thinking
	call                    bool   // a tool_use block starts
	hidden                  bool   // a redacted_thinking block starts
	id, name                string // of that block
	stopReason              string
	failure                 upstream.Failure
}

// Decode implements [upstream.Decoder].
func (d *decoder) Decode(dst []runnel.Delta, frame []byte) ([]runnel.Delta, error) {
	var ev event
	s := jsonscan.New(frame)
	for key := range s.Object() {
		switch string(key) {
		case "type":
			ev.typ = typeName(s.Bytes())
		case "index":
			ev.index = s.Int()
		case "delta", "content_block":
			ev.content(&s)
		case "message":
			d.message(&s)
		case "usage":
			d.addUsage(&s)
		case "error":
			ev.failure = readFailure(&s)
		}
	}
	if err := s.Done(); err != nil {
		return dst, err
	}
	switch ev.typ {
	case "message_start":
		if d.usage != (runnel.Usage{}) {
			sofar := d.usage
			dst = append(dst, runnel.Delta{Usage: &sofar})
		}
		return dst, nil
	case "content_block_start", "content_block_delta":
		return d.appendContent(dst, &ev), nil
	case "message_delta":
		if ev.stopReason != "" {
			d.end.StopReason, d.finished = stopReason(ev.stopReason), true
		}
		return d.calls.Close(dst), nil
	case "message_stop":
		return append(d.calls.Close(dst), runnel.Delta{End: d.stop()}), nil
	case "error":
		failure := ev.failure // a copy, so that other events stay off the heap
		return dst, &failure
	}
	return dst, nil
}

// Finished implements [upstream.Decoder].
func (d *decoder) Finished() *runnel.End {
	if !d.finished {
		return nil
	}
	return d.stop()
}

func (d *decoder) stop() *runnel.End {
	if d.usage != (runnel.Usage{}) {
		d.end.Usage = &d.usage
	}
	return &d.end
}

func (d *decoder) appendContent(dst []runnel.Delta, ev *event) []runnel.Delta {
	if ev.text != "" {
		dst = append(dst, runnel.Delta{Text: ev.text})
	}
	if ev.thinking != "" {
		dst = append(dst, runnel.Delta{Reasoning: ev.thinking})
	}
	if ev.signature != "" {
		dst = append(dst, runnel.Delta{Seal: &runnel.Seal{Signature: ev.signature}})
	}
	if ev.hidden && ev.redacted != "" {
		dst = append(dst, runnel.Delta{Seal: &runnel.Seal{Redacted: ev.redacted}})
	}
	if ev.typ == "content_block_start" {
		d.inCall = ev.call
	}
	if d.inCall {
		dst = d.calls.Append(dst, ev.index, ev.id, ev.name, ev.partial)
	}
	return dst
}

// content reads a delta or the beginning of a block. The input of a tool_use
// block is an empty object there; it comes with the deltas.
func (ev *event) content(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "text":
			ev.text = s.String()
		case "thinking":
			ev.thinking = s.String()
		case "partial_json":
			ev.partial = s.String()
		case "signature":
			ev.signature = s.String()
		case "data":
			ev.redacted = s.String()
		case "type":
			typ := s.Bytes()
			ev.call, ev.hidden = string(typ) == "tool_use", string(typ) == "redacted_thinking"
		case "id":
			ev.id = s.String()
		case "name":
			ev.name = s.String()
		case "stop_reason":
			ev.stopReason = s.String()
		}
	}
}

func (d *decoder) message(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "model":
			d.end.Model = s.String()
		case "usage":
			d.addUsage(s)
		}
	}
}

// addUsage reads token counts. They come in message_start and again, complete
// or only the output's, in message_delta; a later one replaces the earlier.
func (d *decoder) addUsage(s *jsonscan.Scanner) {
	for key := range s.Object() {
		switch string(key) {
		case "input_tokens":
			replace(&d.usage.InputTokens, s.Int())
		case "output_tokens":
			replace(&d.usage.OutputTokens, s.Int())
		case "cache_read_input_tokens":
			replace(&d.usage.CacheReadTokens, s.Int())
		case "cache_creation_input_tokens":
			replace(&d.usage.CacheWriteTokens, s.Int())
		}
	}
}

func replace(dst *int, n int) {
	if n > 0 {
		*dst = n
	}
}

// typeName returns an event's type, without a copy for those that come with
// every token.
func typeName(b []byte) string {
	if string(b) == "content_block_delta" {
		return "content_block_delta"
	}
	return string(b)
}

func stopReason(word string) runnel.StopReason {
	if word == "refusal" {
		return runnel.Filtered
	}
	return runnel.StopReason(word) // the other words are the same as ours
}

func readFailure(s *jsonscan.Scanner) upstream.Failure {
	var f upstream.Failure
	for key := range s.Object() {
		switch string(key) {
		case "type":
			f.Status = status(s.String())
		case "message":
			f.Detail = s.String()
		}
	}
	return f
}

// status returns the HTTP status that goes with a type of error.
func status(typ string) int {
	switch typ {
	case "invalid_request_error":
		return http.StatusBadRequest
	case "authentication_error":
		return http.StatusUnauthorized
	case "billing_error":
		return http.StatusPaymentRequired
	case "permission_error":
		return http.StatusForbidden
	case "not_found_error":
		return http.StatusNotFound
	case "request_too_large":
		return http.StatusRequestEntityTooLarge
	case "rate_limit_error":
		return http.StatusTooManyRequests
	case "timeout_error":
		return http.StatusGatewayTimeout
	case "overloaded_error":
		return 529
	default: // api_error, and what may be added
		return http.StatusInternalServerError
	}
}
