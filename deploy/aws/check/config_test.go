package check

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A schema is what schema.json has of a block.
type schema struct {
	Attributes map[string][2]string
	Blocks     map[string]schema
}

// A file is one of Terraform's.
type file struct {
	name string
	body *hclsyntax.Body
}

func configuration(t *testing.T) (files []file) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".tf" {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if diags.HasErrors() {
			return diags
		}
		files = append(files, file{name, f.Body.(*hclsyntax.Body)})
		return nil
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// schemas reads schema.json.
func schemas(t *testing.T) (all struct{ Resources, Data map[string]schema }) {
	t.Helper()
	text, err := os.ReadFile("stub/schema.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all.Resources) == 0 {
		t.Fatalf("schema.json: %v", err)
	}
	return all
}

// TestConfiguration compares names and types with the schemas also where there is no
// Terraform: what is there that no schema has, what is missing, and references that
// lead nowhere.
func TestConfiguration(t *testing.T) {
	all := schemas(t)
	modules := map[string]*module{} // by folder
	used := map[string]bool{}
	for _, f := range configuration(t) {
		folder := filepath.Dir(f.name)
		if modules[folder] == nil {
			modules[folder] = &module{resources: all.Resources, data: all.Data, known: map[string]schema{}, used: used}
		}
		modules[folder].add(f.body)
	}
	for _, m := range modules {
		for _, fault := range m.finish() {
			t.Error(fault)
		}
	}
	for name := range all.Resources {
		if !used[name] {
			t.Errorf("schema.json has %s, which nothing uses", name)
		}
	}
}

// The comparison finds what it must, as Terraform does (TestStub).
func TestConfigurationFaults(t *testing.T) {
	all := schemas(t)
	for name, tt := range faulty {
		f, diags := hclsyntax.ParseConfig([]byte(tt.config), "main.tf", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		m := &module{resources: all.Resources, data: all.Data, known: map[string]schema{}, used: map[string]bool{}}
		m.add(f.Body.(*hclsyntax.Body))
		if got := strings.Join(m.finish(), "; "); (got == "") != (tt.here == "") || !strings.Contains(got, tt.here) {
			t.Errorf("%s: got %q, want %q", name, got, tt.here)
		}
	}
}

// A module is what the files of a folder have.
type module struct {
	resources, data map[string]schema
	used            map[string]bool // of resources

	bodies []*hclsyntax.Body
	known  map[string]schema // what there is to refer to
	faults []string
}

func (m *module) fault(at hcl.Range, format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// add takes up a file.
func (m *module) add(body *hclsyntax.Body) {
	m.bodies = append(m.bodies, body)
	for _, b := range body.Blocks {
		switch b.Type {
		case "resource", "data":
			kind, prefix := m.resources, ""
			if b.Type == "data" {
				kind, prefix = m.data, "data."
			}
			s, ok := kind[b.Labels[0]]
			if !ok {
				m.fault(b.DefRange(), "schema.json has no %s %s", b.Type, b.Labels[0])
				continue
			}
			m.used[prefix+b.Labels[0]] = true
			m.known[prefix+b.Labels[0]+"."+b.Labels[1]] = s
			m.check(s, b.Body, true)
		case "variable":
			m.known["var."+b.Labels[0]] = schema{}
		case "module":
			m.known["module."+b.Labels[0]] = schema{}
		case "locals":
			for name := range b.Body.Attributes {
				m.known["local."+name] = schema{}
			}
		}
	}
}

// finish follows the references, now that all files are there.
func (m *module) finish() []string {
	for _, b := range m.bodies {
		m.references(b)
	}
	return m.faults
}

// meta are the arguments that every resource may have.
var meta = []string{"count", "for_each", "depends_on", "provider"}

// check compares a block with its schema.
func (m *module) check(s schema, body *hclsyntax.Body, top bool) {
	for name, a := range body.Attributes {
		kind, ok := s.Attributes[name]
		if !ok && !(top && slices.Contains(meta, name)) {
			m.fault(a.SrcRange, "the argument %s is not known", name)
		}
		if kind[1] == "c" {
			m.fault(a.SrcRange, "the argument %s cannot be set", name)
		}
		if v, diags := a.Expr.Value(nil); ok && !diags.HasErrors() { // a literal
			if got := v.Type().FriendlyName(); (kind[0] == "number" || kind[0] == "bool") && got != kind[0] {
				m.fault(a.SrcRange, "the argument %s is a %s, and must be a %s", name, got, kind[0])
			}
		}
	}
	for name, kind := range s.Attributes {
		if kind[1] == "r" && body.Attributes[name] == nil {
			m.fault(body.SrcRange, "the argument %s is missing", name)
		}
	}
	for _, b := range body.Blocks {
		name, inner := b.Type, b.Body
		if name == "dynamic" && len(inner.Blocks) == 1 {
			name, inner = b.Labels[0], inner.Blocks[0].Body
		}
		if top && name == "lifecycle" {
			continue
		}
		if nested, ok := s.Blocks[name]; ok {
			m.check(nested, inner, false)
		} else {
			m.fault(b.DefRange(), "the block %s is not known", name)
		}
	}
}

// references follows what the expressions of a module name.
func (m *module) references(body *hclsyntax.Body) {
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		e, ok := n.(*hclsyntax.ScopeTraversalExpr)
		if !ok {
			return nil
		}
		parts := names(e.Traversal)
		switch {
		case len(parts) > 2 && parts[0] == "data":
			parts = append([]string{"data." + parts[1]}, parts[2:]...)
		case parts[0] != "var" && parts[0] != "local" && parts[0] != "module" && !strings.HasPrefix(parts[0], "aws_"):
			return nil // of an iterator, or each
		}
		if len(parts) < 2 {
			return nil
		}
		target, ok := m.known[parts[0]+"."+parts[1]]
		if !ok {
			m.fault(e.SrcRange, "%s is not known", strings.Join(parts, "."))
			return nil
		}
		if len(parts) > 2 && target.Attributes != nil {
			_, attribute := target.Attributes[parts[2]]
			if _, block := target.Blocks[parts[2]]; !attribute && !block {
				m.fault(e.SrcRange, "%s has no %s; there are %s", parts[1], parts[2], slices.Sorted(maps.Keys(target.Attributes)))
			}
		}
		return nil
	})
}

// names returns the words of a traversal, without indexes.
func names(tr hcl.Traversal) (parts []string) {
	for _, step := range tr {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			parts = append(parts, s.Name)
		case hcl.TraverseAttr:
			parts = append(parts, s.Name)
		}
	}
	return parts
}

// A statement of a policy.
type statement struct {
	place              string
	actions, resources []string
}

// TestPolicies: no role may do everything, or anything to everything, where AWS can
// tell things apart.
func TestPolicies(t *testing.T) {
	var all []statement
	for _, f := range configuration(t) {
		for _, b := range f.body.Blocks {
			if len(b.Labels) == 0 {
				continue
			}
			switch b.Labels[0] {
			case "aws_iam_policy_document":
				for _, s := range b.Body.Blocks {
					inner := s.Body
					if s.Type == "dynamic" {
						inner = s.Body.Blocks[0].Body
					}
					for name := range inner.Attributes {
						if strings.HasPrefix(name, "not_") || name == "override_policy_documents" {
							t.Errorf("%s: %s says what is not allowed", s.DefRange(), name)
						}
					}
					all = append(all, statement{s.DefRange().String(), literals(inner, "actions"), literals(inner, "resources")})
				}
			case "aws_iam_role_policy", "aws_sqs_queue_policy":
				if _, ok := b.Body.Attributes["policy"].Expr.(*hclsyntax.ScopeTraversalExpr); !ok {
					t.Errorf("%s: the policy must be that of an aws_iam_policy_document", b.DefRange())
				}
			case "aws_iam_role_policy_attachment", "aws_iam_policy_attachment", "aws_iam_policy":
				t.Errorf("%s: policies of others, and for others, are not looked at", b.DefRange())
			}
		}
	}
	all = append(all, templatePolicies(t)...)
	if len(all) < 15 {
		t.Errorf("only %d statements were found", len(all))
	}
	for _, s := range all {
		for _, fault := range s.faults() {
			t.Errorf("%s: %s", s.place, fault)
		}
	}
}

// The rules refuse what they must.
func TestPolicyFaults(t *testing.T) {
	for _, tt := range []struct {
		s    statement
		want int
	}{
		{statement{"", []string{"sqs:SendMessage"}, []string{"arn:aws:sqs:us-east-1:1:q"}}, 0},
		{statement{"", []string{"ec2:CreateNetworkInterface"}, []string{"*"}}, 0},
		{statement{"", []string{"ec2:CreateNetworkInterface", "ec2:RunInstances"}, []string{"*"}}, 1},
		{statement{"", []string{"sqs:*"}, []string{"arn:aws:sqs:us-east-1:1:q"}}, 1},
		{statement{"", []string{"*"}, []string{"*"}}, 2},
		{statement{"", []string{"dynamodb:PutItem"}, []string{"arn:aws:dynamodb:*:*:table/*"}}, 1},
		{statement{"", []string{"execute-api:ManageConnections"}, []string{"${}/prod/POST/@connections/*"}}, 0},
		{statement{"", nil, nil}, 1},
	} {
		if got := tt.s.faults(); len(got) != tt.want {
			t.Errorf("%+v: %q", tt.s, got)
		}
	}
}

// nowhere are the actions that AWS cannot restrict to a resource, or to none that is
// known before it is made.
var nowhere = []string{
	"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
	"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
}

// below are the resources of which there may be any number below one that is named.
var below = []string{":*", "/@connections/*"}

func (s statement) faults() (all []string) {
	if len(s.actions) == 0 {
		all = append(all, "the actions are not written out")
	}
	for _, a := range s.actions {
		if strings.Contains(a, "*") {
			all = append(all, fmt.Sprintf("the action %q", a))
		}
	}
	for _, r := range s.resources {
		switch {
		case r == "*" && !slices.ContainsFunc(s.actions, func(a string) bool { return !slices.Contains(nowhere, a) }):
		case strings.Contains(trimAny(r, below), "*"), r == "*":
			all = append(all, fmt.Sprintf("the resource %q", r))
		}
	}
	return all
}

func trimAny(s string, suffixes []string) string {
	for _, suffix := range suffixes {
		s = strings.TrimSuffix(s, suffix)
	}
	return s
}

// literals returns the texts in an attribute; what is not known is written as ${}.
func literals(body *hclsyntax.Body, name string) (texts []string) {
	a := body.Attributes[name]
	if a == nil {
		return nil
	}
	_ = hclsyntax.VisitAll(a.Expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if e, ok := n.(*hclsyntax.TemplateExpr); ok {
			text := ""
			for _, part := range e.Parts {
				if l, ok := part.(*hclsyntax.LiteralValueExpr); ok {
					text += l.Val.AsString()
				} else {
					text += "${}"
				}
			}
			texts = append(texts, text)
		}
		return nil
	})
	return texts
}
