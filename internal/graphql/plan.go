package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// An objectPlan is what of one object type goes into an answer.
type objectPlan struct {
	def    *ast.Definition
	fields []planField
}

// A planField is one member of an object in an answer.
type planField struct {
	key    string // "alias": as it stands in the answer
	alias  string
	name   string
	parent *ast.Definition
	nodes  []*ast.Field // merged
	typ    *planType
	denied bool   // to this caller
	args   Value  // of root fields and the schema's own
	err    *Error // why args are not what the field takes
}

// A planType is a type with what is asked of it.
type planType struct {
	nonNull bool
	text    string    // for messages
	elem    *planType // of a list
	leaf    *leaf     // of a scalar or an enum
	objects []*objectPlan
	typ     *ast.Definition // of an object, an interface or a union
}

// A compiler makes plans for one caller and one set of variables.
type compiler struct {
	schema *Schema
	doc    *ast.QueryDocument
	vars   Value
	caller *Caller
	// left bounds the work: abstract types multiply what they select by the
	// number of their types.
	left int
}

// maxCompiled is how many times the allowed number of fields a plan may have,
// since each type that an interface stands for gets its own.
const maxCompiled = 20

func (s *Schema) compiler(o *Operation, c *Caller) *compiler {
	return &compiler{schema: s, doc: o.doc.ast, vars: o.vars, caller: c, left: maxCompiled * s.opts.Limits.Fields}
}

// A group is the fields of a selection that share a place in the answer.
type group struct {
	nodes []*ast.Field
	def   *ast.FieldDefinition
}

// object plans for def what the selection sets ask, merged.
func (c *compiler) object(def *ast.Definition, sets []ast.SelectionSet) *objectPlan {
	col := collector{compiler: c, def: def, index: make(map[string]int), spread: make(map[string]bool)}
	for _, set := range sets {
		col.collect(set)
	}
	p := &objectPlan{def: def, fields: make([]planField, 0, len(col.groups))}
	for _, g := range col.groups {
		p.fields = append(p.fields, c.field(def, g))
	}
	return p
}

func (c *compiler) field(parent *ast.Definition, g group) planField {
	node := g.nodes[0]
	f := planField{
		key: string(append(appendString(nil, node.Alias), ':')), alias: node.Alias, name: node.Name, parent: parent, nodes: g.nodes,
	}
	if node.Name == "__typename" {
		return f
	}
	f.denied = !c.schema.mayAsk(c.caller, g.def)
	if c.isRoot(parent) || strings.HasPrefix(parent.Name, "__") {
		f.args, f.err = c.schema.arguments(g.def.Arguments, node, c.vars)
	}
	var sets []ast.SelectionSet
	for _, n := range g.nodes {
		if n.SelectionSet != nil {
			sets = append(sets, n.SelectionSet)
		}
	}
	f.typ = c.typeOf(g.def.Type, sets)
	return f
}

func (c *compiler) isRoot(def *ast.Definition) bool {
	s := c.schema.ast
	return def == s.Query || def == s.Mutation || def == s.Subscription
}

func (c *compiler) typeOf(t *ast.Type, sets []ast.SelectionSet) *planType {
	p := &planType{nonNull: t.NonNull, text: t.Name()}
	if t.Elem != nil {
		p.elem = c.typeOf(t.Elem, sets)
		return p
	}
	def := c.schema.ast.Types[t.NamedType]
	if p.leaf = c.schema.leaves[t.NamedType]; p.leaf != nil {
		return p
	}
	p.typ = def
	possible := []*ast.Definition{def}
	if def.IsAbstractType() {
		possible = c.schema.objectsOf(def)
	}
	for _, d := range possible {
		p.objects = append(p.objects, c.object(d, sets))
	}
	return p
}

// objectsOf returns the object types that an abstract type stands for.
func (s *Schema) objectsOf(def *ast.Definition) (objects []*ast.Definition) {
	for _, d := range s.ast.PossibleTypes[def.Name] {
		if d.Kind == ast.Object {
			objects = append(objects, d)
		}
	}
	return objects
}

// objectFor returns the plan for a value: its type is known, or named by its
// __typename.
func (t *planType) objectFor(v *Value) *objectPlan {
	if len(t.objects) == 1 && !(t.typ.IsAbstractType() && v.member("__typename") != nil) {
		return t.objects[0]
	}
	name := v.member("__typename")
	if name == nil {
		return nil
	}
	for _, o := range t.objects {
		if o.def.Name == name.text {
			return o
		}
	}
	return nil
}

// A collector gathers the fields of one object type from its selection sets.
type collector struct {
	*compiler
	def    *ast.Definition
	groups []group
	index  map[string]int // of an alias, into groups
	spread map[string]bool
}

func (c *collector) collect(set ast.SelectionSet) {
	for _, sel := range set {
		if c.left--; c.left < 0 {
			panic(errTooLarge{})
		}
		switch sel := sel.(type) {
		case *ast.Field:
			if c.included(sel.Directives) {
				c.add(sel)
			}
		case *ast.InlineFragment:
			if c.included(sel.Directives) && c.applies(sel.TypeCondition) {
				c.collect(sel.SelectionSet)
			}
		case *ast.FragmentSpread:
			if c.spread[sel.Name] || !c.included(sel.Directives) {
				continue
			}
			c.spread[sel.Name] = true
			if f := sel.Definition; f != nil && c.applies(f.TypeCondition) {
				c.collect(f.SelectionSet)
			}
		}
	}
}

// errTooLarge ends the compilation of a query that asks for too much.
type errTooLarge struct{}

// compile runs f, and returns an error if what it compiles is too large.
func (c *compiler) compile(f func()) (err *Error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(errTooLarge); !ok {
				panic(r)
			}
			err = limitError("the query asks for too many fields of too many types")
		}
	}()
	f()
	return nil
}

func (c *collector) add(f *ast.Field) {
	if i, ok := c.index[f.Alias]; ok {
		c.groups[i].nodes = append(c.groups[i].nodes, f)
		return
	}
	def := c.def.Fields.ForName(f.Name)
	if def == nil && f.Name != "__typename" {
		return // a field of an interface that this type has not: cannot be, in a valid schema
	}
	c.index[f.Alias] = len(c.groups)
	c.groups = append(c.groups, group{nodes: []*ast.Field{f}, def: def})
}

// applies reports whether a fragment with the condition is about this type.
func (c *collector) applies(condition string) bool {
	if condition == "" || condition == c.def.Name {
		return true
	}
	return slices.ContainsFunc(c.schema.ast.PossibleTypes[condition], func(d *ast.Definition) bool { return d.Name == c.def.Name })
}

func (c *compiler) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		arg := d.Arguments.ForName("if")
		if arg == nil {
			continue
		}
		if v := untyped(arg.Value, c.vars); v.Bool() == (d.Name == "skip") {
			return false
		}
	}
	return true
}
