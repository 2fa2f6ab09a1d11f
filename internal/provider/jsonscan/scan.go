package jsonscan

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
)

// MaxDepth is how deeply values may be nested.
const MaxDepth = 100

var errSyntax = errors.New("not JSON")

// A Scanner reads one JSON value. Make it with [New].
type Scanner struct {
	data    []byte
	pos     int
	depth   int
	err     error
	scratch []byte // an unescaped string
}

// New returns a scanner of data, which it does not change.
func New(data []byte) Scanner { return Scanner{data: data} }

// Done returns what was wrong with the value, including what follows it.
func (s *Scanner) Done() error {
	if s.space(); s.err == nil && s.pos < len(s.data) {
		s.fail(errSyntax)
	}
	return s.err
}

// Kind returns the first byte of the next value: one of { [ " t f n, or 0 for a
// number.
func (s *Scanner) Kind() byte {
	s.space()
	switch c := s.peek(); c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	default:
		return 0
	}
}

// Object enters the next value, an object, and returns the names of its
// members. A name is valid until the next read; after it the member's value may
// be read.
func (s *Scanner) Object() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !s.enter('{') {
			return
		}
		for first := true; s.next(first, '}'); first = false {
			s.space()
			name, ok := s.text()
			if !ok || !s.consume(':') {
				s.fail(errSyntax)
				return
			}
			s.space()
			at := s.pos
			if !yield(name) {
				s.fail(errors.New("left an object early"))
				return
			}
			if s.pos == at {
				s.Skip()
			}
		}
	}
}

// Array enters the next value, an array, and yields the index of each element,
// which may then be read.
func (s *Scanner) Array() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !s.enter('[') {
			return
		}
		for i := 0; s.next(i == 0, ']'); i++ {
			at := s.pos
			if !yield(i) {
				s.fail(errors.New("left an array early"))
				return
			}
			if s.pos == at {
				s.Skip()
			}
		}
	}
}

// String returns the next value, a string, as valid UTF-8.
func (s *Scanner) String() string { return string(s.Bytes()) }

// Bytes is String without a copy: the result is valid until the next read.
func (s *Scanner) Bytes() []byte {
	if s.space(); s.null() {
		return nil
	}
	text, ok := s.text()
	if !ok {
		s.fail(s.mismatch("a string"))
	}
	return text
}

// Int returns the next value, a number, cut to a whole one.
func (s *Scanner) Int() int {
	if s.space(); s.null() {
		return 0
	}
	start := s.pos
	if !s.number() {
		s.fail(s.mismatch("a number"))
		return 0
	}
	literal := s.data[start:s.pos]
	if n, err := strconv.Atoi(string(literal)); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || f < -1<<53 || f > 1<<53 {
		s.fail(fmt.Errorf("number out of range: %.40s", literal))
		return 0
	}
	return int(f)
}

// Bool returns the next value, true or false.
func (s *Scanner) Bool() bool {
	s.space()
	switch {
	case s.null(), s.literal("false"):
		return false
	case s.literal("true"):
		return true
	}
	s.fail(s.mismatch("true or false"))
	return false
}

// Raw returns the next value as it stands in the data.
func (s *Scanner) Raw() []byte {
	s.space()
	start := s.pos
	if s.Skip(); s.err != nil {
		return nil
	}
	return s.data[start:s.pos]
}

// Skip reads the next value and forgets it.
func (s *Scanner) Skip() {
	s.space()
	ok := true
	switch s.peek() {
	case '{':
		for range s.Object() { // the loop skips every member
		}
	case '[':
		for range s.Array() { // and every element
		}
	case '"':
		ok = s.skipText()
	case 't':
		ok = s.literal("true")
	case 'f':
		ok = s.literal("false")
	case 'n':
		ok = s.literal("null")
	default:
		ok = s.number()
	}
	if !ok {
		s.fail(errSyntax)
	}
}

// enter reads an opening bracket. It reports false for null too.
func (s *Scanner) enter(open byte) bool {
	if s.space(); s.null() {
		return false
	}
	if s.depth++; s.depth > MaxDepth {
		s.fail(errors.New("nested too deeply"))
		return false
	}
	if !s.consume(open) {
		s.fail(s.mismatch(string(open)))
		return false
	}
	return true
}

// next reports whether another member or element comes; if not it has read the
// closing bracket.
func (s *Scanner) next(first bool, closing byte) bool {
	if s.err != nil {
		return false
	}
	if s.consume(closing) {
		s.depth--
		return false
	}
	if !first && !s.consume(',') {
		s.fail(errSyntax)
		return false
	}
	s.space()
	return true
}

func (s *Scanner) null() bool { return s.literal("null") }

func (s *Scanner) literal(word string) bool {
	if s.err == nil && len(s.data)-s.pos >= len(word) && string(s.data[s.pos:s.pos+len(word)]) == word {
		s.pos += len(word)
		return true
	}
	return false
}

func (s *Scanner) number() bool {
	if s.err != nil {
		return false
	}
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return true
}

func (s *Scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// peek returns the next byte, or 0 at the end, which no valid value begins with.
func (s *Scanner) peek() byte {
	if s.err == nil && s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// consume reads c and the space before it, if they are next.
func (s *Scanner) consume(c byte) bool {
	s.space()
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *Scanner) mismatch(want string) error {
	return fmt.Errorf("byte %d: want %s", s.pos, want)
}

func (s *Scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}
