package graphql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// A Mode is how a caller authenticated, as AppSync names it.
type Mode string

// The modes. The zero Mode is none of them, and may see nothing.
const (
	ModeAPIKey  Mode = "API_KEY"
	ModeIAM     Mode = "AWS_IAM"
	ModeCognito Mode = "AMAZON_COGNITO_USER_POOLS"
	ModeOIDC    Mode = "OPENID_CONNECT"
	ModeLambda  Mode = "AWS_LAMBDA"

	// ModeUnchecked is for gateways that ask nobody to authenticate: directives
	// do not apply.
	ModeUnchecked Mode = "UNCHECKED"
)

// A Caller is whom directives are about.
type Caller struct {
	Mode   Mode
	Groups []string // cognito:groups
	// DeniedFields are those that a Lambda authorizer keeps from this caller, as
	// Type.field or as the end of an ARN, types/Type/fields/field.
	DeniedFields []string
}

// access is who may see a field.
type access struct {
	owner string // Type.field
	modes []Mode
	// groups are those of which a Cognito caller must have one; none means that
	// any caller will do.
	groups []string
}

// accessRules reads the directives once: on a field they replace those on its
// type, and these replace the default.
func accessRules(s *ast.Schema, byDefault Mode) map[*ast.FieldDefinition]access {
	rules := make(map[*ast.FieldDefinition]access)
	for _, def := range s.Types {
		if def.Kind != ast.Object && def.Kind != ast.Interface || strings.HasPrefix(def.Name, "__") {
			continue
		}
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			a := access{}
			if !a.read(f.Directives) && !a.read(def.Directives) {
				a.modes = []Mode{byDefault}
			}
			a.owner = def.Name + "." + f.Name
			rules[f] = a
		}
	}
	return rules
}

// read takes up what directives say, and reports whether they said anything.
func (a *access) read(directives ast.DirectiveList) bool {
	for _, d := range directives {
		switch d.Name {
		case "aws_api_key":
			a.modes = append(a.modes, ModeAPIKey)
		case "aws_iam":
			a.modes = append(a.modes, ModeIAM)
		case "aws_oidc":
			a.modes = append(a.modes, ModeOIDC)
		case "aws_lambda":
			a.modes = append(a.modes, ModeLambda)
		case "aws_cognito_user_pools", "aws_auth":
			a.modes = append(a.modes, ModeCognito)
			a.groups = append(a.groups, stringsOf(d.Arguments.ForName("cognito_groups"))...)
		}
	}
	return len(a.modes) > 0
}

// mayAsk reports whether c may see f.
func (s *Schema) mayAsk(c *Caller, f *ast.FieldDefinition) bool {
	a, ok := s.access[f]
	if !ok { // of the schema itself, which any caller may ask
		return true
	}
	for _, denied := range c.DeniedFields {
		if denied == a.owner || arnField(denied) == a.owner {
			return false
		}
	}
	if c.Mode == ModeUnchecked {
		return true
	}
	if c.Mode == "" || !slices.Contains(a.modes, c.Mode) {
		return false
	}
	if c.Mode == ModeCognito && len(a.groups) > 0 {
		return slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(a.groups, g) })
	}
	return true
}

// arnField returns Type.field of an ARN that ends in types/Type/fields/field.
func arnField(arn string) string {
	_, rest, _ := strings.Cut(arn, "/types/")
	typ, field, _ := strings.Cut(rest, "/fields/")
	return typ + "." + field
}

// view returns what of a caller matters to what it may see: callers with the same
// view share compiled plans. Of groups that is those which a directive names, for
// there may be as many sets of groups as there are callers.
func (s *Schema) view(c *Caller) string {
	var b strings.Builder
	b.WriteString(string(c.Mode))
	if c.Mode == ModeCognito {
		for _, g := range s.groups {
			fmt.Fprintf(&b, " %t", slices.Contains(c.Groups, g))
		}
	}
	for _, denied := range slices.Sorted(slices.Values(c.DeniedFields)) {
		fmt.Fprintf(&b, " %q", denied)
	}
	return b.String()
}

// groupsOf returns the groups that directives name, in order.
func groupsOf(rules map[*ast.FieldDefinition]access) (groups []string) {
	for _, a := range rules {
		groups = append(groups, a.groups...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}
