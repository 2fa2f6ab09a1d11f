package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/runnelhq/runnel/internal/config"
)

// settings are the flags of a command that needs the configuration. The flags
// are made from the list of settings, and their values stay texts until
// package config parses them, as it does those from the environment and the
// file.
type settings struct {
	flags map[string]*flagTexts // by setting name
}

// flagTexts holds what a flag was given, once per time.
type flagTexts []string

// addTo gives node a flag for each setting.
func (s *settings) addTo(node *kong.Node) {
	s.flags = map[string]*flagTexts{}
	groups := map[string]*kong.Group{}
	for _, setting := range config.Settings() {
		if setting.FileOnly {
			continue
		}
		group := groups[setting.Group]
		if group == nil {
			group = &kong.Group{Key: setting.Group, Title: setting.Group + ":"}
			groups[setting.Group] = group
		}
		texts := new(flagTexts)
		s.flags[setting.Name] = texts
		flag := &kong.Flag{
			Value: &kong.Value{
				Name: setting.Name, Help: help(setting), OrigHelp: help(setting),
				Mapper: textMapper{setting.IsBool()}, Target: reflect.ValueOf(texts).Elem(), Tag: &kong.Tag{},
			},
			Group: group, PlaceHolder: setting.Arg,
		}
		flag.Flag = flag
		node.Flags = append(node.Flags, flag)
	}
}

// help describes a setting: what it does, what is allowed, and where else it
// can be set.
func help(s config.Setting) string {
	var notes []string
	if len(s.OneOf) > 0 {
		notes = append(notes, s.Allowed())
	}
	if s.Default != "" {
		notes = append(notes, "default "+s.Default)
	}
	notes = append(notes, "$$"+s.Env()) // kong reads $$ as $
	return s.Help + annotate(notes)
}

// load returns the effective configuration. known are the variables with our
// prefix that are no settings.
func (s *settings) load(file string, environ, known []string) (*config.Loaded, error) {
	src := config.Sources{File: file, Environ: environ, Foreign: known, Flags: map[string][]string{}}
	for name, texts := range s.flags {
		if len(*texts) > 0 {
			src.Flags[name] = *texts
		}
	}
	loaded, err := config.Load(src)
	if err != nil {
		return nil, usageError{err}
	}
	return loaded, nil
}

// textMapper collects a flag's values without a look at them.
type textMapper struct{ isBool bool }

// Decode implements [kong.Mapper].
func (m textMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	text := "true"
	if !m.isBool || ctx.Scan.Peek().Type == kong.FlagValueToken {
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
	}
	target.Set(reflect.Append(target, reflect.ValueOf(text)))
	return nil
}

// IsBool implements [kong.BoolMapper]: such a flag stands alone.
func (m textMapper) IsBool() bool { return m.isBool }

// variables returns the environment variables that the flags of the command
// line itself can be set by.
func variables(app *kong.Application) []string {
	var names []string
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, env := range flag.Envs {
				if strings.HasPrefix(env, config.EnvPrefix) {
					names = append(names, env)
				}
			}
		}
		return next(nil)
	})
	if err != nil {
		panic(fmt.Sprintf("cli: the visitor returns no errors, and yet: %v", err))
	}
	return names
}
