package sse

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooLong says that a line, or the data of a frame, is longer than the
// reader's limit.
var ErrTooLong = errors.New("sse: frame is too long")

// A Frame is what an event stream dispatches as one event. Its fields are valid
// until the next call of [Reader.Next].
type Frame struct {
	Type []byte // empty means "message"
	Data []byte // the data lines, joined by line feeds
	ID   []byte // the last id that the stream has given, in this frame or before it
}

// A Reader reads an event stream by the rules of the HTML standard, with two
// differences: it is bounded, and it tells a stream that ends inside a frame
// from one that ends after it.
type Reader struct {
	src   io.Reader
	limit int
	err   error // what src returned last; told once its bytes are used up

	buf        []byte
	start, end int  // the unread bytes of buf
	afterCR    bool // a line feed that comes next belongs to the line before
	begun      bool // the first line has been read, which may have a byte order mark

	typ, data, id []byte
	hasData       bool
}

const firstBuffer = 4 << 10

// NewReader returns a reader of src. No line, and no frame's data, may be
// longer than limit bytes.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit, buf: make([]byte, min(firstBuffer, limit+1))}
}

// Next returns the next frame that has data. It returns as soon as the frame's
// last byte has come. The error is io.EOF if the stream ended between frames,
// io.ErrUnexpectedEOF if inside one, [ErrTooLong], or src's own.
func (r *Reader) Next() (Frame, error) {
	r.typ, r.data, r.hasData = r.typ[:0], r.data[:0], false
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, io.EOF) && (r.hasData || len(r.typ) > 0) {
				err = io.ErrUnexpectedEOF
			}
			return Frame{}, err
		}
		if len(line) == 0 {
			if r.hasData {
				return Frame{Type: r.typ, Data: r.data, ID: r.id}, nil
			}
			r.typ = r.typ[:0]
			continue
		}
		if err := r.field(line); err != nil {
			return Frame{}, err
		}
	}
}

func (r *Reader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		if r.hasData {
			r.data = append(r.data, '\n')
		}
		r.data = append(r.data, value...)
		r.hasData = true
		if len(r.data) > r.limit {
			return ErrTooLong
		}
	case "event":
		r.typ = append(r.typ[:0], value...)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.id = append(r.id[:0], value...)
		}
	}
	return nil // comments have an empty name; retry and unknown fields mean nothing here
}

// line returns the next line without its end. It is valid until the next call.
func (r *Reader) line() ([]byte, error) {
	scanned := 0
	for {
		if r.afterCR && r.start < r.end {
			if r.buf[r.start] == '\n' {
				r.start++
			}
			r.afterCR = false
		}
		unread := r.buf[r.start:r.end]
		if n := endOfLine(unread, scanned); n >= 0 {
			r.afterCR = unread[n] == '\r'
			r.start += n + 1
			line := unread[:n]
			if !r.begun {
				r.begun = true
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			return line, nil
		}
		scanned = len(unread)
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) && scanned > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// endOfLine returns the index of the first line end in b, or -1; the bytes
// before from are known to hold none.
func endOfLine(b []byte, from int) int {
	lf := bytes.IndexByte(b[from:], '\n')
	if lf >= 0 {
		b = b[:from+lf]
	}
	if cr := bytes.IndexByte(b[from:], '\r'); cr >= 0 {
		return from + cr
	}
	if lf >= 0 {
		return from + lf
	}
	return -1
}

// fill reads more bytes behind those that are unread, which are one unfinished
// line.
func (r *Reader) fill() error {
	if r.err != nil {
		return r.err
	}
	if unread := r.end - r.start; unread > r.limit {
		return ErrTooLong
	}
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		grown := make([]byte, min(2*len(r.buf), r.limit+1))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
