package eventstream_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
	"testing/iotest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/runnelhq/runnel/internal/eventstream"
)

func TestRead(t *testing.T) {
	t.Parallel()
	stream := eventstream.AppendEvent(nil, "chunk", []byte(`{"a":1}`))
	stream = eventstream.AppendException(stream, "throttlingException", bytes.Repeat([]byte("x"), 5000))
	stream = eventstream.Append(stream, nil)
	r := eventstream.NewReader(iotest.OneByteReader(bytes.NewReader(stream)))

	m, err := r.Read()
	if err != nil || string(m.Header(":event-type")) != "chunk" || string(m.Payload) != `{"a":1}` || m.Header("other") != nil {
		t.Errorf("first message: %q %q: %v", m.Header(":event-type"), m.Payload, err)
	}
	m, err = r.Read()
	if err != nil || string(m.Header(":exception-type")) != "throttlingException" || len(m.Payload) != 5000 {
		t.Errorf("second message: %q, %d bytes: %v", m.Header(":exception-type"), len(m.Payload), err)
	}
	if m, err = r.Read(); err != nil || len(m.Payload) != 0 {
		t.Errorf("third message: %q: %v", m.Payload, err)
	}
	if _, err = r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message: %v", err)
	}
}

func TestReadAllHeaderTypes(t *testing.T) {
	t.Parallel()
	m := sdk.Message{Payload: []byte("p")}
	for name, v := range map[string]sdk.Value{
		"true": sdk.BoolValue(true), "false": sdk.BoolValue(false), "i8": sdk.Int8Value(1), "i16": sdk.Int16Value(2),
		"i32": sdk.Int32Value(3), "i64": sdk.Int64Value(4), "bytes": sdk.BytesValue([]byte("b")),
		"time": sdk.TimestampValue(time.Unix(1, 0)), "uuid": sdk.UUIDValue{},
	} {
		m.Headers.Set(name, v)
	}
	m.Headers.Set("last", sdk.StringValue("seen"))
	var b bytes.Buffer
	if err := sdk.NewEncoder().Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	got, err := eventstream.NewReader(&b).Read()
	if err != nil || string(got.Header("last")) != "seen" || got.Header("bytes") != nil || got.Header("i64") != nil {
		t.Errorf("headers: %q: %v", got.Header("last"), err)
	}
}

// TestReadEveryCut breaks a stream off at each byte.
func TestReadEveryCut(t *testing.T) {
	t.Parallel()
	one := eventstream.AppendEvent(nil, "chunk", []byte(`{}`))
	stream := eventstream.AppendEvent(bytes.Clone(one), "chunk", []byte(`{}`))
	for n := range stream {
		r := eventstream.NewReader(bytes.NewReader(stream[:n]))
		_, err := r.Read()
		if n >= len(one) && err == nil {
			_, err = r.Read()
		}
		want := io.ErrUnexpectedEOF
		if n == 0 || n == len(one) {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("cut after %d bytes: %v, want %v", n, err, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	good := eventstream.AppendEvent(nil, "chunk", []byte(`{}`))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := eventstream.NewReader(bytes.NewReader(bad)).Read(); !errors.Is(err, eventstream.ErrMalformed) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	prelude := func(total, headers uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, total)
		b = binary.BigEndian.AppendUint32(b, headers)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	for _, p := range [][2]uint32{{15, 0}, {16, 1}, {1 << 30, 0}, {1<<32 - 1, 1<<32 - 1}, {0, 1<<32 - 16}, {1 << 20, 1 << 19}} {
		if _, err := eventstream.NewReader(bytes.NewReader(prelude(p[0], p[1]))).Read(); !errors.Is(err, eventstream.ErrMalformed) {
			t.Errorf("lengths %v: %v", p, err)
		}
	}
}

// FuzzRead holds the reader to the SDK's: whatever is accepted, the SDK reads
// alike. (The other way round does not hold: the SDK lets half headers pass.)
func FuzzRead(f *testing.F) {
	f.Add(eventstream.AppendEvent(nil, "chunk", []byte(`{}`)))
	f.Add(eventstream.AppendError(nil, "code", "message"))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = seal(data)
		ours, err := eventstream.NewReader(bytes.NewReader(data)).Read()
		theirs, sdkErr := sdk.NewDecoder().Decode(bytes.NewReader(data), nil)
		if err != nil {
			return
		}
		if sdkErr != nil {
			t.Fatalf("accepted what the SDK refuses: %v", sdkErr)
		}
		if !bytes.Equal(ours.Payload, theirs.Payload) {
			t.Fatalf("payload %q, the SDK says %q", ours.Payload, theirs.Payload)
		}
		for _, h := range theirs.Headers {
			if v, ok := h.Value.(sdk.StringValue); ok && string(ours.Header(h.Name)) != string(v) && theirs.Headers.Get(h.Name) == h.Value {
				t.Fatalf("header %q is %q, the SDK says %q", h.Name, ours.Header(h.Name), v)
			}
		}
	})
}

// seal makes the lengths and checksums of data right where it has room for
// them, so that the fuzzer gets past them.
func seal(data []byte) []byte {
	if len(data) < 16 {
		return data
	}
	data = bytes.Clone(data)
	binary.BigEndian.PutUint32(data, uint32(len(data)))
	data[4], data[5] = 0, 0
	binary.BigEndian.PutUint32(data[8:], crc32.ChecksumIEEE(data[:8]))
	end := len(data) - 4
	binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[:end]))
	return data
}

func BenchmarkRead(b *testing.B) {
	frame := eventstream.AppendEvent(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":" and"},"p":"abcdefghijkl"}`))
	src := bytes.NewReader(frame)
	r := eventstream.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(frame)
		if m, err := r.Read(); err != nil || m.Header(":message-type") == nil {
			b.Fatal(err)
		}
	}
}
