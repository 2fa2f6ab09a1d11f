package function

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// text is an answer of bare text. It is complete when it ends.
type text struct {
	body io.Reader
	buf  []byte
	held int // bytes at the beginning of buf: half a character
}

// next implements [answer].
func (t *text) next(dst []runnel.Delta) ([]runnel.Delta, error) {
	n, err := t.body.Read(t.buf[t.held:])
	n += t.held
	whole := n
	if err == nil {
		whole = completeRunes(t.buf[:n])
	}
	if whole > 0 {
		dst = append(dst, runnel.Delta{Text: strings.ToValidUTF8(string(t.buf[:whole]), "\uFFFD")})
	}
	t.held = copy(t.buf, t.buf[whole:n])
	if errors.Is(err, io.EOF) {
		return append(dst, runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn}}), nil
	}
	return dst, err
}

// completeRunes returns how many bytes of b there are before a character that
// the next read may complete.
func completeRunes(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}

// whole is an answer in one piece of JSON.
type whole struct{ body io.Reader }

// next implements [answer].
func (w *whole) next(dst []runnel.Delta) ([]runnel.Delta, error) {
	data, err := io.ReadAll(io.LimitReader(w.body, function.MaxPayload))
	if err != nil {
		return dst, err
	}
	var said string
	if json.Unmarshal(data, &said) != nil {
		fr, err := parse(data)
		if err != nil {
			return dst, unreadable(err)
		}
		if fr.end.StopReason == "" {
			fr.end.StopReason = runnel.EndTurn
		}
		said = fr.text
		if said != "" {
			dst = append(dst, runnel.Delta{Text: said})
		}
		return append(dst, runnel.Delta{End: &fr.end}), nil
	}
	if said != "" {
		dst = append(dst, runnel.Delta{Text: strings.ToValidUTF8(said, "\uFFFD")})
	}
	return append(dst, runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn}}), nil
}
