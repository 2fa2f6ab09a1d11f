package graphql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The error types that this package gives out, as AppSync names them.
const (
	TypeUnauthorized  = "Unauthorized"       // a directive keeps the caller from a field
	TypeLimitExceeded = "LimitExceededError" // a document, its variables or the answer is beyond [Limits]
)

// An Error is an entry of a response's errors, in AppSync's shape. A resolver may
// return one; its Path and Locations are filled in.
type Error struct {
	Message   string
	Type      string     // errorType; empty is null
	Info      Value      // errorInfo
	Data      Value      // what the resolver has in spite of the error
	Path      []any      // names and indexes; nil means that it belongs to no field
	Locations []Location // in the document

	field bool // belongs to a field: the members that only those have are spelled out
}

// A Location is a place in a document, counted from one.
type Location struct{ Line, Column int }

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Errors are the reasons for which a request is not executed.
type Errors []*Error

// Error returns the messages.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Message
	}
	return strings.Join(texts, "; ")
}

// AppendJSON appends the list of errors.
func (es Errors) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, e := range es {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.AppendJSON(dst)
	}
	return append(dst, ']')
}

// AppendJSON appends e as AppSync writes it: with a field's errors all members are
// there, with those of a whole request path, locations and message.
func (e *Error) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"path":`...)
	dst = appendPath(dst, e.Path)
	if e.field {
		dst = e.Data.AppendJSON(append(dst, `,"data":`...))
	}
	if e.field || e.Type != "" {
		dst = append(dst, `,"errorType":`...)
		if e.Type == "" {
			dst = append(dst, "null"...)
		} else {
			dst = appendString(dst, e.Type)
		}
	}
	if e.field {
		dst = e.Info.AppendJSON(append(dst, `,"errorInfo":`...))
	}
	dst = append(dst, `,"locations":`...)
	if e.Locations == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '[')
		for i, l := range e.Locations {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(append(dst, `{"line":`...), int64(l.Line), 10)
			dst = strconv.AppendInt(append(dst, `,"column":`...), int64(l.Column), 10)
			dst = append(dst, `,"sourceName":null}`...)
		}
		dst = append(dst, ']')
	}
	return append(appendString(append(dst, `,"message":`...), e.Message), '}')
}

func appendPath(dst []byte, path []any) []byte {
	if path == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i, p := range path {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch p := p.(type) {
		case string:
			dst = appendString(dst, p)
		case int:
			dst = strconv.AppendInt(dst, int64(p), 10)
		}
	}
	return append(dst, ']')
}

func limitError(format string, args ...any) *Error {
	return &Error{Type: TypeLimitExceeded, Message: fmt.Sprintf(format, args...)}
}

func locate(pos *ast.Position) []Location {
	if pos == nil {
		return nil
	}
	return []Location{{Line: pos.Line, Column: pos.Column}}
}

// syntaxError turns what the parser says into an entry of a response.
func syntaxError(err error) *Error {
	e := &Error{Message: err.Error()}
	if g, ok := errors.AsType[*gqlerror.Error](err); ok {
		e.Message = g.Message
		for _, l := range g.Locations {
			e.Locations = append(e.Locations, Location{Line: l.Line, Column: l.Column})
		}
	}
	return e
}
