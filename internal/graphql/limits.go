package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"
)

// Limits bound what one request may cost. A zero field has the default that
// stands beside it.
type Limits struct {
	Document   int // bytes of a document: 128 KiB
	Tokens     int // words and marks of a document: 15,000
	Depth      int // fields within fields: 50
	Fields     int // fields, with each fragment counted where it is spread: 5,000
	Aliases    int // of those, the ones with an alias: 500
	RootFields int // at the top, each of which is a call of a resolver: 100
	Directives int // @skip, @include: 500
	Variables  int // bytes of the values as JSON: 1 MiB
	Response   int // bytes of an answer: 5 MiB
	Errors     int // in one answer; those beyond are left out: 100
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		limit     *int
		byDefault int
	}{
		{&l.Document, 128 << 10}, {&l.Tokens, 15_000}, {&l.Depth, 50}, {&l.Fields, 5_000}, {&l.Aliases, 500},
		{&l.RootFields, 100}, {&l.Directives, 500}, {&l.Variables, 1 << 20}, {&l.Response, 5 << 20}, {&l.Errors, 100},
	} {
		if *f.limit <= 0 {
			*f.limit = f.byDefault
		}
	}
	return l
}

// A measure is what a selection asks for.
type measure struct {
	depth, fields, aliases, directives int
	introspects                        bool // has __schema or __type
}

// saturated keeps sums of sums from overflowing.
const saturated = 1 << 30

func (m *measure) add(o measure) {
	m.depth = max(m.depth, o.depth)
	m.fields = min(m.fields+o.fields, saturated)
	m.aliases = min(m.aliases+o.aliases, saturated)
	m.directives = min(m.directives+o.directives, saturated)
	m.introspects = m.introspects || o.introspects
}

// A ruler measures a document before anything whose cost grows faster than the
// document looks at it: fragments that spread one another double with each line,
// and validation compares fields in pairs.
type ruler struct {
	fragments map[string]*ast.FragmentDefinition
	measured  map[string]measure
	pending   map[string]bool // in progress: a cycle, which validation will refuse
}

func newRuler(doc *ast.QueryDocument) *ruler {
	r := &ruler{
		fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments)),
		measured:  make(map[string]measure), pending: make(map[string]bool),
	}
	for _, f := range doc.Fragments {
		r.fragments[f.Name] = f
	}
	return r
}

func (r *ruler) selection(set ast.SelectionSet) (m measure) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			inner := r.selection(sel.SelectionSet)
			inner.depth++
			inner.fields++
			inner.directives += len(sel.Directives)
			if sel.Alias != sel.Name {
				inner.aliases++
			}
			inner.introspects = inner.introspects || sel.Name == "__schema" || sel.Name == "__type"
			m.add(inner)
		case *ast.InlineFragment:
			inner := r.selection(sel.SelectionSet)
			inner.directives += len(sel.Directives)
			m.add(inner)
		case *ast.FragmentSpread:
			inner := r.fragment(sel.Name)
			inner.directives += len(sel.Directives)
			m.add(inner)
		}
	}
	return m
}

func (r *ruler) fragment(name string) measure {
	if m, ok := r.measured[name]; ok {
		return m
	}
	f := r.fragments[name]
	if f == nil || r.pending[name] {
		return measure{}
	}
	r.pending[name] = true
	m := r.selection(f.SelectionSet)
	m.directives += len(f.Directives)
	delete(r.pending, name)
	r.measured[name] = m
	return m
}

// check measures every operation and every fragment, used or not.
func (l *Limits) check(doc *ast.QueryDocument, introspection bool) *Error {
	r := newRuler(doc)
	var total measure
	for _, op := range doc.Operations {
		m := r.selection(op.SelectionSet)
		if n := len(op.SelectionSet); n > l.RootFields {
			return limitError("the operation has %d fields at the top; %d are allowed", n, l.RootFields)
		}
		m.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			m.directives += len(v.Directives)
		}
		total.add(m)
	}
	for _, f := range doc.Fragments {
		total.add(r.fragment(f.Name))
	}
	switch {
	case total.depth > l.Depth:
		return limitError("the query is %d levels deep; %d are allowed", total.depth, l.Depth)
	case total.aliases > l.Aliases:
		return limitError("the query has %d aliases; %d are allowed", total.aliases, l.Aliases)
	case total.directives > l.Directives:
		return limitError("the query has %d directives; %d are allowed", total.directives, l.Directives)
	case total.fields > l.Fields:
		return limitError("the query asks for %d fields; %d are allowed", total.fields, l.Fields)
	case total.introspects && !introspection:
		return &Error{Message: "Validation error of type FieldUndefined: introspection is disabled"}
	}
	return nil
}
