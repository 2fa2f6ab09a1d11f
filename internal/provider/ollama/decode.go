package ollama

import (
	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/jsonscan"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// A decoder reads the lines of one answer.
type decoder struct {
	end   runnel.End
	usage runnel.Usage
	calls upstream.Calls
	seen  int // tool calls
}

func newDecoder(gen runnel.GenerationID) *decoder {
	return &decoder{calls: upstream.NewCalls(gen)}
}

// Decode implements [upstream.Decoder].
func (d *decoder) Decode(dst []runnel.Delta, frame []byte) ([]runnel.Delta, error) {
	var done bool
	var failure, reason string
	s := jsonscan.New(frame)
	for key := range s.Object() {
		switch string(key) {
		case "message":
			dst = d.message(dst, &s)
		case "done":
			done = s.Bool()
		case "done_reason":
			reason = s.String()
		case "model":
			if model := s.Bytes(); d.end.Model == "" {
				d.end.Model = string(model)
			}
		case "prompt_eval_count":
			d.usage.InputTokens = s.Int()
		case "eval_count":
			d.usage.OutputTokens = s.Int()
		case "error":
			failure = s.String()
		}
	}
	switch err := s.Done(); {
	case err != nil:
		return dst, err
	case failure != "":
		return dst, &upstream.Failure{Status: 500, Detail: failure}
	case done:
		return append(d.calls.Close(dst), runnel.Delta{End: d.stop(reason)}), nil
	}
	return dst, nil
}

// Finished implements [upstream.Decoder]. The line that says so is the last.
func (d *decoder) Finished() *runnel.End { return nil }

func (d *decoder) stop(reason string) *runnel.End {
	if d.usage != (runnel.Usage{}) {
		d.end.Usage = &d.usage
	}
	switch reason {
	case "", "stop":
		d.end.StopReason = runnel.EndTurn
		if d.calls.Any() {
			d.end.StopReason = runnel.ToolUse
		}
	case "length":
		d.end.StopReason = runnel.MaxTokens
	default:
		d.end.StopReason = runnel.StopReason(reason)
	}
	return &d.end
}

func (d *decoder) message(dst []runnel.Delta, s *jsonscan.Scanner) []runnel.Delta {
	for key := range s.Object() {
		switch string(key) {
		case "content":
			if text := s.String(); text != "" {
				dst = append(dst, runnel.Delta{Text: text})
			}
		case "thinking":
			if text := s.String(); text != "" {
				dst = append(dst, runnel.Delta{Reasoning: text})
			}
		case "tool_calls":
			for range s.Array() {
				dst = d.tool(dst, s)
			}
		}
	}
	return dst
}

// tool reads a whole call. Its number is ours: each is a call of its own, and
// the index that newer versions send begins again in every line.
func (d *decoder) tool(dst []runnel.Delta, s *jsonscan.Scanner) []runnel.Delta {
	var id, name, input string
	for key := range s.Object() {
		switch string(key) {
		case "id":
			id = s.String()
		case "function":
			for key := range s.Object() {
				switch string(key) {
				case "name":
					name = s.String()
				case "arguments":
					if s.Kind() == '{' {
						input = string(s.Raw())
					}
				}
			}
		}
	}
	d.seen++
	return d.calls.Append(dst, d.seen, id, name, input)
}
