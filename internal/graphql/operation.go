package graphql

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// A Request is what a client sends.
type Request struct {
	Query         string
	OperationName string
	Variables     Value // an object; null and absent are an empty one. Undeclared ones are ignored.
}

// UnmarshalJSON reads a request's body. Members that it does not know, such as
// extensions, are ignored.
func (r *Request) UnmarshalJSON(data []byte) error {
	body, err := ParseJSON(data)
	if err != nil {
		return err
	}
	*r = Request{
		Query:         body.Get("query").Text(),
		OperationName: body.Get("operationName").Text(),
		Variables:     body.Get("variables"),
	}
	return nil
}

// An Operation is a request that is valid and can be executed, or subscribed to.
type Operation struct {
	schema *Schema
	doc    *document
	def    *ast.OperationDefinition
	vars   Value
}

// Kind returns query, mutation or subscription.
func (o *Operation) Kind() string { return string(o.def.Operation) }

// Name returns the operation's name, if it has one.
func (o *Operation) Name() string { return o.def.Name }

// Prepare parses and validates a request and holds its variables to their types.
// Its errors are a whole answer: nothing has been executed.
func (s *Schema) Prepare(req Request) (*Operation, Errors) {
	doc, errs := s.document(req.Query)
	if errs != nil {
		return nil, errs
	}
	op, err := doc.operation(req.OperationName)
	if err != nil {
		return nil, Errors{err}
	}
	vars, errs := s.variables(op, req.Variables)
	if errs != nil {
		return nil, errs
	}
	return &Operation{schema: s, doc: doc, def: op, vars: vars}, nil
}

func (d *document) operation(name string) (*ast.OperationDefinition, *Error) {
	if name == "" {
		if len(d.ast.Operations) > 1 {
			return nil, &Error{Message: "Must provide operation name if query contains multiple operations."}
		}
		return d.ast.Operations[0], nil
	}
	if op := d.ast.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, &Error{Message: fmt.Sprintf("Unknown operation named '%s'.", name)}
}

func (s *Schema) variables(op *ast.OperationDefinition, given Value) (Value, Errors) {
	if given.kind > KindNull && given.kind != KindObject {
		return Value{}, Errors{{Message: "Variables must be an object."}}
	}
	var members []Member
	var errs Errors
	for _, def := range op.VariableDefinitions {
		v := given.Get(def.Variable)
		var err error
		switch {
		case v.kind == KindAbsent && def.DefaultValue != nil:
			v, err = s.literal(def.Type, def.DefaultValue, Value{})
		case v.kind == KindAbsent && !def.Type.NonNull:
			continue
		case v.IsNull() && def.Type.NonNull:
			errs = append(errs, &Error{
				Message:   fmt.Sprintf("Variable '%s' has coerced Null value for NonNull type '%s'", def.Variable, def.Type),
				Locations: locate(def.Position),
			})
			continue
		default:
			v, err = s.coerce(def.Type, v)
		}
		if err != nil {
			errs = append(errs, &Error{
				Message:   fmt.Sprintf("Variable '%s' has an invalid value: %v", def.Variable, err),
				Locations: locate(def.Position),
			})
			continue
		}
		members = append(members, Member{def.Variable, v})
	}
	return Object(members...), errs
}
