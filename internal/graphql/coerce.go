package graphql

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// A mismatch is why a value is not of its type, in AppSync's words, which begin
// with a capital.
type mismatch string

// Error returns the words.
func (m mismatch) Error() string { return string(m) }

func mismatchf(format string, args ...any) error { return mismatch(fmt.Sprintf(format, args...)) }

// coerce holds a variable's value, as the client sent it, to its type.
func (s *Schema) coerce(t *ast.Type, v Value) (Value, error) {
	if v.IsNull() {
		if t.NonNull {
			return Value{}, mismatchf("Expected type '%s' but was null", t)
		}
		return Null(), nil
	}
	if t.Elem != nil {
		if v.kind != KindList {
			one, err := s.coerce(t.Elem, v)
			return List(one), err
		}
		items := make([]Member, len(v.items))
		for i := range v.items {
			var err error
			if items[i].Value, err = s.coerce(t.Elem, v.items[i].Value); err != nil {
				return Value{}, err
			}
		}
		return Value{kind: KindList, items: items}, nil
	}
	if def := s.ast.Types[t.NamedType]; def.Kind == ast.InputObject {
		return s.coerceObject(def, v)
	}
	out, ok := s.leaves[t.NamedType].in(&v)
	if !ok {
		return Value{}, mismatchf("Expected type '%s' but was '%s'", t.NamedType, v.kind)
	}
	return out, nil
}

func (s *Schema) coerceObject(def *ast.Definition, v Value) (Value, error) {
	if v.kind != KindObject {
		return Value{}, mismatchf("Expected type '%s' but was '%s'", def.Name, v.kind)
	}
	for name := range v.All() {
		if def.Fields.ForName(name) == nil {
			return Value{}, mismatchf("the variables input contains a field name '%s' that is not defined for input object type '%s'", name, def.Name)
		}
	}
	var members []Member
	for _, f := range def.Fields {
		given := v.Get(f.Name)
		var value Value
		var err error
		switch {
		case given.kind != KindAbsent:
			value, err = s.coerce(f.Type, given)
		case f.DefaultValue != nil:
			value, err = s.literal(f.Type, f.DefaultValue, Value{})
		case f.Type.NonNull:
			err = mismatchf("Field '%s' of type '%s' is required", f.Name, f.Type)
		default:
			continue
		}
		if err != nil {
			return Value{}, err
		}
		members = append(members, Member{f.Name, value})
	}
	return oneOf(def, Object(members...))
}

// oneOf holds an input object with @oneOf to one member that is not null.
func oneOf(def *ast.Definition, v Value) (Value, error) {
	if def.Directives.ForName("oneOf") != nil && (len(v.items) != 1 || v.items[0].Value.IsNull()) {
		return Value{}, mismatchf("exactly one field of '%s' must be given, and not be null", def.Name)
	}
	return v, nil
}

// literal holds what stands in a document or a schema to its type. vars are the
// variables, held to theirs before. Absent means that a variable was not set.
func (s *Schema) literal(t *ast.Type, lit *ast.Value, vars Value) (Value, error) {
	if lit.Kind == ast.Variable {
		v := vars.Get(lit.Raw)
		if v.kind == KindNull && t.NonNull || v.kind == KindAbsent && t.NonNull {
			return Value{}, mismatchf("Variable '%s' has coerced Null value for NonNull type '%s'", lit.Raw, t)
		}
		return v, nil
	}
	if lit.Kind == ast.NullValue {
		if t.NonNull {
			return Value{}, mismatchf("Expected type '%s' but was null", t)
		}
		return Null(), nil
	}
	if t.Elem != nil {
		return s.literalList(t, lit, vars)
	}
	if def := s.ast.Types[t.NamedType]; def.Kind == ast.InputObject {
		return s.literalObject(def, lit, vars)
	}
	v := untyped(lit, vars)
	out, ok := s.leaves[t.NamedType].in(&v)
	if !ok {
		return Value{}, mismatchf("Expected type '%s' but was %s", t.NamedType, lit)
	}
	return out, nil
}

func (s *Schema) literalList(t *ast.Type, lit *ast.Value, vars Value) (Value, error) {
	if lit.Kind != ast.ListValue {
		one, err := s.literal(t.Elem, lit, vars)
		return List(one), err
	}
	items := make([]Member, len(lit.Children))
	for i, c := range lit.Children {
		v, err := s.literal(t.Elem, c.Value, vars)
		if err != nil {
			return Value{}, err
		}
		if v.kind == KindAbsent { // a variable that was not set is null in a list
			v = Null()
		}
		items[i].Value = v
	}
	return Value{kind: KindList, items: items}, nil
}

func (s *Schema) literalObject(def *ast.Definition, lit *ast.Value, vars Value) (Value, error) {
	if lit.Kind != ast.ObjectValue {
		return Value{}, mismatchf("Expected type '%s' but was %s", def.Name, lit)
	}
	for _, c := range lit.Children {
		if def.Fields.ForName(c.Name) == nil {
			return Value{}, mismatchf("'%s' has no field '%s'", def.Name, c.Name)
		}
	}
	var members []Member
	for _, f := range def.Fields {
		given := lit.Children.ForName(f.Name)
		v, err := s.argument(f.Type, f.DefaultValue, given, vars)
		if err != nil {
			return Value{}, mismatchf("%s: %v", f.Name, err)
		}
		if v.kind != KindAbsent {
			members = append(members, Member{f.Name, v})
		}
	}
	return oneOf(def, Object(members...))
}

// argument returns the value of an argument, or of an input object's field:
// given, by default, or absent.
func (s *Schema) argument(t *ast.Type, byDefault, given *ast.Value, vars Value) (Value, error) {
	unset := given == nil || given.Kind == ast.Variable && vars.Get(given.Raw).kind == KindAbsent
	switch {
	case !unset:
		return s.literal(t, given, vars)
	case byDefault != nil:
		return s.literal(t, byDefault, Value{})
	case t.NonNull:
		return Value{}, mismatchf("a value of type '%s' is required", t)
	}
	return Value{}, nil
}

// arguments returns those of a field.
func (s *Schema) arguments(defs ast.ArgumentDefinitionList, field *ast.Field, vars Value) (Value, *Error) {
	var members []Member
	for _, def := range defs {
		var lit *ast.Value
		pos := field.Position
		if a := field.Arguments.ForName(def.Name); a != nil {
			lit, pos = a.Value, a.Value.Position
		}
		v, err := s.argument(def.Type, def.DefaultValue, lit, vars)
		if err != nil {
			return Value{}, &Error{Message: fmt.Sprintf("Argument '%s' has an invalid value: %v", def.Name, err), Locations: locate(pos)}
		}
		if v.kind != KindAbsent {
			members = append(members, Member{def.Name, v})
		}
	}
	return Object(members...), nil
}

// untyped returns a literal as JSON has it.
func untyped(lit *ast.Value, vars Value) Value {
	switch lit.Kind {
	case ast.Variable:
		return vars.Get(lit.Raw)
	case ast.IntValue, ast.FloatValue:
		return Value{kind: KindNumber, text: lit.Raw}
	case ast.BooleanValue:
		return Bool(lit.Raw == "true")
	case ast.NullValue:
		return Null()
	case ast.ListValue, ast.ObjectValue:
		v := Value{kind: KindList, items: make([]Member, 0, len(lit.Children))}
		if lit.Kind == ast.ObjectValue {
			v.kind = KindObject
		}
		for _, c := range lit.Children {
			m := Member{c.Name, untyped(c.Value, vars)}
			if v.kind == KindList || m.Value.kind != KindAbsent {
				v.items = append(v.items, m)
			}
		}
		return v
	}
	return String(lit.Raw) // strings, block strings, enums
}
