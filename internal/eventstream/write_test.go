package eventstream_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/eventstream"
)

// message is what a reader sees of a message.
type message struct {
	Headers []eventstream.Header
	Payload string
}

// decode reads all of stream with the AWS SDK's own reader.
func decode(t testing.TB, stream []byte) []message {
	t.Helper()
	var all []message
	dec, r := sdk.NewDecoder(), bytes.NewReader(stream)
	for {
		m, err := dec.Decode(r, nil)
		if errors.Is(err, io.EOF) && r.Len() == 0 {
			return all
		}
		if err != nil {
			t.Fatalf("message %d: %v", len(all), err)
		}
		got := message{Payload: string(m.Payload)}
		for _, h := range m.Headers {
			got.Headers = append(got.Headers, eventstream.Header{Name: h.Name, Value: h.Value.String()})
		}
		all = append(all, got)
	}
}

// encode writes a message with the AWS SDK's own writer.
func encode(t testing.TB, payload []byte, name, value string) []byte {
	t.Helper()
	m := sdk.Message{Payload: payload}
	m.Headers.Set(name, sdk.StringValue(value))
	m.Headers.Set("z", sdk.StringValue("z"))
	var b bytes.Buffer
	if err := sdk.NewEncoder().Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMessages(t *testing.T) {
	t.Parallel()
	stream := eventstream.AppendEvent(nil, "contentBlockDelta", []byte(`{"a":1}`))
	stream = eventstream.AppendException(stream, "throttlingException", []byte(`{"message":"slow down"}`))
	stream = eventstream.AppendError(stream, "InternalError", "it broke")
	stream = eventstream.Append(stream, []byte("x"))

	json := eventstream.Header{Name: ":content-type", Value: "application/json"}
	want := []message{
		{[]eventstream.Header{{":event-type", "contentBlockDelta"}, json, {":message-type", "event"}}, `{"a":1}`},
		{[]eventstream.Header{{":exception-type", "throttlingException"}, json, {":message-type", "exception"}}, `{"message":"slow down"}`},
		{[]eventstream.Header{{":message-type", "error"}, {":error-code", "InternalError"}, {":error-message", "it broke"}}, ""},
		{nil, "x"},
	}
	if diff := cmp.Diff(want, decode(t, stream)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestLongHeadersAreCut(t *testing.T) {
	t.Parallel()
	stream := eventstream.Append(nil, nil, eventstream.Header{
		Name:  strings.Repeat("n", 300),
		Value: strings.Repeat("é", 40_000),
	})
	got := decode(t, stream)[0].Headers[0]
	if len(got.Name) != 255 || len(got.Value) != 32_766 || !utf8.ValidString(got.Value) {
		t.Errorf("a name of %d bytes and a value of %d, want 255 and 32766 of whole characters", len(got.Name), len(got.Value))
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":" and"}}`)
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = eventstream.AppendEvent(buf[:0], "contentBlockDelta", payload) }); n != 0 {
		t.Errorf("%v allocations for an event, want none", n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(":event-type", "chunk", []byte(`{}`), []byte("before"))
	f.Add("", "", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, name, value string, payload, before []byte) {
		if len(name) > 255 || len(value) > 32_767 {
			t.Skip("cut on purpose")
		}
		out := eventstream.Append(bytes.Clone(before), payload, eventstream.Header{Name: name, Value: value}, eventstream.Header{Name: "z", Value: "z"})
		stream, ok := bytes.CutPrefix(out, before)
		if !ok {
			t.Fatal("what was in the buffer before has changed")
		}
		if name == "z" {
			t.Skip("the SDK keeps one header of a name")
		}
		if diff := cmp.Diff(encode(t, payload, name, value), stream); diff != "" {
			t.Fatalf("not what the SDK writes (-sdk +got):\n%s", diff)
		}
		want := []message{{[]eventstream.Header{{name, value}, {"z", "z"}}, string(payload)}}
		if diff := cmp.Diff(want, decode(t, stream)); diff != "" {
			t.Fatalf("came back changed (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":" and"}}`)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = eventstream.AppendEvent(buf[:0], "contentBlockDelta", payload)
	}
}
