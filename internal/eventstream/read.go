package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrMalformed is what an error about the bytes of a stream wraps. Nothing
// can be read after it.
var ErrMalformed = errors.New("malformed event-stream message")

// A Message is one message of a stream. It is valid until the next is read.
type Message struct {
	Payload []byte
	headers []byte // known to be well formed
}

// Header returns the value of a string header; nil if there is none.
func (m *Message) Header(name string) []byte {
	for rest := m.headers; len(rest) > 0; {
		var h header
		h, rest, _ = cutHeader(rest)
		if h.kind == typeString && string(h.name) == name {
			return h.value
		}
	}
	return nil
}

// A Reader reads the messages of a stream. It does not read ahead.
type Reader struct {
	r   io.Reader
	buf []byte // the current message
}

// NewReader returns a reader of r. A message costs two reads, so r had better
// have a buffer, as the bodies of HTTP responses do.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Read returns the next message. The error is [io.EOF] at the end of the
// stream, [io.ErrUnexpectedEOF] if the stream breaks off inside a message, and
// wraps [ErrMalformed] if it makes no sense.
func (r *Reader) Read() (Message, error) {
	r.buf = grow(r.buf, preludeLen)
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return Message{}, err
	}
	if sum := crc32.ChecksumIEEE(r.buf[:8]); sum != binary.BigEndian.Uint32(r.buf[8:]) {
		return Message{}, fmt.Errorf("%w: checksum of the lengths", ErrMalformed)
	}
	total, headers := binary.BigEndian.Uint32(r.buf), binary.BigEndian.Uint32(r.buf[4:])
	if headers > maxHeaders || total < preludeLen+headers+trailerLen || total > preludeLen+headers+maxPayload+trailerLen {
		return Message{}, fmt.Errorf("%w: %d bytes with %d of headers", ErrMalformed, total, headers)
	}
	r.buf = grow(r.buf, int(total))
	if _, err := io.ReadFull(r.r, r.buf[preludeLen:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	end := total - trailerLen
	if sum := crc32.ChecksumIEEE(r.buf[:end]); sum != binary.BigEndian.Uint32(r.buf[end:]) {
		return Message{}, fmt.Errorf("%w: checksum", ErrMalformed)
	}
	m := Message{headers: r.buf[preludeLen : preludeLen+headers], Payload: r.buf[preludeLen+headers : end]}
	for rest := m.headers; len(rest) > 0; {
		var ok bool
		if _, rest, ok = cutHeader(rest); !ok {
			return Message{}, fmt.Errorf("%w: headers", ErrMalformed)
		}
	}
	return m, nil
}

// grow returns buf with n bytes, of which it keeps those that it had.
func grow(buf []byte, n int) []byte {
	if n <= cap(buf) {
		return buf[:n]
	}
	return append(make([]byte, 0, n+n/4), buf...)[:n]
}

// A header is one header as it stands in a message.
type header struct {
	name  []byte
	kind  byte
	value []byte
}

// cutHeader takes the first header off data.
func cutHeader(data []byte) (h header, rest []byte, ok bool) {
	if len(data) < 1 || len(data) < 1+int(data[0])+1 {
		return h, nil, false
	}
	n := int(data[0])
	h.name, h.kind, data = data[1:1+n], data[1+n], data[n+2:]
	size := 0
	switch h.kind {
	case typeTrue, typeFalse:
	case typeInt8:
		size = 1
	case typeInt16:
		size = 2
	case typeInt32:
		size = 4
	case typeInt64, typeTime:
		size = 8
	case typeUUID:
		size = 16
	case typeBytes, typeString:
		if len(data) < 2 {
			return h, nil, false
		}
		size, data = int(binary.BigEndian.Uint16(data)), data[2:]
	default:
		return h, nil, false
	}
	if len(data) < size {
		return h, nil, false
	}
	h.value = data[:size]
	return h, data[size:], true
}
