package config

import (
	"cmp"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// EnvPrefix begins the name of every environment variable of ours.
const EnvPrefix = "RUNNEL_"

// A Setting describes one field of [Config].
type Setting struct {
	Name     string // in kebab case
	Group    string
	Help     string
	Arg      string // stands for the value in help
	Default  string
	OneOf    []string
	FileOnly bool // it has neither flag nor variable
	Live     bool // a running node takes a new value when it reloads

	min, max string
	field    reflect.StructField
}

// Settings returns all settings in the order of [Config].
func Settings() []Setting {
	t := reflect.TypeFor[Config]()
	all := make([]Setting, 0, t.NumField())
	for f := range t.Fields() {
		tag := f.Tag.Get
		all = append(all, Setting{
			Name: tag("name"), Group: tag("group"), Help: tag("help"), Arg: tag("arg"), Default: tag("default"),
			OneOf: strings.Fields(tag("oneof")), FileOnly: tag("only") == "file", Live: tag("live") == "yes",
			min: tag("min"), max: tag("max"), field: f,
		})
	}
	return all
}

// Env returns the name of the setting's environment variable.
func (s Setting) Env() string {
	return EnvPrefix + strings.ToUpper(s.Key())
}

// Key returns the setting's key in the file.
func (s Setting) Key() string { return strings.ReplaceAll(s.Name, "-", "_") }

// IsBool reports whether the setting is a switch.
func (s Setting) IsBool() bool { return s.field.Type.Kind() == reflect.Bool }

// IsList reports whether the setting takes several values.
func (s Setting) IsList() bool { return s.field.Type == reflect.TypeFor[[]string]() }

// structured reports whether the value has members of its own.
func (s Setting) structured() bool {
	return s.FileOnly && s.field.Type != reflect.TypeFor[map[string][]string]()
}

// Allowed says in words which values are accepted; empty if any is.
func (s Setting) Allowed() string {
	switch {
	case len(s.OneOf) > 0:
		last := len(s.OneOf) - 1
		return strings.Join(s.OneOf[:last], ", ") + " or " + s.OneOf[last]
	case s.min != "":
		return s.min + " to " + s.max
	}
	return ""
}

func (s Setting) value(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(s.field.Index)
}

// set parses texts, several only for a list, and stores the result.
func (s Setting) set(c *Config, texts []string) error {
	if s.IsList() {
		s.value(c).Set(reflect.ValueOf(splitList(texts)))
		return nil
	}
	if len(texts) != 1 {
		return fmt.Errorf("it takes one value, not %d", len(texts))
	}
	v, err := s.parse(texts[0])
	if err != nil {
		return err
	}
	if err := s.checkLimits(v); err != nil {
		return err
	}
	s.value(c).Set(v)
	return nil
}

// splitList takes lists apart at commas, which is how flags and variables
// carry several values.
func splitList(texts []string) []string {
	var items []string
	for _, text := range texts {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}

// parse reads one value of the setting's type.
func (s Setting) parse(text string) (reflect.Value, error) {
	text = strings.TrimSpace(text)
	var v any
	var err error
	switch s.field.Type {
	case reflect.TypeFor[string]():
		v = text
	case reflect.TypeFor[bool]():
		if v, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
	case reflect.TypeFor[int]():
		if v, err = strconv.Atoi(text); err != nil {
			err = fmt.Errorf("%q is not a whole number; allowed: %s", text, s.Allowed())
		}
	case reflect.TypeFor[time.Duration]():
		if v, err = time.ParseDuration(text); err != nil {
			err = fmt.Errorf("%q is not a time with its unit, such as 500ms, 30s or 15m; allowed: %s", text, s.Allowed())
		}
	case reflect.TypeFor[Size]():
		v, err = parseSize(text)
	default:
		err = fmt.Errorf("it cannot be written as one text")
	}
	return reflect.ValueOf(v), err
}

func (s Setting) checkLimits(v reflect.Value) error {
	if len(s.OneOf) > 0 {
		for _, word := range s.OneOf {
			if v.String() == word {
				return nil
			}
		}
		return fmt.Errorf("%q is not one of the allowed words; allowed: %s", v.String(), s.Allowed())
	}
	if s.min == "" {
		return nil
	}
	low, err := s.parse(s.min)
	if err != nil {
		return err
	}
	high, err := s.parse(s.max)
	if err != nil {
		return err
	}
	if cmp.Compare(v.Int(), low.Int()) < 0 || cmp.Compare(v.Int(), high.Int()) > 0 {
		return fmt.Errorf("%v is out of range; allowed: %s", v.Interface(), s.Allowed())
	}
	return nil
}
