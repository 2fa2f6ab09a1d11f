package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// body is every member that any type of event has.
type body struct {
	V          int                 `json:"v"`
	Type       runnel.EventType    `json:"type"`
	Generation runnel.GenerationID `json:"generation"`
	Attempt    int                 `json:"attempt"`
	Prompt     string              `json:"prompt"`
	Model      string              `json:"model"`
	Text       string              `json:"text"`
	Reasoning  string              `json:"reasoning"`
	runnel.Seal
	Tool       *runnel.ToolDelta `json:"tool"`
	Progress   json.RawMessage   `json:"progress"`
	StopReason runnel.StopReason `json:"stop_reason"`
	Usage      *runnel.Usage     `json:"usage"`
	Kind       string            `json:"kind"`
	Message    string            `json:"message"`
	Data       json.RawMessage   `json:"data"`
}

// Decode reads a body. It keeps data as the event's Body and leaves Cursor,
// Session and Time alone; data must not be changed afterwards. A body of a
// newer version, or without a type, is an error.
func Decode(data []byte, ev *runnel.Event) error {
	ev.Body = data
	if decodeDelta(data, ev) {
		return nil
	}
	var b body
	if err := json.Unmarshal(data, &b); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	if b.V != Version || b.Type == "" {
		return fmt.Errorf("wire: cannot read an event of version %d and type %q", b.V, b.Type)
	}
	ev.Type, ev.Generation, ev.Attempt = b.Type, b.Generation, b.Attempt
	ev.Prompt, ev.Model, ev.Text, ev.Reasoning = b.Prompt, b.Model, b.Text, b.Reasoning
	ev.Tool, ev.Progress, ev.StopReason, ev.Usage = b.Tool, b.Progress, b.StopReason, b.Usage
	ev.Data = b.Data
	if b.Seal != (runnel.Seal{}) {
		ev.Seal = &b.Seal
	}
	if b.Type == runnel.EventFailed {
		ev.Failure = &runnel.Failure{Kind: b.Kind, Message: b.Message}
	}
	return nil
}

// decodeDelta reads a delta exactly as [Append] writes it, which is nearly all
// that a log holds, without the cost of encoding/json. It reports false, with
// ev unchanged, for everything else.
func decodeDelta(data []byte, ev *runnel.Event) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"v":1,"type":"delta","generation":"`))
	if !ok {
		return false
	}
	gen, rest, ok := bytes.Cut(rest, []byte(`","attempt":`))
	if !ok {
		return false
	}
	attempt, rest, ok := bytes.Cut(rest, []byte(`,"text":"`))
	if !ok {
		return false
	}
	text, ok := bytes.CutSuffix(rest, []byte(`"}`))
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(string(attempt), 10, 31)
	if err != nil || (len(attempt) > 1 && attempt[0] == '0') {
		return false
	}
	id, ok := unescape(gen)
	if !ok {
		return false
	}
	s, ok := unescape(text)
	if !ok {
		return false
	}
	ev.Type, ev.Generation, ev.Attempt, ev.Text = runnel.EventDelta, runnel.GenerationID(id), int(n), s
	return true
}

// unescape reads the inside of a JSON string with only the short escapes; it
// reports false for any other, and for what may not stand in a string.
func unescape(text []byte) (string, bool) {
	plain := true
	for _, b := range text {
		if b < ' ' || b == '"' {
			plain = false
			break
		}
		if b == '\\' {
			plain = false
		}
	}
	if !utf8.Valid(text) {
		return "", false
	}
	if plain {
		return string(text), true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b < ' ' || b == '"':
			return "", false
		case b != '\\':
			out = append(out, b)
			continue
		}
		i++
		if i == len(text) {
			return "", false
		}
		switch text[i] {
		case '"', '\\':
			out = append(out, text[i])
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		default:
			return "", false
		}
	}
	return string(out), true
}
