package graphql

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// A Kind says what a [Value] holds.
type Kind uint8

// The kinds of values. Absent is the zero value: not there at all, which GraphQL
// tells from null.
const (
	KindAbsent Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindList
	KindObject
)

var kindNames = [...]string{
	KindAbsent: "nothing", KindNull: "null", KindBool: "Boolean", KindNumber: "Number",
	KindString: "String", KindList: "List", KindObject: "Object",
}

// String returns the kind's name as error messages have it.
func (k Kind) String() string { return kindNames[k] }

// A Value is a JSON value: what arguments, results and events are made of. It is
// immutable, and the zero Value is absent. It exists beside maps of any because
// an event's projection must not allocate.
type Value struct {
	kind  Kind
	text  string   // a string's text, a number as JSON has it, true, false
	items []Member // of a list, without names, or of an object
	node  node     // an object of the schema itself, whose members are made when asked for
}

// A Member is a named value of an object.
type Member struct {
	Name  string
	Value Value
}

// A node is an object that is not spelled out, for it may contain itself.
type node interface {
	field(name string, args Value) Value
}

// Null returns the null value.
func Null() Value { return Value{kind: KindNull} }

// String returns s as a value.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Bool returns b as a value.
func Bool(b bool) Value { return Value{kind: KindBool, text: strconv.FormatBool(b)} }

// Int returns n as a value.
func Int(n int64) Value { return Value{kind: KindNumber, text: strconv.FormatInt(n, 10)} }

// List returns a list of values.
func List(values ...Value) Value {
	items := make([]Member, len(values))
	for i, v := range values {
		items[i].Value = v
	}
	return Value{kind: KindList, items: items}
}

// Object returns an object. It keeps members, which the caller may change only
// when nobody looks at the object any more.
func Object(members ...Member) Value { return Value{kind: KindObject, items: members} }

// From returns anything that encoding/json can marshal as a value.
func From(v any) (Value, error) {
	if v, ok := v.(Value); ok {
		return v, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return Value{}, fmt.Errorf("graphql: %w", err)
	}
	return ParseJSON(data)
}

// Kind returns what v holds.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is null or absent.
func (v Value) IsNull() bool { return v.kind <= KindNull }

// Text returns the text of a string; of anything else, nothing.
func (v Value) Text() string {
	if v.kind != KindString {
		return ""
	}
	return v.text
}

// Bool returns true if v is.
func (v Value) Bool() bool { return v.kind == KindBool && v.text == "true" }

// Int returns the integer that v holds, if it is one.
func (v Value) Int() (int64, bool) {
	if v.kind != KindNumber {
		return 0, false
	}
	if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(v.text, 64) // 1e3, 1.0
	if err != nil || f != float64(int64(f)) || f >= 1<<53 || f <= -1<<53 {
		return 0, false
	}
	return int64(f), true
}

// number returns a number as a float.
func (v Value) number() (float64, bool) {
	if v.kind != KindNumber {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	return f, err == nil
}

// Len returns how many elements a list has, or an object members.
func (v Value) Len() int { return len(v.items) }

// Index returns the i-th element of a list.
func (v Value) Index(i int) Value { return v.items[i].Value }

// All yields the members of an object, and the elements of a list without names.
func (v Value) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range v.items {
			if !yield(v.items[i].Name, v.items[i].Value) {
				return
			}
		}
	}
}

// Get follows names down through objects. What is not there is absent.
func (v Value) Get(path ...string) Value {
	for _, name := range path {
		m := v.member(name)
		if m == nil {
			return Value{}
		}
		v = *m
	}
	return v
}

// member returns the value of a name in place. Of several with the same name the
// last counts, as in every JSON parser that clients use.
func (v *Value) member(name string) *Value {
	if v.kind != KindObject {
		return nil
	}
	for i := len(v.items) - 1; i >= 0; i-- {
		if v.items[i].Name == name {
			return &v.items[i].Value
		}
	}
	return nil
}

// equal reports whether two values are the same JSON: numbers by value, objects
// whatever the order of their members.
func (v Value) equal(o Value) bool {
	if v.kind != o.kind {
		return false
	}
	switch v.kind {
	case KindNumber:
		order, ok := compare(&v, &o)
		return ok && order == 0
	case KindString, KindBool:
		return v.text == o.text
	case KindList, KindObject:
		if len(v.items) != len(o.items) {
			return false
		}
		for i := range v.items {
			other := &o.items[i].Value
			if v.kind == KindObject {
				other = o.member(v.items[i].Name)
			}
			if other == nil || !v.items[i].Value.equal(*other) {
				return false
			}
		}
	}
	return true
}

// String returns v as JSON, for messages.
func (v Value) String() string {
	var b strings.Builder
	b.Write(v.AppendJSON(nil))
	return b.String()
}
