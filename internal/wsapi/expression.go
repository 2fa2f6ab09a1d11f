package wsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// An expression makes a route key of a message: fixed text, and values from
// the message's JSON.
type expression []piece

// A piece is a text, or the path of a value.
type piece struct {
	text string
	path []string // nil: it is a text
}

var errExpression = errors.New("write it like $request.body.action, or ${request.body.service}/${request.body.action}")

// compile reads an expression.
func compile(source string) (expression, error) {
	var e expression
	text := func(s string) {
		if n := len(e); n > 0 && e[n-1].path == nil {
			e[n-1].text += s
		} else {
			e = append(e, piece{text: s})
		}
	}
	for rest := source; rest != ""; {
		switch {
		case strings.HasPrefix(rest, `\$`):
			text("$")
			rest = rest[2:]
		case strings.HasPrefix(rest, "${"):
			inner, after, ok := strings.Cut(rest[2:], "}")
			path, valid := bodyPath(inner)
			if !ok || !valid {
				return nil, fmt.Errorf("%q is not understood; %w", source, errExpression)
			}
			e, rest = append(e, piece{path: path}), after
		case rest[0] == '$':
			end := len(rest)
			if i := strings.IndexFunc(rest[1:], func(r rune) bool { return !isPath(r) }); i >= 0 {
				end = i + 1
			}
			path, valid := bodyPath(rest[1:end])
			if !valid {
				return nil, fmt.Errorf("%q is not understood; %w", source, errExpression)
			}
			e, rest = append(e, piece{path: path}), rest[end:]
		default:
			end := strings.IndexAny(rest[1:], `$\`) + 1
			if end == 0 {
				end = len(rest)
			}
			text(rest[:end])
			rest = rest[end:]
		}
	}
	if len(e) == 0 {
		return nil, errExpression
	}
	return e, nil
}

// isPath reports whether a character continues a path that has no braces.
func isPath(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'
}

// bodyPath returns the names of the members that lead to a value.
func bodyPath(text string) ([]string, bool) {
	rest, ok := strings.CutPrefix(text, "request.body.")
	if !ok {
		return nil, false
	}
	path := strings.Split(rest, ".")
	for _, name := range path {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isPath(r) }) {
			return nil, false
		}
	}
	return path, true
}

// key returns the route key that a message resolves to; empty if it resolves to
// nothing, or is not JSON.
func (e expression) key(message []byte) string {
	if !json.Valid(message) {
		return ""
	}
	var key strings.Builder
	for _, p := range e {
		if p.path == nil {
			key.WriteString(p.text)
		} else {
			key.WriteString(valueAt(message, p.path))
		}
	}
	return key.String()
}

// valueAt returns a value as text: strings as they are, null as nothing, and
// everything else as it stands in the message.
func valueAt(message json.RawMessage, path []string) string {
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(message, &object) != nil {
			return ""
		}
		message = object[name]
	}
	if len(message) == 0 || string(message) == "null" {
		return ""
	}
	if message[0] != '"' {
		return string(message)
	}
	var text string
	if json.Unmarshal(message, &text) != nil {
		return ""
	}
	return text
}
