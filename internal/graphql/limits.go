package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"
)

// Limits bound what one request may cost. A zero field has the default that
// stands beside it. Variables cost in proportion to their bytes, which the size of
// the request bounds.
type Limits struct {
	Document   int // bytes of a document: 128 KiB
	Tokens     int // words and marks of a document: 15,000
	Depth      int // fields within fields: 50
	Fields     int // fields, with each fragment counted where it is spread: 5,000
	Aliases    int // of those, the ones with an alias: 500
	Repeats    int // fields that stand a second time, or more often, in the same place: 100
	Fragments  int // named ones: 200
	Spreads    int // of named fragments, wherever they stand: 1,000
	RootFields int // at the top, each of which is a call of a resolver: 100
	Directives int // @skip, @include: 500
	Response   int // bytes of an answer: 5 MiB
	Errors     int // in one answer; those beyond are left out: 100
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		limit     *int
		byDefault int
	}{
		{&l.Document, 128 << 10}, {&l.Tokens, 15_000}, {&l.Depth, 50}, {&l.Fields, 5_000}, {&l.Aliases, 500}, {&l.Repeats, 100}, {&l.Fragments, 200}, {&l.Spreads, 1_000},
		{&l.RootFields, 100}, {&l.Directives, 500}, {&l.Response, 5 << 20}, {&l.Errors, 100},
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
	nesting                            int  // depth with inline fragments counted too
	introspects                        bool // has __schema or __type
}

// saturated keeps sums of sums from overflowing.
const saturated = 1 << 30

func (m *measure) add(o measure) {
	m.depth = max(m.depth, o.depth)
	m.nesting = max(m.nesting, o.nesting)
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
			inner.nesting++
			inner.fields++
			inner.directives += len(sel.Directives)
			if sel.Alias != sel.Name {
				inner.aliases++
			}
			inner.introspects = inner.introspects || sel.Name == "__schema" || sel.Name == "__type"
			m.add(inner)
		case *ast.InlineFragment:
			inner := r.selection(sel.SelectionSet)
			inner.nesting++
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

// pairs counts what validation compares in pairs: the fields of a selection that
// are there already, and the spreads, those of the selections below included.
type pairs struct{ repeats, spreads int }

func (p *pairs) count(set ast.SelectionSet, seen map[string]bool) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if seen[sel.Alias] {
				p.repeats++
			}
			seen[sel.Alias] = true
			if len(sel.SelectionSet) > 0 {
				p.count(sel.SelectionSet, make(map[string]bool))
			}
		case *ast.InlineFragment: // its fields stand in the same place
			p.count(sel.SelectionSet, seen)
		case *ast.FragmentSpread:
			p.spreads++
		}
	}
}

// check measures every operation and every fragment, used or not.
func (l *Limits) check(doc *ast.QueryDocument, introspection bool) *Error {
	if n := len(doc.Fragments); n > l.Fragments {
		return limitError("the query has %d fragments; %d are allowed", n, l.Fragments)
	}
	r := newRuler(doc)
	var total measure
	var compared pairs
	for _, op := range doc.Operations {
		m := r.selection(op.SelectionSet)
		m.directives += len(op.Directives)
		compared.count(op.SelectionSet, make(map[string]bool))
		for _, v := range op.VariableDefinitions {
			m.directives += len(v.Directives)
		}
		total.add(m)
	}
	for _, f := range doc.Fragments {
		total.add(r.fragment(f.Name))
		compared.count(f.SelectionSet, make(map[string]bool))
	}
	switch {
	case total.depth > l.Depth:
		return limitError("the query is %d levels deep; %d are allowed", total.depth, l.Depth)
	case total.nesting > 2*l.Depth:
		return limitError("the query has %d fields and fragments within one another; %d are allowed", total.nesting, 2*l.Depth)
	case compared.repeats > l.Repeats:
		return limitError("the query asks %d times for a field that it has in the same place already; %d are allowed", compared.repeats, l.Repeats)
	case compared.spreads > l.Spreads:
		return limitError("the query spreads fragments %d times; %d are allowed", compared.spreads, l.Spreads)
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
