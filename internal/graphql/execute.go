package graphql

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/runnelhq/runnel"
)

// A Resolver produces the value of a root field. What it returns is held to the
// field's type; an error makes the field null and stands in the answer. It must
// return when ctx ends. Those of queries run at the same time, those of mutations
// one after the other.
type Resolver func(ctx context.Context, f *Field) (Value, error)

// A Field is a root field that is asked for.
type Field struct {
	Parent, Name string
	Alias        string // its name in the answer
	Args         Value  // an object: given ones and defaults
	Variables    Value  // the operation's, held to their types

	plan *planField
}

// Restrict returns what of v, a result of this field, the selection asks for, by
// the names of the fields: what subscribers of a mutation get to see.
func (f *Field) Restrict(v Value) Value { return f.plan.typ.restrict(&v) }

// An Executor answers queries and mutations with resolvers.
type Executor struct {
	schema    *Schema
	resolvers map[string]Resolver

	// Error says what an error of a resolver looks like; nil means that only what
	// [runnel.PublicMessage] shows is shown. It is not asked about an *Error.
	Error func(ctx context.Context, f *Field, err error) *Error
	// Completed, if not nil, is told of every mutation that succeeded, before the
	// next one runs, with its event: the answer's value by field names. A
	// mutation that failed or is null is not an event; one that lacks a field
	// which the caller may not see is.
	Completed func(ctx context.Context, f *Field, event Value)
}

// NewExecutor binds resolvers, by Type.field, to the root fields of a schema. A
// field without one is null, as in AppSync. Subscription fields have none.
func NewExecutor(s *Schema, resolvers map[string]Resolver) (*Executor, error) {
	known := make(map[string]bool)
	for _, f := range s.RootFields() {
		known[f.Parent+"."+f.Name] = s.ast.Subscription == nil || f.Parent != s.ast.Subscription.Name
	}
	var errs []error
	for name := range resolvers {
		if query, ok := known[name]; !ok {
			errs = append(errs, fmt.Errorf("graphql: %s is not a field of the schema's query or mutation type", name))
		} else if !query {
			errs = append(errs, fmt.Errorf("graphql: %s is a subscription, which has no resolver", name))
		}
	}
	return &Executor{schema: s, resolvers: resolvers}, errors.Join(errs...)
}

// A Response is the answer to a request.
type Response struct {
	Data   []byte // JSON; nil is null
	Errors Errors
}

// AppendJSON appends the body of the answer.
func (r *Response) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"data":`...)
	if r.Data == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, r.Data...)
	}
	if len(r.Errors) > 0 {
		dst = r.Errors.AppendJSON(append(dst, `,"errors":`...))
	}
	return append(dst, '}')
}

// maxParallel is how many resolvers of one query run at the same time.
const maxParallel = 8

// Execute answers a query or a mutation. It returns when all resolvers have.
func (e *Executor) Execute(ctx context.Context, o *Operation, caller Caller) *Response {
	s := e.schema
	if o.def.Operation == ast.Subscription {
		return &Response{Errors: Errors{{Type: "BadRequestException", Message: "Subscriptions over MQTT is not supported."}}}
	}
	var plan *objectPlan
	c := s.compiler(o, &caller)
	if err := c.compile(func() { plan = c.object(s.root(o.def.Operation), []ast.SelectionSet{o.def.SelectionSet}) }); err != nil {
		return &Response{Errors: Errors{err}}
	}
	if n, most := len(plan.fields), s.opts.Limits.RootFields; n > most {
		return &Response{Errors: Errors{limitError("the operation has %d fields at the top; %d are allowed", n, most)}}
	}
	x := &execution{Executor: e, op: o, plan: plan, results: make([]result, len(plan.fields))}
	if o.def.Operation == ast.Mutation {
		x.serial(ctx)
	} else {
		x.parallel(ctx)
	}
	return x.response()
}

// An execution is one run of an operation.
type execution struct {
	*Executor
	op      *Operation
	plan    *objectPlan
	results []result // by field of plan, each written by who resolves it
	written atomic.Int64
}

// A result is what came of a root field.
type result struct {
	ok   bool // false: it is null and must not be
	json []byte
	errs Errors
	over bool
}

// serial stops at the first field that is null and must not be: the answer has
// no data then, and what nobody will see had better not happen.
func (x *execution) serial(ctx context.Context) {
	for i := range x.plan.fields {
		x.resolve(ctx, i)
		if !x.results[i].ok || x.full() {
			return
		}
	}
}

// full reports whether the answer is beyond the limit, so that nothing more
// needs to be made.
func (x *execution) full() bool { return x.written.Load() > int64(x.schema.opts.Limits.Response) }

func (x *execution) parallel(ctx context.Context) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxParallel)
	for i := range x.plan.fields {
		if x.full() {
			break
		}
		f := &x.plan.fields[i]
		if len(x.plan.fields) == 1 || f.denied || x.resolvers[f.parentField()] == nil {
			x.resolve(ctx, i)
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			x.resolve(ctx, i)
		})
	}
	wg.Wait()
}

func (f *planField) parentField() string { return f.parent.Name + "." + f.name }

// resolve produces the value of a root field and writes it.
func (x *execution) resolve(ctx context.Context, i int) {
	f := &x.plan.fields[i]
	w := newWriter(nil, &x.schema.opts.Limits)
	defer w.free()
	res := &x.results[i]
	if f.typ == nil { // __typename
		res.ok, res.json = true, appendString(nil, x.plan.def.Name)
		return
	}
	w.steps = append(w.steps, step{name: f.alias})
	switch {
	case f.denied:
		w.fail(f, unauthorized(f))
		res.ok = w.null(f.typ)
	case f.err != nil:
		w.fail(f, f.argumentError())
		res.ok = w.null(f.typ)
	default:
		field := &Field{Parent: f.parent.Name, Name: f.name, Alias: f.alias, Args: f.args, Variables: x.op.vars, plan: f}
		v, err := x.call(ctx, field)
		if err != nil {
			w.fail(f, x.describe(ctx, field, err))
			res.ok = w.null(f.typ)
			break
		}
		res.ok = w.value(f, f.typ, &v)
		if res.ok && string(w.buf) != "null" && x.Completed != nil && x.op.def.Operation == ast.Mutation {
			x.Completed(ctx, field, field.Restrict(v))
		}
	}
	res.json, res.errs, res.over = w.buf, w.errs, w.over
	x.written.Add(int64(len(w.buf)))
}

// call runs the resolver. Its panic is an error of the field: it may be on a
// goroutine of ours, where it would end the process.
func (x *execution) call(ctx context.Context, f *Field) (v Value, err error) {
	switch f.Name {
	case "__schema":
		return x.schema.introspection(), nil
	case "__type":
		return x.schema.introspectType(f.Args.Get("name").Text()), nil
	}
	resolver := x.resolvers[f.Parent+"."+f.Name]
	if resolver == nil {
		return Null(), nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("graphql: %s.%s panicked: %v\n%s", f.Parent, f.Name, r, debug.Stack())
		}
	}()
	return resolver(ctx, f)
}

// describe returns an error as the answer has it.
func (x *execution) describe(ctx context.Context, f *Field, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		own := *e
		own.Data = f.restrictData(e.Data)
		return &own
	}
	if x.Error != nil {
		if e := x.Error(ctx, f, err); e != nil {
			own := *e
			return &own
		}
	}
	return &Error{Message: runnel.PublicMessage(err)}
}

// restrictData shows of an error's data what the selection asks for, so that an
// error is no way around it.
func (f *Field) restrictData(v Value) Value {
	if v.IsNull() {
		return v
	}
	return f.plan.typ.restrict(&v)
}

// response puts the fields together.
func (x *execution) response() *Response {
	r := &Response{}
	tooLarge := limitError("the answer has more than %d bytes", x.schema.opts.Limits.Response)
	if x.full() {
		return &Response{Errors: Errors{tooLarge}}
	}
	data := []byte{'{'}
	for i := range x.results {
		res := &x.results[i]
		if room := x.schema.opts.Limits.Errors - len(r.Errors); len(res.errs) > room {
			res.errs = res.errs[:room]
		}
		r.Errors = append(r.Errors, res.errs...)
		if res.over || len(data)+len(res.json) > x.schema.opts.Limits.Response {
			return &Response{Errors: Errors{tooLarge}}
		}
		if !res.ok { // null at the top; what went wrong after it is of no interest
			return r
		}
		if i > 0 {
			data = append(data, ',')
		}
		data = append(append(data, x.plan.fields[i].key...), res.json...)
	}
	r.Data = append(data, '}')
	return r
}

// SelectionSetList returns the names of what is asked for below this field, the
// way Lambda resolvers get them: a, b, b/c.
func (f *Field) SelectionSetList() []string {
	list := []string{}
	f.plan.typ.walk("", &list, make(map[string]bool))
	return list
}

func (t *planType) walk(prefix string, list *[]string, seen map[string]bool) {
	for t != nil && t.elem != nil {
		t = t.elem
	}
	if t == nil {
		return
	}
	for _, o := range t.objects {
		for i := range o.fields {
			f := &o.fields[i]
			name := prefix + f.alias
			if !seen[name] {
				seen[name] = true
				*list = append(*list, name)
			}
			f.typ.walk(name+"/", list, seen)
		}
	}
}

// SelectionSetGraphQL returns what is asked for below this field as a selection
// set, without arguments and directives; empty for scalars.
func (f *Field) SelectionSetGraphQL() string {
	var b strings.Builder
	f.plan.typ.print(&b, 0)
	return b.String()
}

func (t *planType) print(b *strings.Builder, depth int) {
	for t != nil && t.elem != nil {
		t = t.elem
	}
	if t == nil || t.leaf != nil {
		return
	}
	b.WriteString("{\n")
	for _, o := range t.objects {
		inner := depth + 1
		if t.typ.IsAbstractType() {
			fmt.Fprintf(b, "%s... on %s {\n", strings.Repeat("  ", inner), o.def.Name)
			inner++
		}
		for i := range o.fields {
			f := &o.fields[i]
			b.WriteString(strings.Repeat("  ", inner))
			if f.alias != f.name {
				b.WriteString(f.alias + ": ")
			}
			b.WriteString(f.name)
			if f.typ != nil && f.typ.composite() {
				b.WriteByte(' ')
				f.typ.print(b, inner)
			}
			b.WriteByte('\n')
		}
		if t.typ.IsAbstractType() {
			b.WriteString(strings.Repeat("  ", inner-1) + "}\n")
		}
	}
	b.WriteString(strings.Repeat("  ", depth) + "}")
}

func (t *planType) composite() bool {
	for t.elem != nil {
		t = t.elem
	}
	return t.leaf == nil
}
