package check

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/awslabs/goformation/v7/cloudformation/apigatewayv2"
	"github.com/awslabs/goformation/v7/cloudformation/lambda"
	"github.com/awslabs/goformation/v7/cloudformation/lex"
	"github.com/awslabs/goformation/v7/cloudformation/logs"
	"github.com/awslabs/goformation/v7/cloudformation/serverless"
	"go.yaml.in/yaml/v3"
)

// types are those of the templates' resources. Their decoders take no member that
// they do not know, and none of another type.
var types = map[string]func() json.Unmarshaler{
	"AWS::ApiGatewayV2::Api":         func() json.Unmarshaler { return new(apigatewayv2.Api) },
	"AWS::ApiGatewayV2::Authorizer":  func() json.Unmarshaler { return new(apigatewayv2.Authorizer) },
	"AWS::ApiGatewayV2::Integration": func() json.Unmarshaler { return new(apigatewayv2.Integration) },
	"AWS::ApiGatewayV2::Route":       func() json.Unmarshaler { return new(apigatewayv2.Route) },
	"AWS::ApiGatewayV2::Stage":       func() json.Unmarshaler { return new(apigatewayv2.Stage) },
	"AWS::Lambda::Permission":        func() json.Unmarshaler { return new(lambda.Permission) },
	"AWS::Lex::Bot":                  func() json.Unmarshaler { return new(lex.Bot) },
	"AWS::Lex::BotAlias":             func() json.Unmarshaler { return new(lex.BotAlias) },
	"AWS::Lex::BotVersion":           func() json.Unmarshaler { return new(lex.BotVersion) },
	"AWS::Logs::LogGroup":            func() json.Unmarshaler { return new(logs.LogGroup) },
	"AWS::Serverless::Function":      func() json.Unmarshaler { return new(serverless.Function) },
}

var templates = []string{"../sam/template.yaml", "../terraform/modules/lex/bot.yaml"}

// A template is one of CloudFormation's, with ${} in place of what is not known.
type template struct {
	Parameters map[string]parameter `yaml:"Parameters"`
	Globals    struct {
		Function map[string]any `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]map[string]any `yaml:"Resources"`

	references []string
}

type parameter struct {
	Type string `yaml:"Type"`
}

func readTemplate(t *testing.T, name string) *template {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := parseTemplate(text)
	if err != nil || len(tpl.Resources) == 0 {
		t.Fatalf("%s: %d resources, %v", name, len(tpl.Resources), err)
	}
	return tpl
}

func parseTemplate(text []byte) (*template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	var tpl template
	numbers := map[string]bool{}
	var head struct {
		Parameters map[string]parameter `yaml:"Parameters"`
	}
	if err := doc.Decode(&head); err != nil {
		return nil, err
	}
	for name, p := range head.Parameters {
		numbers[name] = p.Type == "Number"
	}
	var resolve func(n *yaml.Node)
	resolve = func(n *yaml.Node) {
		for _, inner := range n.Content {
			resolve(inner)
		}
		if !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
			return
		}
		switch n.Tag {
		case "!Ref":
			tpl.references = append(tpl.references, n.Value)
			if numbers[n.Value] {
				n.Value, n.Tag = "1", "!!int"
				return
			}
			n.Value = "${}"
		case "!GetAtt":
			tpl.references = append(tpl.references, n.Value)
			n.Value = "${}"
		case "!Sub":
			n.Value = substitution.ReplaceAllStringFunc(n.Value, func(s string) string {
				tpl.references = append(tpl.references, s[2:len(s)-1])
				return "${}"
			})
		default:
			tpl.references = append(tpl.references, "the function "+n.Tag)
		}
		n.Tag = "!!str"
	}
	resolve(&doc)
	err := doc.Decode(&tpl)
	return &tpl, err
}

var substitution = regexp.MustCompile(`\$\{[^}]+\}`)

// faults returns what is wrong with a template.
func (tpl *template) faults() (all []string) {
	known := map[string]bool{}
	for name := range tpl.Parameters {
		known[name] = true
	}
	for name, r := range tpl.Resources {
		known[name] = true
		if p, ok := r["Properties"].(map[string]any); ok && p["FunctionUrlConfig"] != nil {
			known[name+"Url"] = true // SAM makes it
		}
	}
	for _, ref := range tpl.references {
		if name, _, _ := strings.Cut(ref, "."); !known[name] && !strings.HasPrefix(ref, "AWS::") {
			all = append(all, ref+" is not known")
		}
	}
	for name, r := range tpl.Resources {
		kind, _ := r["Type"].(string)
		if kind == "AWS::Serverless::Function" {
			p := r["Properties"].(map[string]any)
			for member, v := range tpl.Globals.Function {
				if _, own := p[member]; !own {
					p[member] = v
				}
			}
		}
		all = append(all, resourceFaults(name, kind, r)...)
	}
	return all
}

func resourceFaults(name, kind string, r map[string]any) []string {
	make, ok := types[kind]
	if !ok {
		return []string{fmt.Sprintf("%s: the type %s is not known here", name, kind)}
	}
	v := make()
	text, err := json.Marshal(r)
	if err == nil {
		err = v.UnmarshalJSON(text)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", name, err)}
	}
	return missing(name, reflect.TypeOf(v).Elem(), r["Properties"])
}

// missing names the members without which there is no resource.
func missing(place string, t reflect.Type, value any) (all []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := value.(type) {
	case []any:
		if t.Kind() == reflect.Slice {
			for i, inner := range v {
				all = append(all, missing(fmt.Sprintf("%s[%d]", place, i), t.Elem(), inner)...)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			inner, there := v[name]
			if !there && options != "omitempty" {
				all = append(all, place+": "+name+" is missing")
			}
			if there {
				all = append(all, missing(place+"."+name, t.Field(i).Type, inner)...)
			}
		}
	}
	return all
}

func TestTemplates(t *testing.T) {
	for _, name := range templates {
		for _, fault := range readTemplate(t, name).faults() {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// The checks refuse what they must.
func TestTemplateFaults(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"all well":         {"{Type: AWS::Logs::LogGroup, Properties: {LogGroupName: a, RetentionInDays: 1}}", ""},
		"unknown property": {"{Type: AWS::Logs::LogGroup, Properties: {Name: a}}", `unknown field "Name"`},
		"unknown member":   {"{Type: AWS::Logs::LogGroup, Propertys: {}}", `unknown field "Propertys"`},
		"deep inside":      {"{Type: AWS::Serverless::Function, Properties: {FunctionUrlConfig: {AuthTyp: NONE}}}", "AuthTyp"},
		"wrong type":       {"{Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: soon}}", "cannot unmarshal string"},
		"missing":          {"{Type: AWS::Lambda::Permission, Properties: {Action: a, FunctionName: b}}", "Principal is missing"},
		"unknown type":     {"{Type: AWS::Logs::LockGroup}", "is not known here"},
		"unknown name":     {"{Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref B}}", "B is not known"},
	} {
		tpl, err := parseTemplate([]byte("Resources: {A: " + tt.text + "}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tpl.faults(), "; "); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// templatePolicies returns the statements in the templates.
func templatePolicies(t *testing.T) (all []statement) {
	t.Helper()
	var find func(place string, v any)
	find = func(place string, v any) {
		switch v := v.(type) {
		case []any:
			for i, inner := range v {
				find(fmt.Sprintf("%s[%d]", place, i), inner)
			}
		case map[string]any:
			if v["Effect"] == "Allow" {
				all = append(all, statement{place, texts(v["Action"]), texts(v["Resource"])})
			}
			if v["NotAction"] != nil || v["NotResource"] != nil || v["ManagedPolicyArns"] != nil {
				t.Errorf("%s: it says what is not allowed, or somebody else does", place)
			}
			for name, inner := range v {
				find(place+"."+name, inner)
			}
		}
	}
	for _, name := range templates {
		for resource, r := range readTemplate(t, name).Resources {
			find(name+": "+resource, map[string]any(r))
		}
	}
	return all
}

func texts(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, inner := range v {
			list = append(list, fmt.Sprint(inner))
		}
	}
	return list
}
