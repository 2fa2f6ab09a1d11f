package eventstream

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf8"
)

// ContentType is the media type of a stream of messages.
const ContentType = "application/vnd.amazon.eventstream"

// What the readers in Amazon's SDKs accept, and so does ours.
const (
	maxName    = 255
	maxValue   = 1<<15 - 1
	maxHeaders = 128 << 10
	maxPayload = 24 << 20
)

const (
	preludeLen = 12 // two lengths and their checksum
	trailerLen = crc32.Size
)

// The types of header values.
const (
	typeTrue = iota
	typeFalse
	typeInt8
	typeInt16
	typeInt32
	typeInt64
	typeBytes
	typeString
	typeTime
	typeUUID
)

// A Header is a named string in front of a message's payload.
type Header struct {
	Name, Value string
}

// Append appends a message to dst. Names of more than 255 bytes and values of
// more than 32,767 are cut short, since no reader would take them.
func Append(dst, payload []byte, headers ...Header) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeLen)...)
	for _, h := range headers {
		dst = appendHeader(dst, h)
	}
	headersLen := len(dst) - start - preludeLen
	dst = append(dst, payload...)

	prelude := dst[start : start+preludeLen]
	binary.BigEndian.PutUint32(prelude, uint32(len(dst)-start+trailerLen))
	binary.BigEndian.PutUint32(prelude[4:], uint32(headersLen))
	binary.BigEndian.PutUint32(prelude[8:], crc32.ChecksumIEEE(prelude[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

// AppendEvent appends a message that carries an event: a JSON object.
func AppendEvent(dst []byte, event string, payload []byte) []byte {
	return Append(dst, payload,
		Header{":event-type", event}, Header{":content-type", "application/json"}, Header{":message-type", "event"})
}

// AppendException appends a message that ends the stream with an exception of
// the service's model, such as throttlingException. The payload is a JSON
// object with a message.
func AppendException(dst []byte, exception string, payload []byte) []byte {
	return Append(dst, payload,
		Header{":exception-type", exception}, Header{":content-type", "application/json"}, Header{":message-type", "exception"})
}

// AppendError appends a message that ends the stream with an error that the
// service's model does not know.
func AppendError(dst []byte, code, message string) []byte {
	return Append(dst, nil,
		Header{":message-type", "error"}, Header{":error-code", code}, Header{":error-message", message})
}

func appendHeader(dst []byte, h Header) []byte {
	name, value := cut(h.Name, maxName), cut(h.Value, maxValue)
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, typeString)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
