package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// checkSubscriptions holds @aws_subscribe to what it can mean.
func (s *Schema) checkSubscriptions() error {
	for _, def := range s.ast.Types {
		for _, f := range def.Fields {
			d := f.Directives.ForName("aws_subscribe")
			if d == nil {
				continue
			}
			if def != s.ast.Subscription {
				return gqlerror.ErrorPosf(d.Position, "@aws_subscribe belongs on a field of the subscription type, not on %s.%s", def.Name, f.Name)
			}
			for _, name := range mutationsOf(f) {
				if err := s.checkSource(f, d, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Schema) checkSource(f *ast.FieldDefinition, d *ast.Directive, mutation string) error {
	var m *ast.FieldDefinition
	if s.ast.Mutation != nil {
		m = s.ast.Mutation.Fields.ForName(mutation)
	}
	if m == nil {
		return gqlerror.ErrorPosf(d.Position, "@aws_subscribe on %s names the mutation %q, which does not exist", f.Name, mutation)
	}
	// Whether it may be null is not compared: publishToken returns TokenEvent!,
	// onTokenReceived a TokenEvent, for an event that does not fit.
	a, b := *f.Type, *m.Type
	a.NonNull, b.NonNull = false, false
	if a.String() != b.String() {
		return gqlerror.ErrorPosf(d.Position, "%s has the type %s, but the mutation %s, whose results are its events, has %s", f.Name, f.Type, mutation, m.Type)
	}
	return nil
}

// checkDefaults holds default values to their types, which the parser does not.
// Those of input objects must end: one that needs itself would never.
func (s *Schema) checkDefaults() error {
	c := defaultChecker{schema: s, state: make(map[*ast.FieldDefinition]defaultState)}
	for _, def := range s.ast.Types {
		if def.Kind == ast.InputObject {
			for _, f := range def.Fields {
				if err := c.field(f); err != nil {
					return err
				}
			}
		}
	}
	for _, def := range s.ast.Types {
		for _, f := range def.Fields {
			if def.Kind == ast.InputObject {
				if err := s.checkDefault(f.Name, f.Type, f.DefaultValue); err != nil {
					return err
				}
			}
			for _, a := range f.Arguments {
				if err := s.checkDefault(a.Name, a.Type, a.DefaultValue); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Schema) checkDefault(name string, t *ast.Type, v *ast.Value) error {
	if v == nil {
		return nil
	}
	if _, err := s.literal(t, v, Value{}); err != nil {
		return gqlerror.ErrorPosf(v.Position, "the default of %s is not a %s: %v", name, t, err)
	}
	return nil
}

type defaultState uint8

const (
	defaultPending defaultState = iota + 1
	defaultEnds
)

// A defaultChecker follows the defaults of input objects into one another.
type defaultChecker struct {
	schema *Schema
	state  map[*ast.FieldDefinition]defaultState
}

func (c *defaultChecker) field(f *ast.FieldDefinition) error {
	if f.DefaultValue == nil || c.state[f] == defaultEnds {
		return nil
	}
	if c.state[f] == defaultPending {
		return gqlerror.ErrorPosf(f.Position, "the default of %s needs itself", f.Name)
	}
	c.state[f] = defaultPending
	if err := c.value(f.Type, f.DefaultValue); err != nil {
		return err
	}
	c.state[f] = defaultEnds
	return nil
}

func (c *defaultChecker) value(t *ast.Type, v *ast.Value) error {
	for t.Elem != nil {
		if v.Kind == ast.ListValue {
			for _, item := range v.Children {
				if err := c.value(t.Elem, item.Value); err != nil {
					return err
				}
			}
			return nil
		}
		t = t.Elem
	}
	def := c.schema.ast.Types[t.NamedType]
	if def.Kind != ast.InputObject || v.Kind != ast.ObjectValue {
		return nil
	}
	for _, f := range def.Fields {
		given := v.Children.ForName(f.Name)
		var err error
		if given != nil {
			err = c.value(f.Type, given)
		} else {
			err = c.field(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
