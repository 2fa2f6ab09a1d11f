package sse_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/wire"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	at := runnel.Cursor{Epoch: "e", Seq: 7}
	for _, tt := range []struct {
		name, got, want string
	}{
		{"event", string(sse.AppendEvent(nil, &runnel.Event{Cursor: at, Type: "delta", Body: []byte(`{"v":1}`)})),
			"id: e-7\nevent: delta\ndata: {\"v\":1}\n\n"},
		{"without a cursor", string(sse.AppendEvent([]byte("x"), &runnel.Event{Type: "reset", Body: []byte(`{}`)})),
			"xevent: reset\ndata: {}\n\n"},
		{"error", string(sse.AppendError(nil, runnel.Errorf(runnel.Gone, "too\nold"))),
			"event: error\ndata: {\"kind\":\"gone\",\"message\":\"too\\nold\"}\n\n"},
		{"internal error", string(sse.AppendError(nil, errors.New("secret"))),
			"event: error\ndata: {\"kind\":\"internal\",\"message\":\"internal error\"}\n\n"},
		{"retry", string(sse.AppendRetry(nil, 1500*time.Millisecond)), "retry: 1500\n\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// FuzzFrame holds the writing side to the reading one, with whatever text a
// model may produce.
func FuzzFrame(f *testing.F) {
	f.Add("plain")
	f.Add("a\r\nb\rc\n\ndata: d\u2028\x00")
	f.Fuzz(func(t *testing.T, text string) {
		ev := runnel.Event{Cursor: runnel.Cursor{Epoch: "e", Seq: 1}, Type: runnel.EventDelta, Text: text}
		body, err := wire.Append(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		ev.Body = body
		r := sse.NewReader(bytes.NewReader(sse.AppendEvent(nil, &ev)), 1<<20)
		got, err := r.Next()
		if err != nil || !bytes.Equal(got.Data, body) || string(got.Type) != "delta" || string(got.ID) != "e-1" {
			t.Fatalf("%q came back as %q, %v", body, got.Data, err)
		}
		if extra, err := r.Next(); err == nil {
			t.Fatalf("%q made another frame: %q", text, extra.Data)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	ev := runnel.Event{Cursor: runnel.Cursor{Epoch: "abcdefgh", Seq: 123456}, Type: runnel.EventDelta, Body: bytes.Repeat([]byte("x"), 120)}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = sse.AppendEvent(buf[:0], &ev)
	}
}
