package function

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// Check reads an answer and checks what holds for all of them.
func Check(t *testing.T, contentType string, data []byte) {
	t.Helper()
	resp := &function.Response{ContentType: contentType, Streamed: true, Body: io.NopCloser(bytes.NewReader(data))}
	a, err := begin(resp, "g")
	if err != nil {
		return
	}
	for range len(data) + 2 {
		deltas, err := a.next(nil)
		for _, d := range deltas {
			if !utf8.ValidString(d.Text+d.Reasoning) || d.Progress != "" && !json.Valid([]byte(d.Progress)) {
				t.Fatalf("%q gives %+v", data, d)
			}
			if d.Tool != nil && d.Tool.Index < 0 {
				t.Fatalf("%q gives a call %+v", data, d.Tool)
			}
			if d.End != nil {
				return
			}
		}
		if err != nil {
			if runnel.KindOf(classify(t.Context(), err)) == runnel.Internal {
				t.Fatalf("%q fails as if by our fault: %v", data, err)
			}
			return
		}
	}
	t.Fatalf("%q has no end", data)
}
