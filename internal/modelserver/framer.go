package modelserver

import (
	"encoding/base64"

	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/wire"
)

// A framer carries a vendor's JSON in a protocol's frames. Claude's and Nova's
// events travel in more than one kind.
type framer interface {
	contentType() string
	frame(dst []byte, event string, json []byte) []byte
	fail(dst []byte, name string) []byte // the in-stream error; name may be empty
	garbage(dst []byte) []byte           // a frame that cannot be decoded
}

// sse frames for Anthropic: server-sent events that say their type twice.
type sse struct{}

func (sse) contentType() string { return "text/event-stream; charset=utf-8" }

func (sse) frame(dst []byte, event string, json []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, event...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, json...)
	return append(dst, "\n\n"...)
}

func (sse) fail(dst []byte, name string) []byte {
	if name == "" {
		name = "overloaded_error"
	}
	dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"...)
	dst = wire.AppendString(dst, name)
	return append(dst, ",\"message\":\"a fault that was asked for\"}}\n\n"...)
}

func (sse) garbage(dst []byte) []byte {
	return append(dst, "event: content_block_delta\ndata: {not JSON\n\n"...)
}

// events frames for ConverseStream: an event-stream message of each type.
type events struct{ scratch []byte }

func (*events) contentType() string { return eventstream.ContentType }

// frame adds the padding that Amazon's own events have, so that readers are
// held to ignoring it.
func (f *events) frame(dst []byte, event string, json []byte) []byte {
	f.scratch = append(f.scratch[:0], json[:len(json)-1]...)
	f.scratch = append(f.scratch, `,"p":"abcdefghijkl"}`...)
	return eventstream.AppendEvent(dst, event, f.scratch)
}

func (*events) fail(dst []byte, name string) []byte {
	if name == "" {
		name = "modelStreamErrorException"
	}
	return eventstream.AppendException(dst, name,
		[]byte(`{"message":"a fault that was asked for","originalStatusCode":500,"originalMessage":"a fault"}`))
}

func (f *events) garbage(dst []byte) []byte {
	dst = eventstream.AppendEvent(dst, "garbage", []byte("{}"))
	dst[len(dst)-1] ^= 1 // of the checksum
	return dst
}

// chunks frames for InvokeModelWithResponseStream: every event of a model's
// own JSON inside a message of type chunk.
type chunks struct {
	events
	payload []byte
}

func (f *chunks) frame(dst []byte, _ string, json []byte) []byte {
	f.payload = append(f.payload[:0], `{"bytes":"`...)
	f.payload = base64.StdEncoding.AppendEncode(f.payload, json)
	f.payload = append(f.payload, `"}`...)
	return f.events.frame(dst, "chunk", f.payload)
}
