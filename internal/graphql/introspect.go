package graphql

import (
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// The schema as the answer to questions about itself. Types contain themselves,
// so their members are made when a query asks for them.

type schemaNode struct{ s *Schema }

type typeNode struct {
	s   *Schema
	def *ast.Definition
}

// A wrapNode is a list or a non-null type.
type wrapNode struct {
	s *Schema
	t *ast.Type
}

type fieldNode struct {
	s *Schema
	f *ast.FieldDefinition
}

// An inputNode is an argument or a field of an input object.
type inputNode struct {
	s                 *Schema
	name, description string
	typ               *ast.Type
	byDefault         *ast.Value
	directives        ast.DirectiveList
}

type enumNode struct{ e *ast.EnumValueDefinition }

type directiveNode struct {
	s *Schema
	d *ast.DirectiveDefinition
}

func lazy(n node) Value { return Value{kind: KindObject, node: n} }

func (s *Schema) introspection() Value { return lazy(schemaNode{s}) }

func (s *Schema) introspectType(name string) Value {
	if def := s.ast.Types[name]; def != nil {
		return lazy(typeNode{s, def})
	}
	return Null()
}

func (s *Schema) typeValue(t *ast.Type) Value {
	if t.NonNull || t.Elem != nil {
		return lazy(wrapNode{s, t})
	}
	return s.introspectType(t.NamedType)
}

func (n schemaNode) field(name string, _ Value) Value {
	switch name {
	case "description":
		return optional(n.s.ast.Description)
	case "types":
		var types []Value
		for _, name := range slices.Sorted(maps.Keys(n.s.ast.Types)) {
			types = append(types, lazy(typeNode{n.s, n.s.ast.Types[name]}))
		}
		return List(types...)
	case "queryType":
		return n.root(n.s.ast.Query)
	case "mutationType":
		return n.root(n.s.ast.Mutation)
	case "subscriptionType":
		return n.root(n.s.ast.Subscription)
	case "directives":
		var directives []Value
		for _, name := range slices.Sorted(maps.Keys(n.s.ast.Directives)) {
			directives = append(directives, lazy(directiveNode{n.s, n.s.ast.Directives[name]}))
		}
		return List(directives...)
	}
	return Null()
}

func (n schemaNode) root(def *ast.Definition) Value {
	if def == nil {
		return Null()
	}
	return lazy(typeNode{n.s, def})
}

func (n wrapNode) field(name string, _ Value) Value {
	switch name {
	case "kind":
		if n.t.NonNull {
			return String("NON_NULL")
		}
		return String("LIST")
	case "ofType":
		if n.t.NonNull {
			inner := *n.t
			inner.NonNull = false
			return n.s.typeValue(&inner)
		}
		return n.s.typeValue(n.t.Elem)
	}
	return Null()
}

func (n typeNode) field(name string, args Value) Value {
	def := n.def
	switch name {
	case "kind":
		return String(string(def.Kind))
	case "name":
		return String(def.Name)
	case "description":
		return optional(def.Description)
	case "specifiedByURL":
		if d := def.Directives.ForName("specifiedBy"); d != nil {
			return optional(d.Arguments.ForName("url").Value.Raw)
		}
	case "fields":
		if def.Kind == ast.Object || def.Kind == ast.Interface {
			return n.fields(withDeprecated(args))
		}
	case "interfaces":
		if def.Kind == ast.Object || def.Kind == ast.Interface {
			return n.named(def.Interfaces)
		}
	case "possibleTypes":
		if def.IsAbstractType() {
			var types []Value
			for _, d := range n.s.objectsOf(def) {
				types = append(types, lazy(typeNode{n.s, d}))
			}
			return List(types...)
		}
	case "enumValues":
		if def.Kind == ast.Enum {
			var values []Value
			for _, e := range def.EnumValues {
				if withDeprecated(args) || e.Directives.ForName("deprecated") == nil {
					values = append(values, lazy(enumNode{e}))
				}
			}
			return List(values...)
		}
	case "inputFields":
		if def.Kind == ast.InputObject {
			return n.inputs(withDeprecated(args))
		}
	case "isOneOf":
		if def.Kind == ast.InputObject {
			return Bool(def.Directives.ForName("oneOf") != nil)
		}
	}
	return Null()
}

func (n typeNode) fields(deprecated bool) Value {
	var fields []Value
	for _, f := range n.def.Fields {
		if strings.HasPrefix(f.Name, "__") || !deprecated && f.Directives.ForName("deprecated") != nil {
			continue
		}
		fields = append(fields, lazy(fieldNode{n.s, f}))
	}
	return List(fields...)
}

func (n typeNode) inputs(deprecated bool) Value {
	var inputs []Value
	for _, f := range n.def.Fields {
		if deprecated || f.Directives.ForName("deprecated") == nil {
			inputs = append(inputs, lazy(inputNode{n.s, f.Name, f.Description, f.Type, f.DefaultValue, f.Directives}))
		}
	}
	return List(inputs...)
}

func (n typeNode) named(names []string) Value {
	var types []Value
	for _, name := range names {
		types = append(types, n.s.introspectType(name))
	}
	return List(types...)
}

func (n fieldNode) field(name string, args Value) Value {
	switch name {
	case "name":
		return String(n.f.Name)
	case "description":
		return optional(n.f.Description)
	case "args":
		return argumentNodes(n.s, n.f.Arguments, withDeprecated(args))
	case "type":
		return n.s.typeValue(n.f.Type)
	}
	return deprecation(name, n.f.Directives)
}

func (n inputNode) field(name string, _ Value) Value {
	switch name {
	case "name":
		return String(n.name)
	case "description":
		return optional(n.description)
	case "type":
		return n.s.typeValue(n.typ)
	case "defaultValue":
		if n.byDefault == nil {
			return Null()
		}
		return String(printLiteral(n.byDefault))
	}
	return deprecation(name, n.directives)
}

func (n enumNode) field(name string, _ Value) Value {
	switch name {
	case "name":
		return String(n.e.Name)
	case "description":
		return optional(n.e.Description)
	}
	return deprecation(name, n.e.Directives)
}

func (n directiveNode) field(name string, args Value) Value {
	switch name {
	case "name":
		return String(n.d.Name)
	case "description":
		return optional(n.d.Description)
	case "isRepeatable":
		return Bool(n.d.IsRepeatable)
	case "locations":
		var locations []Value
		for _, l := range n.d.Locations {
			locations = append(locations, String(string(l)))
		}
		return List(locations...)
	case "args":
		return argumentNodes(n.s, n.d.Arguments, withDeprecated(args))
	}
	return Null()
}

func argumentNodes(s *Schema, defs ast.ArgumentDefinitionList, deprecated bool) Value {
	var inputs []Value
	for _, a := range defs {
		if deprecated || a.Directives.ForName("deprecated") == nil {
			inputs = append(inputs, lazy(inputNode{s, a.Name, a.Description, a.Type, a.DefaultValue, a.Directives}))
		}
	}
	return List(inputs...)
}

func deprecation(name string, directives ast.DirectiveList) Value {
	d := directives.ForName("deprecated")
	switch name {
	case "isDeprecated":
		return Bool(d != nil)
	case "deprecationReason":
		if d == nil {
			return Null()
		}
		if reason := d.Arguments.ForName("reason"); reason != nil {
			return String(reason.Value.Raw)
		}
		return String("No longer supported")
	}
	return Null()
}

func withDeprecated(args Value) bool { return args.Get("includeDeprecated").Bool() }

func optional(s string) Value {
	if s == "" {
		return Null()
	}
	return String(s)
}

// printLiteral returns a default value as graphql-js prints it.
func printLiteral(v *ast.Value) string {
	if v.Kind != ast.ObjectValue && v.Kind != ast.ListValue {
		return v.String()
	}
	parts := make([]string, len(v.Children))
	for i, c := range v.Children {
		if parts[i] = printLiteral(c.Value); v.Kind == ast.ObjectValue {
			parts[i] = c.Name + ": " + parts[i]
		}
	}
	if v.Kind == ast.ObjectValue {
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
