package sse_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/sse"
)

// frame is a sse.Frame that may be kept.
type frame struct{ Type, Data, ID string }

func readAll(src io.Reader, limit int) (frames []frame, err error) {
	r := sse.NewReader(src, limit)
	for {
		f, err := r.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame{string(f.Type), string(f.Data), string(f.ID)})
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []frame
		err      error
	}{
		{"nothing", "", nil, io.EOF},
		{"one", "data: a\n\n", []frame{{Data: "a"}}, io.EOF},
		{"type and id", "event: e\nid: 7\ndata: a\n\ndata: b\n\n", []frame{{"e", "a", "7"}, {"", "b", "7"}}, io.EOF},
		{"id is forgotten", "id: 7\ndata: a\n\nid\ndata: b\n\n", []frame{{"", "a", "7"}, {"", "b", ""}}, io.EOF},
		{"id with a zero byte", "id: 7\nid: 8\x00\ndata: a\n\n", []frame{{"", "a", "7"}}, io.EOF},
		{"id without data", "id: 7\n\ndata: a\n\n", []frame{{"", "a", "7"}}, io.EOF},
		{"lines", "data: a\ndata:  b\ndata:\ndata\n\n", []frame{{Data: "a\n b\n\n"}}, io.EOF},
		{"empty data", "data\n\ndata:\n\n", []frame{{}, {}}, io.EOF},
		{"no data", "event: e\n\ndata: a\n\n", []frame{{Data: "a"}}, io.EOF},
		{"carriage returns", "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", []frame{{Data: "a"}, {Data: "b"}, {Data: "c"}}, io.EOF},
		{"mark", "\uFEFFdata: a\n\n\uFEFFdata: b\n\n", []frame{{Data: "a"}}, io.EOF},
		{"comments and strangers", ": hi\n\nretry: 5\nfoo: bar\nDATA: x\ndata : y\ndata: a\n\n", []frame{{Data: "a"}}, io.EOF},
		{"cut in a line", "data: a\n\ndata: b", []frame{{Data: "a"}}, io.ErrUnexpectedEOF},
		{"cut between lines", "data: a\n\ndata: b\n", []frame{{Data: "a"}}, io.ErrUnexpectedEOF},
		{"cut after a type", "event: e\n", nil, io.ErrUnexpectedEOF},
		{"ends with a comment", "data: a\n\n: bye\n", []frame{{Data: "a"}}, io.EOF},
		{"longest line", "data:" + strings.Repeat("x", 95) + "\n\n", []frame{{Data: strings.Repeat("x", 95)}}, io.EOF},
		{"line too long", strings.Repeat("x", 102), nil, sse.ErrTooLong},
		{"data too long", strings.Repeat("data: xxxxxxxxx\n", 11) + "\n", nil, sse.ErrTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			readers := map[string]io.Reader{
				"whole":         strings.NewReader(tt.in),
				"byte by byte":  iotest.OneByteReader(strings.NewReader(tt.in)),
				"data with EOF": iotest.DataErrReader(strings.NewReader(tt.in)),
			}
			for how, src := range readers {
				got, err := readAll(src, 100)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
				if !errors.Is(err, tt.err) {
					t.Errorf("%s: got %v, want %v", how, err, tt.err)
				}
			}
		})
	}
}

// TestReaderDoesNotWait gives the reader everything but the line feed after the
// carriage return that ends a frame: the frame must not wait for it.
func TestReaderDoesNotWait(t *testing.T) {
	t.Parallel()
	stall := errors.New("would block here")
	r := sse.NewReader(io.MultiReader(strings.NewReader("data: a\r\n\r"), iotest.ErrReader(stall)), 100)
	if f, err := r.Next(); err != nil || string(f.Data) != "a" {
		t.Fatalf("got %q and %v", f.Data, err)
	}
	if _, err := r.Next(); !errors.Is(err, stall) {
		t.Errorf("got %v, want the source's error", err)
	}
}

func TestReaderGivesUpOnIdleSource(t *testing.T) {
	t.Parallel()
	if _, err := sse.NewReader(idle{}, 100).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// FuzzReader holds the reader to a plain reading of the standard, and checks
// that it does not matter how the bytes arrive.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\uFEFFevent: e\r\nid: 1\rdata: a\ndata:b\n\r\n: c\n\ndata\n\nid:\x00\ndata"))
	f.Fuzz(func(t *testing.T, in []byte) {
		want := reference(string(in))
		whole, err := readAll(bytes.NewReader(in), len(in)+1)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, whole); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", in, diff)
		}
		slow, _ := readAll(iotest.OneByteReader(bytes.NewReader(in)), len(in)+1)
		if diff := cmp.Diff(want, slow); diff != "" {
			t.Fatalf("%q byte by byte (-want +got):\n%s", in, diff)
		}
	})
}

// reference reads a whole stream as the standard's steps say it.
func reference(in string) (frames []frame) {
	in = strings.TrimPrefix(in, "\uFEFF")
	in = strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(in, "\n")
	var typ, data, id string
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != "" {
				frames = append(frames, frame{typ, strings.TrimSuffix(data, "\n"), id})
			}
			typ, data = "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			typ = value
		case name == "data":
			data += value + "\n"
		case name == "id" && !strings.Contains(value, "\x00"):
			id = value
		}
	}
	return frames
}

func BenchmarkReader(b *testing.B) {
	const one = `data: {"id":"chatcmpl-AbCdEf","object":"chat.completion.chunk","created":1730000000,"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}` + "\n\n"
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	r := sse.NewReader(&repeat{text: one}, 1<<20)
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// repeat says the same text for ever, a frame at a time.
type repeat struct{ text string }

func (r *repeat) Read(p []byte) (int, error) { return copy(p, r.text), nil }
