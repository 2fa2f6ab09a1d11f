package wire

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// Version is the format's version, the "v" of every body.
const Version = 1

// Append appends the body of ev to dst: one line of JSON without a newline.
// It fails only if ev.Progress or ev.Data is not valid JSON.
func Append(dst []byte, ev *runnel.Event) ([]byte, error) {
	dst = append(dst, `{"v":1,"type":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, `","generation":`...)
	dst = AppendString(dst, string(ev.Generation))
	dst = append(dst, `,"attempt":`...)
	dst = strconv.AppendInt(dst, int64(ev.Attempt), 10)
	var err error
	switch ev.Type {
	case runnel.EventDelta, runnel.EventReasoning:
		dst = appendMember(dst, "text", ev.Text)
		if ev.Seal != nil {
			dst = appendSeal(dst, ev.Seal)
		}
	case runnel.EventQueued:
		dst = appendMember(dst, "prompt", ev.Prompt)
	case runnel.EventStarted:
		dst = appendMember(dst, "model", ev.Model)
	case runnel.EventReset:
		dst = appendMember(dst, "text", ev.Text)
		if ev.Reasoning != "" {
			dst = appendMember(dst, "reasoning", ev.Reasoning)
		}
	case runnel.EventTool:
		dst, err = appendJSON(dst, "tool", ev.Tool)
	case runnel.EventProgress:
		dst, err = appendJSON(dst, "progress", ev.Progress)
	case runnel.EventDone:
		dst = appendMember(dst, "stop_reason", string(ev.StopReason))
		dst, err = appendUsage(dst, ev.Usage)
	case runnel.EventFailed:
		if ev.Failure != nil {
			dst = appendMember(dst, "kind", ev.Failure.Kind)
			dst = appendMember(dst, "message", ev.Failure.Message)
		}
		dst, err = appendUsage(dst, ev.Usage)
	case runnel.EventCancelled:
		dst, err = appendUsage(dst, ev.Usage)
	}
	if ev.Data != nil && err == nil {
		dst, err = appendJSON(dst, "data", ev.Data)
	}
	return append(dst, '}'), err
}

func appendSeal(dst []byte, s *runnel.Seal) []byte {
	if s.Redacted != "" {
		return appendMember(dst, "redacted", s.Redacted)
	}
	return appendMember(dst, "signature", s.Signature)
}

func appendUsage(dst []byte, u *runnel.Usage) ([]byte, error) {
	if u == nil {
		return dst, nil
	}
	return appendJSON(dst, "usage", u)
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return AppendString(dst, value)
}

func appendJSON(dst []byte, name string, value any) ([]byte, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return dst, err
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return append(dst, b...), nil
}

// AppendString appends s to dst as a JSON string. Invalid UTF-8 becomes
// U+FFFD; nothing is escaped for the sake of HTML. Model output passes here
// for every token, which is why it is not left to encoding/json.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hex[r&15])
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
