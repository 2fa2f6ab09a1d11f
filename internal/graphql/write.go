package graphql

import (
	"fmt"
	"sync"
)

// A writer makes an answer of values by their plans. It writes as it goes: where
// a null must take the place of an object half written, it steps back.
type writer struct {
	buf    []byte
	base   int // where this answer begins in buf
	errs   Errors
	limits *Limits
	event  Value // lies here so that pointers to it do not put it on the heap
	over   bool  // beyond the limit: what was written is void

	// steps is the path without boxing: only an error needs it as any.
	steps []step
}

// A step is a name or, without one, an index.
type step struct {
	name  string
	index int
}

var writers = sync.Pool{New: func() any { return new(writer) }}

func newWriter(buf []byte, l *Limits) *writer {
	w := writers.Get().(*writer)
	*w = writer{buf: buf, base: len(buf), limits: l, steps: w.steps[:0]}
	return w
}

// free gives w back. What it has written stays with the caller.
func (w *writer) free() {
	w.buf, w.errs, w.event = nil, nil, Value{}
	writers.Put(w)
}

// fail notes an error at the current place.
func (w *writer) fail(f *planField, e *Error) {
	if len(w.errs) >= w.limits.Errors {
		return
	}
	path := make([]any, len(w.steps))
	for i, s := range w.steps {
		if path[i] = s.index; s.name != "" {
			path[i] = s.name
		}
	}
	e.Path, e.field = path, true
	if e.Locations == nil {
		e.Locations = f.locations()
	}
	w.errs = append(w.errs, e)
}

// maxLocations is how many places of one field an error names.
const maxLocations = 10

// locations returns where a field is asked for.
func (f *planField) locations() (places []Location) {
	for _, n := range f.nodes[:min(len(f.nodes), maxLocations)] {
		places = append(places, locate(n.Position)...)
	}
	return places
}

// argumentError returns f.err for one answer: the plan's own is shared.
func (f *planField) argumentError() *Error {
	e := *f.err
	return &e
}

// where returns the current place as messages have it.
func (w *writer) where() string {
	var b []byte
	for _, s := range w.steps {
		if b = append(b, '/'); s.name != "" {
			b = append(b, s.name...)
		} else {
			b = fmt.Appendf(b, "%d", s.index)
		}
	}
	return string(b)
}

// object writes v by a plan. False means that a member which cannot be null is:
// the object is void, and null must stand in its place.
func (w *writer) object(p *objectPlan, v *Value) bool {
	w.buf = append(w.buf, '{')
	for i := range p.fields {
		f := &p.fields[i]
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, f.key...)
		if f.typ == nil { // __typename
			w.buf = appendString(w.buf, p.def.Name)
			continue
		}
		w.steps = append(w.steps, step{name: f.alias})
		ok := w.member(f, v)
		w.steps = w.steps[:len(w.steps)-1]
		if !ok {
			return false
		}
	}
	w.buf = append(w.buf, '}')
	if len(w.buf)-w.base > w.limits.Response {
		w.over = true
	}
	return !w.over
}

func (w *writer) member(f *planField, v *Value) bool {
	switch {
	case f.denied:
		w.fail(f, unauthorized(f))
		return w.null(f.typ)
	case v.node != nil:
		if f.err != nil {
			w.fail(f, f.argumentError())
			return w.null(f.typ)
		}
		made := v.node.field(f.name, f.args)
		return w.value(f, f.typ, &made)
	}
	m := v.member(f.name)
	if m == nil {
		m = &absent
	}
	return w.value(f, f.typ, m)
}

var absent Value // nobody changes it

func unauthorized(f *planField) *Error {
	return &Error{Type: TypeUnauthorized, Message: "Not Authorized to access " + f.name + " on type " + f.parent.Name}
}

// null writes null, if a value of the type may be.
func (w *writer) null(t *planType) bool {
	if t.nonNull {
		return false
	}
	w.buf = append(w.buf, "null"...)
	return true
}

// value writes v as a type. False means that it is null and must not be.
func (w *writer) value(f *planField, t *planType, v *Value) bool {
	if v.IsNull() {
		if t.nonNull {
			w.fail(f, &Error{Message: fmt.Sprintf("Cannot return null for non-nullable type: '%s' within parent '%s' (%s)", t.text, f.parent.Name, w.where())})
		}
		return w.null(t)
	}
	start := len(w.buf)
	if w.present(f, t, v) {
		return true
	}
	w.buf = w.buf[:start]
	return !w.over && w.null(t)
}

// present writes v, which is not null. False means that an error was noted.
func (w *writer) present(f *planField, t *planType, v *Value) bool {
	switch {
	case t.elem != nil:
		return w.list(f, t, v)
	case t.leaf != nil:
		out, ok := t.leaf.out(v)
		if !ok {
			w.fail(f, &Error{Message: fmt.Sprintf("Can't serialize value (%s) : Expected type '%s' but was '%s'.", w.where(), t.leaf.name, v.kind)})
			return false
		}
		w.buf = out.appendTo(w.buf)
		return true
	case v.kind != KindObject:
		w.fail(f, &Error{Message: fmt.Sprintf("Can't resolve value (%s) : type mismatch error, expected type OBJECT", w.where())})
		return false
	}
	p := t.objectFor(v)
	if p == nil {
		w.fail(f, &Error{Message: fmt.Sprintf("Can't resolve value (%s) : its __typename names none of the types of %s", w.where(), t.text)})
		return false
	}
	return w.object(p, v)
}

func (w *writer) list(f *planField, t *planType, v *Value) bool {
	if v.kind != KindList {
		w.fail(f, &Error{Message: fmt.Sprintf("Can't resolve value (%s) : type mismatch error, expected type LIST", w.where())})
		return false
	}
	w.buf = append(w.buf, '[')
	for i := range v.items {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.steps = append(w.steps, step{index: i})
		ok := w.value(f, t.elem, &v.items[i].Value)
		w.steps = w.steps[:len(w.steps)-1]
		if !ok {
			return false
		}
		if len(w.buf)-w.base > w.limits.Response {
			w.over = true
			return false
		}
	}
	w.buf = append(w.buf, ']')
	return true
}

// restrict returns what of v the plan selects, by the names of the fields rather
// than their aliases and as the answer has it: a mutation's event.
func (t *planType) restrict(v *Value) Value {
	switch {
	case v.IsNull():
		return Null()
	case t.elem != nil:
		if v.kind != KindList {
			return Null()
		}
		items := make([]Member, len(v.items))
		for i := range v.items {
			items[i].Value = t.elem.restrict(&v.items[i].Value)
		}
		return Value{kind: KindList, items: items}
	case t.leaf != nil:
		if out, ok := t.leaf.out(v); ok {
			return out
		}
		return Null()
	}
	p := t.objectFor(v)
	if p == nil {
		return Null()
	}
	var members []Member
	if t.typ.IsAbstractType() {
		members = append(members, Member{"__typename", String(p.def.Name)})
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.typ == nil || f.denied {
			continue
		}
		m := v.member(f.name)
		if m == nil {
			continue
		}
		members = addMember(members, Member{f.name, f.typ.restrict(m)})
	}
	return Object(members...)
}

// addMember adds m, or what it selects besides, if the field is there already
// under another alias.
func addMember(members []Member, m Member) []Member {
	for i := range members {
		if members[i].Name == m.Name {
			members[i].Value = union(members[i].Value, m.Value)
			return members
		}
	}
	return append(members, m)
}

func union(a, b Value) Value {
	switch {
	case a.kind == KindObject && b.kind == KindObject:
		for _, m := range b.items {
			a.items = addMember(a.items, m)
		}
	case a.kind == KindList && b.kind == KindList && len(a.items) == len(b.items):
		for i := range a.items {
			a.items[i].Value = union(a.items[i].Value, b.items[i].Value)
		}
	}
	return a
}
