package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/limit"
)

// A decoder reads settings that have members of their own, which only the file
// can hold. Like the rest of the file they are read off the syntax tree, so that
// every error shows its line.
type decoder struct {
	file    string
	environ []string
	places  map[string]ast.Node // by path, such as keys[0].hash
	named   []string            // variables that secrets refer to
}

func (d *decoder) decode(path string, node ast.Node, v reflect.Value) error {
	d.places[path] = node
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(path, node, v.Elem())
	case v.Kind() == reflect.Slice:
		return d.list(path, node, v)
	case isStruct(v.Type()):
		return d.members(path, node, v)
	}
	text, err := scalar(node)
	if err == nil {
		err = d.setText(v, text)
	}
	return d.placed(path, node, err)
}

// isStruct reports whether values of the type are written as a mapping.
func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]()
}

func (d *decoder) placed(path string, node ast.Node, err error) error {
	if err == nil {
		return nil
	}
	return fileError(d.file, node, fmt.Errorf("%s: %w", path, err))
}

// at returns the node at a path, or the innermost one around it.
func (d *decoder) at(path string) ast.Node {
	for d.places[path] == nil {
		path = path[:strings.LastIndexAny(path, ".[")]
	}
	return d.places[path]
}

// list reads a sequence. As elsewhere, a single text may stand without brackets.
func (d *decoder) list(path string, node ast.Node, v reflect.Value) error {
	items := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		items = sequence.Values
	} else if v.Type().Elem().Kind() != reflect.String {
		return d.placed(path, node, errors.New("expected a list"))
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if err := d.decode(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) members(path string, node ast.Node, v reflect.Value) error {
	entries, err := mapping(node)
	if err != nil {
		return d.placed(path, node, err)
	}
	fields := map[string]reflect.Value{}
	var names []string
	for _, f := range membersOf(v.Type()) {
		fields[member(f)] = v.FieldByIndex(f.Index)
		names = append(names, member(f))
	}
	for _, entry := range entries {
		name := entry.Key.GetToken().Value
		field, ok := fields[name]
		if !ok {
			return d.placed(path, entry.Key, errors.New(unknown("setting", name, names)))
		}
		if err := d.decode(path+"."+name, entry.Value, field); err != nil {
			return err
		}
	}
	return nil
}

// membersOf returns the fields that are members in the file. Those of a type that
// is embedded are members of the whole.
func membersOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Anonymous })
}

// member returns the name of a field in the file.
func member(f reflect.StructField) string {
	if name := f.Tag.Get("yaml"); name != "" {
		return name
	}
	return strings.ToLower(f.Name)
}

func (d *decoder) setText(v reflect.Value, text string) error {
	switch v.Type() {
	case reflect.TypeFor[sigv4.Secret]():
		secret, err := d.resolve(text)
		v.SetString(secret)
		return err
	case reflect.TypeFor[limit.Bytes]():
		if text == strconv.Itoa(limit.Unlimited) {
			v.SetInt(limit.Unlimited)
			return nil
		}
		size, err := parseSize(text)
		v.SetInt(int64(size))
		return err
	case reflect.TypeFor[time.Duration]():
		duration, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a time with its unit, such as 500ms, 30s or 15m", text)
		}
		v.SetInt(int64(duration))
		return nil
	case reflect.TypeFor[time.Time]():
		instant, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%q is not a date and time, such as 2030-01-31T00:00:00Z", text)
		}
		v.Set(reflect.ValueOf(instant))
		return nil
	}
	switch v.Kind() {
	case reflect.Bool:
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(yes)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(n)
	default:
		v.SetString(text)
	}
	return nil
}

// Where a secret is that does not stand in the file itself.
const (
	fromEnv  = "env:"
	fromFile = "file:"
)

// resolve returns the secret that a text is, or refers to.
func (d *decoder) resolve(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, fromEnv); ok {
		d.named = append(d.named, name)
		for _, entry := range d.environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
				return value, nil
			}
		}
		return "", fmt.Errorf("the variable %s is not set", name)
	}
	if path, ok := strings.CutPrefix(text, fromFile); ok {
		data, err := os.ReadFile(path)
		return strings.TrimRight(string(data), "\r\n"), err
	}
	return text, nil
}
