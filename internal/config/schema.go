package config

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/runnelhq/runnel/internal/limit"
)

// WriteSchema writes the JSON Schema of the file, for editors.
func WriteSchema(w io.Writer) error {
	properties := map[string]any{}
	for _, s := range Settings() {
		properties[s.Key()] = s.schema()
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Runnel configuration",
		"type":                 "object",
		"additionalProperties": false,
		"properties":           properties,
	})
	if err != nil {
		return fmt.Errorf("config: write schema: %w", err)
	}
	return nil
}

// schema describes the setting's value. Limits of times and sizes are in words:
// a schema cannot compare texts.
func (s Setting) schema() map[string]any {
	schema := s.schemaType()
	schema["description"] = s.Help + "."
	if len(s.OneOf) > 0 {
		schema["enum"] = s.OneOf
	} else if allowed := s.Allowed(); allowed != "" {
		schema["description"] = fmt.Sprintf("%s. Allowed: %s.", s.Help, allowed)
	}
	if v := s.value(new(Default())); !v.IsZero() && !s.structured() {
		schema["default"] = printable(v.Interface())
	}
	return schema
}

func (s Setting) schemaType() map[string]any {
	if s.structured() {
		return typeSchema(s.field.Type)
	}
	list := map[string]any{"type": []string{"string", "array"}, "items": map[string]any{"type": "string"}}
	switch s.field.Type {
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	case reflect.TypeFor[Size]():
		return map[string]any{"type": []string{"string", "integer"}, "pattern": `^[0-9]+ ?(B|KiB|MiB|GiB)?$`}
	case reflect.TypeFor[map[string][]string]():
		return map[string]any{"type": "object", "additionalProperties": list}
	case reflect.TypeFor[int]():
		schema := map[string]any{"type": "integer"}
		for name, text := range map[string]string{"minimum": s.min, "maximum": s.max} {
			if n, err := strconv.Atoi(text); err == nil {
				schema[name] = n
			}
		}
		return schema
	case reflect.TypeFor[bool]():
		return map[string]any{"type": "boolean"}
	case reflect.TypeFor[[]string]():
		return list
	}
	return map[string]any{"type": "string"}
}

// typeSchema describes a value with members of its own, or one of them.
func typeSchema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[limit.Bytes]():
		return map[string]any{"type": []string{"string", "integer"}, "pattern": `^-1$|^[0-9]+ ?(B|KiB|MiB|GiB)?$`}
	case t.Kind() == reflect.Pointer:
		return typeSchema(t.Elem())
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(t.Elem())}
	case isStruct(t):
		members := map[string]any{}
		for _, f := range membersOf(t) {
			members[member(f)] = typeSchema(f.Type)
		}
		return map[string]any{"type": "object", "additionalProperties": false, "properties": members}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64 && t != reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number"}
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	}
	return map[string]any{"type": "string"}
}
