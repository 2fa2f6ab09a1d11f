package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string. The result is part of the data if nothing had to be
// replaced, else of the scratch buffer.
func (s *Scanner) text() ([]byte, bool) {
	start := s.pos + 1
	if !s.skipText() {
		return nil, false
	}
	raw := s.data[start : s.pos-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		s.scratch = unescape(s.scratch[:0], raw)
		raw = s.scratch
	}
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	return raw, true
}

// skipText reads a string and checks its escapes.
func (s *Scanner) skipText() bool {
	if s.peek() != '"' {
		return false
	}
	for i := s.pos + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			n := escapeLen(s.data[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		}
	}
	return false
}

// escapeLen returns the length of the escape that b begins with, or 0 if it is
// not one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads an escape of the form \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends the meaning of raw, whose escapes have been checked, to dst.
// Half a surrogate pair becomes U+FFFD.
func unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst, raw = append(dst, raw[:i]...), raw[i:]
		if r, ok := hex4(raw); ok {
			raw = raw[6:]
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw)
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					raw = raw[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst, raw = append(dst, plain(raw[1])), raw[2:]
	}
}

// plain returns what the letter of a short escape stands for.
func plain(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
