package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// A Subscription is a valid request for events. What a door adds, where they
// come from and how they are sent, is its own.
type Subscription struct {
	Field     string // of the subscription type
	Alias     string
	Args      Value    // as given, with defaults; an absent one does not filter
	Variables Value    // the operation's
	Mutations []string // those whose results are the events
	Filter    *Filter  // what the arguments ask for; a door may put an enhanced filter in its place
	Plan      *Plan    // shared by all who ask for the same: compare pointers
}

// A Plan makes of an event what a client asked for. It may be used concurrently.
type Plan struct {
	limits *Limits
	root   *objectPlan // of one field
}

// planKey is what a plan depends on, beside the document.
type planKey struct {
	operation  string
	conditions string // what @skip and @include depend on
	view       string // whom directives let see what
}

// maxPlans is how many plans a document keeps. More than these, of callers with
// many different groups, are made anew for each subscription.
const maxPlans = 64

// Subscribe returns what a caller asks for with a subscription. The error is
// that of a field which the caller may not see, or of arguments that do not fit.
func (s *Schema) Subscribe(o *Operation, caller Caller) (*Subscription, *Error) {
	if o.def.Operation != ast.Subscription {
		return nil, &Error{Type: "UnsupportedOperation", Message: o.Kind() + " not supported through the realtime channel"}
	}
	plan, err := s.plan(o, &caller)
	if err != nil {
		return nil, err
	}
	if len(plan.root.fields) == 0 {
		return nil, &Error{Message: "the subscription selects no field", Locations: locate(o.def.Position)}
	}
	if len(plan.root.fields) > 1 { // one field under two aliases, which validation lets pass
		return nil, &Error{
			Message:   "Validation error of type SingleFieldSubscriptions: a subscription must select only one top level field.",
			Locations: locate(plan.root.fields[1].nodes[0].Position),
		}
	}
	f := &plan.root.fields[0]
	if f.denied {
		e := unauthorized(f)
		e.Path, e.Locations, e.field = []any{f.alias}, locate(f.nodes[0].Position), true
		return nil, e
	}
	def := s.ast.Subscription.Fields.ForName(f.name)
	args, err := s.arguments(def.Arguments, f.nodes[0], o.vars)
	if err != nil {
		err.Path, err.field = []any{f.alias}, true
		return nil, err
	}
	return &Subscription{
		Field: f.name, Alias: f.alias, Args: args, Variables: o.vars,
		Mutations: mutationsOf(def), Filter: FilterEqual(args), Plan: plan,
	}, nil
}

// plan returns a compiled plan; the same one for everybody who asks for the same.
func (s *Schema) plan(o *Operation, caller *Caller) (*Plan, *Error) {
	key := planKey{operation: o.def.Name, conditions: conditions(o), view: s.view(caller)}
	o.doc.mu.Lock()
	p := o.doc.plans[key]
	o.doc.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p = &Plan{limits: &s.opts.Limits}
	c := s.compiler(o, caller)
	if err := c.compile(func() { p.root = c.object(s.ast.Subscription, []ast.SelectionSet{o.def.SelectionSet}) }); err != nil {
		return nil, err
	}
	for i := range p.root.fields { // they are those of one subscriber
		p.root.fields[i].args, p.root.fields[i].err = Value{}, nil
	}
	o.doc.mu.Lock()
	defer o.doc.mu.Unlock()
	if other := o.doc.plans[key]; other != nil {
		return other, nil
	}
	if len(o.doc.plans) < maxPlans {
		o.doc.plans[key] = p
	}
	return p, nil
}

// conditions returns the values of the boolean variables, which are all that a
// selection can depend on.
func conditions(o *Operation) string {
	var b strings.Builder
	for name, v := range o.vars.All() {
		if v.kind == KindBool {
			b.WriteString(name + "=" + v.text + ";")
		}
	}
	return b.String()
}

// AppendPayload appends {"data":{"field":…}} for an event, which is the value of
// the field, with the errors of what does not fit the types. It does not
// allocate if dst has room and nothing is wrong.
func (p *Plan) AppendPayload(dst []byte, event Value) []byte {
	w := newWriter(append(dst, `{"data":`...), p.limits)
	start := len(w.buf)
	f := &p.root.fields[0]
	w.buf = append(append(w.buf, '{'), f.key...)
	w.steps = append(w.steps, step{name: f.alias})
	w.event = event
	// Clients drop data that is null: the field is, whatever its type says.
	field := len(w.buf)
	if f.typ == nil {
		w.buf = appendString(w.buf, p.root.def.Name)
	} else if !w.value(f, f.typ, &w.event) {
		w.buf = append(w.buf[:field], "null"...)
	}
	w.buf = append(w.buf, '}')
	if w.over {
		w.buf = append(append(append(w.buf[:start], '{'), f.key...), "null}"...)
		w.errs = Errors{limitError("the event has more than %d bytes", p.limits.Response)}
	}
	if len(w.errs) > 0 {
		w.buf = w.errs.AppendJSON(append(w.buf, `,"errors":`...))
	}
	dst = append(w.buf, '}')
	w.free()
	return dst
}

// Wants reports whether the plan shows a field of the event, at the top.
func (p *Plan) Wants(field string) bool {
	t := p.root.fields[0].typ
	for t != nil && t.elem != nil {
		t = t.elem
	}
	return t != nil && slices.ContainsFunc(t.objects, func(o *objectPlan) bool {
		return slices.ContainsFunc(o.fields, func(f planField) bool { return f.name == field })
	})
}
