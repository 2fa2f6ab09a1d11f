package openai

import (
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A decoder reads the chunks of one answer.
type decoder struct {
	end      runnel.End
	finished bool // a finish_reason has come
	refused  bool // the model has said that it will not answer
	calls    upstream.Calls
}

func newDecoder(gen runnel.GenerationID) *decoder {
	return &decoder{calls: upstream.NewCalls(gen)}
}

// Decode implements [upstream.Decoder].
func (d *decoder) Decode(dst []runnel.Delta, frame []byte) ([]runnel.Delta, error) {
	if string(frame) == "[DONE]" {
		return append(d.calls.Close(dst), runnel.Delta{End: d.stop()}), nil
	}
	s := jsonscan.New(frame)
	var failure *upstream.Failure
	for key := range s.Object() {
		switch string(key) {
		case "choices":
			for range s.Array() {
				dst = d.choice(dst, &s)
			}
		case "usage":
			d.usage(&s)
		case "model":
			if model := s.Bytes(); d.end.Model == "" {
				d.end.Model = string(model)
			}
		case "error":
			failure = readFailure(&s)
		}
	}
	if err := s.Done(); err != nil {
		return dst, err
	}
	if failure != nil {
		return dst, failure
	}
	if d.finished {
		dst = d.calls.Close(dst)
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

// stop returns the end of the answer. Some servers say "stop" after a tool call
// too.
func (d *decoder) stop() *runnel.End {
	switch {
	case d.refused:
		d.end.StopReason = runnel.Filtered
	case d.calls.Any() && (d.end.StopReason == runnel.EndTurn || d.end.StopReason == ""):
		d.end.StopReason = runnel.ToolUse
	case d.end.StopReason == "":
		d.end.StopReason = runnel.EndTurn
	}
	return &d.end
}

func (d *decoder) choice(dst []runnel.Delta, s *jsonscan.Scanner) []runnel.Delta {
	for key := range s.Object() {
		switch string(key) {
		case "delta":
			dst = d.delta(dst, s)
		case "finish_reason":
			if reason := s.Bytes(); len(reason) > 0 {
				d.finished = true
				d.end.StopReason = stopReason(string(reason))
			}
		}
	}
	return dst
}

func (d *decoder) delta(dst []runnel.Delta, s *jsonscan.Scanner) []runnel.Delta {
	reasoned := false // some servers send both names for the same text
	for key := range s.Object() {
		switch string(key) {
		case "content":
			if text := s.String(); text != "" {
				dst = append(dst, runnel.Delta{Text: text})
			}
		case "reasoning_content", "reasoning":
			if text := s.String(); text != "" && !reasoned {
				reasoned = true
				dst = append(dst, runnel.Delta{Reasoning: text})
			}
		case "refusal":
			if text := s.String(); text != "" {
				d.refused = true
				dst = append(dst, runnel.Delta{Text: text})
			}
		case "tool_calls":
			for i := range s.Array() {
				dst = d.tool(dst, s, i)
			}
		}
	}
	return dst
}

// tool reads a fragment of a tool call. A server that sends calls whole may
// leave the index out; then the position counts.
func (d *decoder) tool(dst []runnel.Delta, s *jsonscan.Scanner, position int) []runnel.Delta {
	index := position
	var id, name, input string
	for key := range s.Object() {
		switch string(key) {
		case "index":
			index = s.Int()
		case "id":
			id = s.String()
		case "function":
			for key := range s.Object() {
				switch string(key) {
				case "name":
					name = s.String()
				case "arguments":
					input = s.String()
				}
			}
		}
	}
	return d.calls.Append(dst, index, id, name, input)
}

// usage reads the token counts, which come once, or with every chunk and rising.
func (d *decoder) usage(s *jsonscan.Scanner) {
	if s.Kind() != '{' {
		return
	}
	u := &runnel.Usage{}
	for key := range s.Object() {
		switch string(key) {
		case "prompt_tokens":
			u.InputTokens = s.Int()
		case "completion_tokens":
			u.OutputTokens = s.Int()
		case "prompt_tokens_details":
			for key := range s.Object() {
				if string(key) == "cached_tokens" {
					u.CacheReadTokens = s.Int()
				}
			}
		case "completion_tokens_details":
			for key := range s.Object() {
				if string(key) == "reasoning_tokens" {
					u.ReasoningTokens = s.Int()
				}
			}
		}
	}
	d.end.Usage = u
}

func stopReason(word string) runnel.StopReason {
	switch word {
	case "stop":
		return runnel.EndTurn
	case "length":
		return runnel.MaxTokens
	case "tool_calls", "function_call":
		return runnel.ToolUse
	case "content_filter":
		return runnel.Filtered
	default:
		return runnel.StopReason(word)
	}
}

// readFailure reads the member error: an object or a text. It is nil for null.
func readFailure(s *jsonscan.Scanner) *upstream.Failure {
	switch s.Kind() {
	case 'n':
		return nil
	case '"':
		return &upstream.Failure{Status: 500, Detail: s.String()}
	}
	f := &upstream.Failure{}
	for key := range s.Object() {
		name := string(key)
		switch value := s.Raw(); name {
		case "message":
			f.Detail = string(value)
		case "code", "type":
			if status := status(string(value)); f.Status == 0 {
				f.Status = status
			}
		}
	}
	if f.Status == 0 {
		f.Status = 500
	}
	return f
}

// status turns the code or type of a failure into an HTTP status; 0 for a word
// that it does not know.
func status(literal string) int {
	word, err := strconv.Unquote(literal)
	if err != nil {
		word = literal
	}
	if n, err := strconv.Atoi(word); err == nil && n >= 400 && n < 600 {
		return n
	}
	switch word {
	case "rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "tokens", "requests":
		return 429
	case "invalid_request_error", "context_length_exceeded", "BadRequestError":
		return 400
	case "invalid_api_key", "authentication_error", "permission_error":
		return 401
	case "model_not_found", "not_found_error", "NotFoundError":
		return 404
	case "server_error", "overloaded_error", "unavailable_error", "service_unavailable":
		return 503
	}
	return 0
}
