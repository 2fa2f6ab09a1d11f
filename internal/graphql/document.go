package graphql

import (
	"container/list"
	"fmt"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// What the cache of documents holds at most. Clients send the same few texts
// over and over; one who sends new ones all the time pushes out the rest, which
// then cost a parse again. A parsed document takes 31 times the memory of its text.
const (
	maxDocuments     = 1000
	maxDocumentBytes = 1 << 20
)

// A document is a parsed and valid text.
type document struct {
	text string
	ast  *ast.QueryDocument

	mu    sync.Mutex
	plans map[planKey]*Plan // of subscriptions
}

type documentCache struct {
	mu     sync.Mutex
	byText map[string]*list.Element
	recent list.List // of *document, the one used last in front
	bytes  int
}

func (c *documentCache) init() { c.byText = make(map[string]*list.Element) }

func (c *documentCache) get(text string) *document {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byText[text]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*document)
}

// put keeps d, unless another goroutine was faster, and returns the one kept.
func (c *documentCache) put(d *document) *document {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byText[d.text]; e != nil {
		return e.Value.(*document)
	}
	c.byText[d.text] = c.recent.PushFront(d)
	c.bytes += len(d.text)
	for c.recent.Len() > maxDocuments || c.bytes > maxDocumentBytes {
		last := c.recent.Back()
		old := c.recent.Remove(last).(*document)
		delete(c.byText, old.text)
		c.bytes -= len(old.text)
	}
	return d
}

// document returns a text parsed and found valid.
func (s *Schema) document(text string) (*document, Errors) {
	l := &s.opts.Limits
	if len(text) > l.Document {
		return nil, Errors{limitError("the query has %d bytes; %d are allowed", len(text), l.Document)}
	}
	if d := s.documents.get(text); d != nil {
		return d, nil
	}
	text = strings.Clone(text) // it may be a part of a larger request
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, l.Tokens)
	if err != nil {
		e := syntaxError(err)
		if strings.HasPrefix(e.Message, "exceeded token limit") {
			return nil, Errors{limitError("the query has more than %d words and marks", l.Tokens)}
		}
		e.Message = "Validation error of type InvalidSyntax: " + e.Message
		return nil, Errors{e}
	}
	if len(parsed.Operations) == 0 {
		return nil, Errors{{Message: "Validation error of type InvalidSyntax: the document has no operation"}}
	}
	if e := l.check(parsed, !s.opts.NoIntrospection); e != nil {
		return nil, Errors{e}
	}
	if errs := s.validate(parsed); len(errs) > 0 {
		return nil, errs
	}
	return s.documents.put(&document{text: text, ast: parsed, plans: make(map[planKey]*Plan)}), nil
}

// validationRules are the specification's. None of them guesses what the client
// may have meant: that costs time, and gives away names.
func validationRules() []core.Rule {
	return []core.Rule{
		rules.FragmentsOnCompositeTypesRule, rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownDirectivesRule, rules.KnownFragmentNamesRule, rules.KnownRootTypeRule, rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.LoneAnonymousOperationRule, rules.MaxIntrospectionDepth, rules.NoFragmentCyclesRule, rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule, rules.NoUnusedVariablesRule, rules.OverlappingFieldsCanBeMergedRule, rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule, rules.ScalarLeafsRule, rules.SingleFieldSubscriptionsRule, rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule, rules.UniqueFragmentNamesRule, rules.UniqueInputFieldNamesRule, rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule, rules.ValuesOfCorrectTypeRuleWithoutSuggestions, rules.VariablesAreInputTypesRule, rules.VariablesInAllowedPositionRule,
	}
}

// errEnough ends a validation that has found as much as anybody will read.
type errEnough struct{}

func (s *Schema) validate(doc *ast.QueryDocument) (errs Errors) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(errEnough); !ok {
				panic(r)
			}
		}
	}()
	observers := &core.Events{}
	for _, rule := range validationRules() {
		rule.RuleFunc(observers, func(options ...core.ErrorOption) {
			if len(errs) >= s.opts.Limits.Errors {
				panic(errEnough{})
			}
			found := &gqlerror.Error{Rule: rule.Name}
			for _, o := range options {
				o(found)
			}
			errs = append(errs, validationError(found))
		})
	}
	found := make(map[*ast.Field]bool) // a fragment is walked wherever it is spread
	observers.OnField(func(_ *core.Walker, f *ast.Field) {
		if f.ObjectDefinition != nil && f.Definition == nil && !found[f] && len(errs) < s.opts.Limits.Errors {
			found[f] = true
			errs = append(errs, undefinedField(doc, f))
		}
	})
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if e := s.checkLiteral(v); e != nil && len(errs) < s.opts.Limits.Errors {
			errs = append(errs, e)
		}
	})
	core.Walk(s.ast, doc, observers)
	return errs
}

// undefinedField is in AppSync's words, which name the field and where it stands.
func undefinedField(doc *ast.QueryDocument, f *ast.Field) *Error {
	var path []string
	for _, op := range doc.Operations {
		path = append(path, pathTo(op.SelectionSet, f)...)
	}
	for _, def := range doc.Fragments {
		if below := pathTo(def.SelectionSet, f); below != nil {
			path = append([]string{def.Name}, below...)
		}
	}
	return &Error{
		Message: fmt.Sprintf("Validation error of type FieldUndefined: Field '%s' in type '%s' is undefined @ '%s'",
			f.Name, f.ObjectDefinition.Name, strings.Join(path, "/")),
		Locations: locate(f.Position),
	}
}

// pathTo returns the names that lead to a field; nil if it is not there.
func pathTo(set ast.SelectionSet, target *ast.Field) []string {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if sel == target {
				return []string{sel.Name}
			}
			if below := pathTo(sel.SelectionSet, target); below != nil {
				return append([]string{sel.Name}, below...)
			}
		case *ast.InlineFragment:
			if below := pathTo(sel.SelectionSet, target); below != nil {
				return below
			}
		}
	}
	return nil
}

// checkLiteral holds a literal to its scalar where the parser's rules do not: AWS's
// formats, and the 32 bits of an Int.
func (s *Schema) checkLiteral(v *ast.Value) *Error {
	switch v.Kind {
	case ast.Variable, ast.NullValue, ast.ListValue, ast.ObjectValue:
		return nil
	}
	if v.Definition == nil || v.Definition.Name != "Int" && !strings.HasPrefix(v.Definition.Name, "AWS") {
		return nil
	}
	l := s.leaves[v.Definition.Name]
	if l == nil {
		return nil
	}
	lit := untyped(v, Value{})
	if _, ok := l.in(&lit); ok {
		return nil
	}
	return &Error{Message: fmt.Sprintf("Validation error of type WrongType: %s is not a valid %s", v, l.name), Locations: locate(v.Position)}
}

// validationError words a finding as AppSync does.
func validationError(found *gqlerror.Error) *Error {
	e := syntaxError(found)
	rule := strings.TrimSuffix(found.Rule, "WithoutSuggestions")
	if kind, ok := validationKinds()[rule]; ok {
		rule = kind
	}
	e.Message = fmt.Sprintf("Validation error of type %s: %s", rule, found.Message)
	return e
}

// validationKinds are AppSync's names for what the rules find.
func validationKinds() map[string]string {
	return map[string]string{
		"FragmentsOnCompositeTypes": "InlineFragmentTypeConditionInvalid",
		"KnownArgumentNames":        "UnknownArgument", "KnownDirectives": "UnknownDirective", "KnownFragmentNames": "UndefinedFragment",
		"KnownTypeNames": "UnknownType", "LoneAnonymousOperation": "LoneAnonymousOperationViolation", "NoFragmentCycles": "FragmentCycle",
		"NoUndefinedVariables": "UndefinedVariable", "NoUnusedFragments": "UnusedFragment", "NoUnusedVariables": "UnusedVariable",
		"OverlappingFieldsCanBeMerged": "FieldsConflict", "PossibleFragmentSpreads": "InvalidFragmentType",
		"ProvidedRequiredArguments": "MissingFieldArgument", "ScalarLeafs": "SubSelectionRequired", "UniqueArgumentNames": "DuplicateArgumentNames",
		"UniqueDirectivesPerLocation": "DuplicateDirectiveName", "UniqueFragmentNames": "DuplicateFragmentName",
		"UniqueOperationNames": "DuplicateOperationName", "UniqueVariableNames": "DuplicateVariableName", "ValuesOfCorrectType": "WrongType",
		"VariablesAreInputTypes": "NonInputTypeOnVariable", "VariablesInAllowedPosition": "VariableTypeMismatch",
	}
}
