package graphql

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNesting is how deep lists and objects may nest in JSON that we take. It
// bounds every recursion over values.
const maxNesting = 200

// errNesting is what JSON beyond maxNesting is refused with.
var errNesting = errors.New("the JSON nests too deep")

// ParseJSON returns JSON as a value, which does not keep data.
func ParseJSON(data []byte) (Value, error) {
	if !json.Valid(data) {
		var v any // for the message that says where
		return Value{}, json.Unmarshal(data, &v)
	}
	p := jsonParser{data: data}
	return p.value(0)
}

// A jsonParser walks over data that is known to be valid JSON.
type jsonParser struct {
	data []byte
	pos  int
}

func (p *jsonParser) value(depth int) (Value, error) {
	if depth > maxNesting {
		return Value{}, errNesting
	}
	switch c := p.peek(); c {
	case '{', '[':
		return p.items(c == '{', depth)
	case '"':
		return String(p.text()), nil
	case 't', 'f':
		return Value{kind: KindBool, text: p.word()}, nil
	case 'n':
		p.word()
		return Null(), nil
	default:
		return Value{kind: KindNumber, text: p.word()}, nil
	}
}

func (p *jsonParser) items(object bool, depth int) (Value, error) {
	v := Value{kind: KindList}
	if object {
		v.kind = KindObject
	}
	p.pos++
	for {
		switch p.peek() {
		case '}', ']':
			p.pos++
			return v, nil
		case ',':
			p.pos++
		}
		var m Member
		if object {
			p.peek()
			m.Name = p.text()
			p.peek()
			p.pos++ // the colon
		}
		var err error
		if m.Value, err = p.value(depth + 1); err != nil {
			return Value{}, err
		}
		v.items = append(v.items, m)
	}
}

// peek returns the next byte that is not a space.
func (p *jsonParser) peek() byte {
	for p.data[p.pos] <= ' ' {
		p.pos++
	}
	return p.data[p.pos]
}

// word returns a number or a literal.
func (p *jsonParser) word() string {
	start := p.pos
	for p.pos < len(p.data) && !strings.ContainsRune(" \t\r\n,]}", rune(p.data[p.pos])) {
		p.pos++
	}
	return string(p.data[start:p.pos])
}

func (p *jsonParser) text() string {
	start := p.pos
	plain := true
	for p.pos++; p.data[p.pos] != '"'; p.pos++ {
		if p.data[p.pos] == '\\' {
			plain = false
			p.pos++
		}
	}
	p.pos++
	quoted := p.data[start:p.pos]
	if plain && utf8.Valid(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is a valid JSON string
	return s
}

// appendTo is AppendJSON in place.
func (v *Value) appendTo(dst []byte) []byte {
	switch v.kind {
	case KindBool, KindNumber:
		return append(dst, v.text...)
	case KindString:
		return appendString(dst, v.text)
	case KindList:
		dst = append(dst, '[')
		for i := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.items[i].Value.appendTo(dst)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		for i := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, v.items[i].Name), ':')
			dst = v.items[i].Value.appendTo(dst)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

// AppendJSON appends v as JSON. What is absent is null.
func (v Value) AppendJSON(dst []byte) []byte { return v.appendTo(dst) }

// MarshalJSON returns v as JSON.
func (v Value) MarshalJSON() ([]byte, error) { return v.appendTo(nil), nil }

// UnmarshalJSON sets v to what data holds.
func (v *Value) UnmarshalJSON(data []byte) (err error) {
	*v, err = ParseJSON(data)
	return err
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Unlike encoding/json it leaves <, >
// and & alone, and it does not allocate. Bytes that are no UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// numberText returns a number as JavaScript prints it: 1.0 is 1.
func numberText(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	data, err := json.Marshal(f)
	if err != nil {
		return text
	}
	return string(data)
}
