package bedrock_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	ours "github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

// FuzzRequest: any body is refused as invalid or is a prompt that can be stored.
func FuzzRequest(f *testing.F) {
	f.Add("", []byte(hello))
	f.Add("", []byte(`{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"json":{"b":1}}]}}]}],"toolConfig":{"toolChoice":{"any":{}}}}`))
	for _, fam := range families {
		f.Add(fam.id, []byte(fam.body))
	}
	f.Add("x", []byte(`{"prompt":"[INST] <<SYS>>be<</SYS>> Hi [/INST] Ho </s>[INST]","max_gen_len":1}`))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		p, err := bedrock.Read(id, data)
		if err != nil {
			if kind := runnel.KindOf(err); kind != runnel.Invalid {
				t.Errorf("%q: %v, which is %v", data, err, kind)
			}
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// FuzzFrames: whatever a model says, Amazon's decoder and ours find the same
// messages, each of which is JSON, and all of the text.
func FuzzFrames(f *testing.F) {
	f.Add(byte(0), "Hello", "hm", `{"a":1}`)
	f.Add(byte(3), "\x00\"\\\u2028<&>", "\xff\xfe", "")
	f.Fuzz(func(t *testing.T, which byte, text, reasoning, input string) {
		id, body := "", ""
		if n := int(which) % (len(families) + 1); n < len(families) {
			id, body = families[n].id, families[n].body
		}
		frames, err := bedrock.Framer(id, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var pieces []answer.Piece
		for _, p := range []answer.Piece{{Reasoning: reasoning}, {Text: text}, {Tool: &runnel.ToolDelta{ID: text, Name: reasoning, Input: input}}} {
			if p.Text != "" || p.Reasoning != "" || p.Tool != nil {
				pieces = append(pieces, p)
			}
		}
		out := frames.Frame(nil, append(pieces, answer.Piece{End: &runnel.Event{Type: runnel.EventDone, StopReason: runnel.StopReason(text)}}))
		out = frames.Fail(out, runnel.Errorf(runnel.Limited, "%s", text))

		theirs, in, mine := eventstream.NewDecoder(), bytes.NewReader(out), ours.NewReader(bytes.NewReader(out))
		var all strings.Builder
		for {
			m, err := mine.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			other, err := theirs.Decode(in, nil)
			if err != nil || !bytes.Equal(other.Payload, m.Payload) {
				t.Fatalf("theirs: %v, %q and %q", err, other.Payload, m.Payload)
			}
			collect(t, &all, m)
		}
		if want := strings.ToValidUTF8(text, "\uFFFD"); utf8.ValidString(text) && !strings.Contains(all.String(), want) {
			t.Errorf("%q is not in %q", want, all.String())
		}
	})
}

// collect appends all strings of a message.
func collect(t *testing.T, all *strings.Builder, m ours.Message) {
	t.Helper()
	payload := m.Payload
	if string(m.Header(":event-type")) == "chunk" {
		var chunk struct{ Bytes []byte }
		if err := json.Unmarshal(payload, &chunk); err != nil {
			t.Fatal(err)
		}
		payload = chunk.Bytes
	}
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		t.Fatalf("%v in %q", err, payload)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all.WriteString(v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
}

// A token is framed without allocating.
func TestFrameDoesNotAllocate(t *testing.T) {
	for _, fam := range append(families[:len(families):len(families)], struct{ name, id, body string }{"converse", "", ""}) {
		frames, err := bedrock.Framer(fam.id, []byte(fam.body))
		if err != nil {
			t.Fatal(err)
		}
		pieces := []answer.Piece{{Text: "Hello, \"wörld\""}}
		dst := frames.Frame(make([]byte, 0, 4096), pieces)
		if n := testing.AllocsPerRun(100, func() { dst = frames.Frame(dst[:0], pieces) }); n != 0 {
			t.Errorf("%s: %v allocations a token", fam.name, n)
		}
	}
}
