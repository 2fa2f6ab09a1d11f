package server_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/runnelhq/runnel/api"
)

type object = map[string]any

// A document is an OpenAPI description, as far as these tests need it.
type document struct{ root object }

func parseDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(api.OpenAPI, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// resolve follows v's reference, if it is one.
func (d document) resolve(v any) (object, error) {
	o, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("%v is not an object", v)
	}
	ref, ok := o["$ref"].(string)
	if !ok {
		return o, nil
	}
	var at any = d.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		o, _ := at.(object)
		if at, ok = o[name]; !ok {
			return nil, fmt.Errorf("%s leads nowhere", ref)
		}
	}
	return d.resolve(at)
}

// at returns what lies at a path of names from v, with references followed.
func (d document) at(v any, names ...string) (object, error) {
	o, err := d.resolve(v)
	for _, name := range names {
		if err != nil {
			return nil, err
		}
		if o[name] == nil {
			return nil, fmt.Errorf("there is no %q", name)
		}
		o, err = d.resolve(o[name])
	}
	return o, err
}

// operations returns every operation by its method and path.
func (d document) operations() map[string]object {
	all := make(map[string]object)
	for path, item := range d.root["paths"].(object) {
		for _, method := range []string{"get", "put", "post", "delete", "patch"} {
			if op, ok := item.(object)[method]; ok {
				all[strings.ToUpper(method)+" "+path] = op.(object)
			}
		}
	}
	return all
}

// check holds a JSON value to a schema, by the keywords that the description uses.
func (d document) check(schema, v any, where string) error {
	s, err := d.resolve(schema)
	if err != nil {
		return err
	}
	if types := typesOf(s); len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return hasType(v, t) }) {
		return fmt.Errorf("%s is %v, not %v", where, v, types)
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Errorf("%s is %v, not one of %v", where, v, enum)
	}
	if want, ok := s["const"]; ok && fmt.Sprint(want) != fmt.Sprint(v) {
		return fmt.Errorf("%s is %v, not %v", where, v, want)
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if s["items"] == nil {
				break
			}
			if err := d.check(s["items"], item, fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	case object:
		return d.checkMembers(s, v, where)
	}
	return nil
}

func (d document) checkMembers(s, v object, where string) error {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%s lacks %q", where, name)
		}
	}
	properties, _ := s["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch {
		case properties[name] != nil:
			if err := d.check(properties[name], v[name], where+"."+name); err != nil {
				return err
			}
		case properties != nil:
			// Clients ignore what they do not know, but everything that we
			// send is to be described.
			return fmt.Errorf("%s.%s is not described", where, name)
		}
	}
	return nil
}

func typesOf(s object) (types []string) {
	switch t := s["type"].(type) {
	case string:
		types = []string{t}
	case []any:
		for _, one := range t {
			types = append(types, one.(string))
		}
	}
	return types
}

func hasType(v any, t string) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case string:
		return t == "string"
	case bool:
		return t == "boolean"
	case float64:
		return t == "number" || t == "integer" && v == float64(int64(v))
	case []any:
		return t == "array"
	case object:
		return t == "object"
	}
	return false
}

// TestDescription checks the description's own structure.
func TestDescription(t *testing.T) {
	t.Parallel()
	d := parseDocument(t)
	if v := d.root["openapi"]; v != "3.1.0" {
		t.Errorf("openapi is %v", v)
	}
	ids := make(map[any]string)
	for name, op := range d.operations() {
		if other, ok := ids[op["operationId"]]; ok || op["operationId"] == nil {
			t.Errorf("%s: its operationId is %v, as that of %q", name, op["operationId"], other)
		}
		ids[op["operationId"]] = name
		if op["summary"] == nil || op["tags"] == nil {
			t.Errorf("%s: no summary or tags", name)
		}
		item := d.root["paths"].(object)[strings.Fields(name)[1]].(object)
		declared := make(map[string]bool)
		for _, list := range []any{item["parameters"], op["parameters"]} {
			list, _ := list.([]any)
			for _, p := range list {
				param, err := d.resolve(p)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if param["schema"] == nil || (param["in"] == "path") != (param["required"] == true) {
					t.Errorf("%s: parameter %v", name, param)
				}
				if param["in"] == "path" {
					declared["{"+param["name"].(string)+"}"] = true
				}
			}
		}
		for segment := range strings.SplitSeq(name, "/") {
			if strings.HasPrefix(segment, "{") && !declared[segment] {
				t.Errorf("%s: %s is not declared", name, segment)
			}
		}
		for code := range op["responses"].(object) {
			if r, err := d.at(op, "responses", code); err != nil || r["description"] == nil {
				t.Errorf("%s: response %s: %v", name, code, err)
			}
		}
	}
	checkReferences(t, d, d.root)
}

func checkReferences(t *testing.T, d document, v any) {
	t.Helper()
	switch v := v.(type) {
	case object:
		if _, err := d.resolve(v); err != nil {
			t.Error(err)
		}
		for _, item := range v {
			checkReferences(t, d, item)
		}
	case []any:
		for _, item := range v {
			checkReferences(t, d, item)
		}
	}
}
