package graphql

import (
	_ "embed" // for the prelude
	"errors"
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

//go:embed prelude.graphql
var prelude string

// maxSchema is AppSync's limit on the text of a schema.
const maxSchema = 1 << 20

// A Source is a file in GraphQL's schema definition language.
type Source struct{ Name, Text string }

// Options are what a schema does not say.
type Options struct {
	// DefaultMode is how callers authenticate who may see what no directive
	// speaks of. Without one, only callers with [ModeUnchecked] may.
	DefaultMode Mode
	// NoIntrospection refuses __schema and __type.
	NoIntrospection bool
	// Limits bound what documents may ask. Zero fields have their defaults.
	Limits Limits
}

// A Schema is an AppSync API: types, directives, and the documents that were
// lately asked of it. Its methods may be called concurrently.
type Schema struct {
	ast       *ast.Schema
	opts      Options
	access    map[*ast.FieldDefinition]access
	groups    []string // that directives name
	leaves    map[string]*leaf
	documents documentCache
}

// A RootField is a field of Query, Mutation or Subscription.
type RootField struct {
	Parent, Name string
	Operation    string   // query, mutation or subscription
	Type         string   // such as [Message!]!
	Mutations    []string // those that a subscription is an event of
	Source       string   // file:line:column
}

// Load makes a schema of its sources. Its errors say where: file, line, column.
func Load(opts Options, sources ...Source) (*Schema, error) {
	doc, err := parseSources(sources)
	if err != nil {
		return nil, fmt.Errorf("graphql: %w", located(err))
	}
	supplyQuery(doc)
	parsed, err := validator.ValidateSchemaDocument(doc)
	if err != nil {
		return nil, fmt.Errorf("graphql: %w", located(err))
	}
	delete(parsed.Directives, "defer") // the parser knows it; we do not do it
	opts.Limits = opts.Limits.withDefaults()
	s := &Schema{ast: parsed, opts: opts, leaves: make(map[string]*leaf)}
	for name, def := range parsed.Types {
		if def.IsLeafType() {
			s.leaves[name] = newLeaf(def)
		}
	}
	for _, check := range []func() error{s.checkSubscriptions, s.checkDefaults} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("graphql: %w", located(err))
		}
	}
	s.access = accessRules(parsed, opts.DefaultMode)
	s.groups = groupsOf(s.access)
	s.documents.init()
	return s, nil
}

// parseSources returns the user's definitions with those that every schema has.
func parseSources(sources []Source) (*ast.SchemaDocument, error) {
	doc, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: "prelude.graphql", Input: prelude, BuiltIn: true})
	if err != nil {
		return nil, err
	}
	builtIn := doc.Definitions
	builtInDirectives := doc.Directives
	size := 0
	for _, src := range sources {
		if size += len(src.Text); size > maxSchema {
			return nil, fmt.Errorf("%s: the schema has more than %d bytes", src.Name, maxSchema)
		}
		user, err := parser.ParseSchema(&ast.Source{Name: src.Name, Input: src.Text})
		if err != nil {
			return nil, err
		}
		// Schemas printed by AppSync's tools declare its scalars and directives.
		user.Definitions = slices.DeleteFunc(user.Definitions, func(d *ast.Definition) bool {
			return d.Kind == ast.Scalar && builtIn.ForName(d.Name) != nil
		})
		user.Directives = slices.DeleteFunc(user.Directives, func(d *ast.DirectiveDefinition) bool {
			return builtInDirectives.ForName(d.Name) != nil
		})
		doc.Merge(user)
	}
	return doc, nil
}

// supplyQuery gives a schema a query type if it has none. AppSync's users write
// schemas with nothing but mutations; GraphQL's introspection hangs on a query.
func supplyQuery(doc *ast.SchemaDocument) {
	for _, d := range append(slices.Clone(doc.Schema), doc.SchemaExtension...) {
		for _, op := range d.OperationTypes {
			if op.Operation == ast.Query {
				return
			}
		}
	}
	name := "Query"
	if len(doc.Schema) == 0 {
		if doc.Definitions.ForName(name) != nil || doc.Extensions.ForName(name) != nil {
			return
		}
	}
	for doc.Definitions.ForName(name) != nil {
		name += "_"
	}
	pos := &ast.Position{Line: 1, Column: 1, Src: &ast.Source{Name: "prelude.graphql"}}
	doc.Definitions = append(doc.Definitions, &ast.Definition{
		Kind: ast.Object, Name: name, Position: pos, Description: "This schema has no queries.",
		Fields: ast.FieldList{{Name: "_", Type: ast.NamedType("Boolean", pos), Position: pos, Description: "Always null."}},
	})
	if len(doc.Schema) > 0 {
		op := &ast.OperationTypeDefinition{Operation: ast.Query, Type: name, Position: pos}
		doc.Schema[0].OperationTypes = append(doc.Schema[0].OperationTypes, op)
	}
}

func mutationsOf(f *ast.FieldDefinition) []string {
	d := f.Directives.ForName("aws_subscribe")
	if d == nil {
		return nil
	}
	return stringsOf(d.Arguments.ForName("mutations"))
}

// stringsOf returns a directive's list of strings; one string is a list of one.
func stringsOf(arg *ast.Argument) (list []string) {
	if arg == nil {
		return nil
	}
	if arg.Value.Kind == ast.StringValue || arg.Value.Kind == ast.BlockValue {
		return []string{arg.Value.Raw}
	}
	for _, c := range arg.Value.Children {
		list = append(list, c.Value.Raw)
	}
	return list
}

// RootFields returns all fields that can be bound, in the order of the sources.
func (s *Schema) RootFields() (fields []RootField) {
	for _, op := range []ast.Operation{ast.Query, ast.Mutation, ast.Subscription} {
		def := s.root(op)
		if def == nil {
			continue
		}
		for _, f := range def.Fields {
			if len(f.Name) > 1 && f.Name[:2] == "__" {
				continue
			}
			fields = append(fields, RootField{
				Parent: def.Name, Name: f.Name, Operation: string(op), Type: f.Type.String(),
				Mutations: mutationsOf(f), Source: placeOf(f.Position),
			})
		}
	}
	return fields
}

// root returns the type of an operation, or nil.
func (s *Schema) root(op ast.Operation) *ast.Definition {
	switch op {
	case ast.Mutation:
		return s.ast.Mutation
	case ast.Subscription:
		return s.ast.Subscription
	}
	return s.ast.Query
}

func placeOf(p *ast.Position) string {
	if p == nil || p.Src == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.Src.Name, p.Line, p.Column)
}

// located writes the place of a parser's error as compilers do, since that is
// what editors understand.
func located(err error) error {
	g, ok := errors.AsType[*gqlerror.Error](err)
	if !ok || len(g.Locations) == 0 {
		return err
	}
	file, _ := g.Extensions["file"].(string)
	return fmt.Errorf("%s:%d:%d: %s", file, g.Locations[0].Line, g.Locations[0].Column, g.Message)
}
