package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Sources is where settings come from, weakest first.
type Sources struct {
	File    string   // path; empty: none
	Environ []string // in the form of [os.Environ]
	// Foreign are the variables with our prefix that are no settings.
	Foreign []string
	Flags   map[string][]string // texts by setting name
}

// Loaded is an effective configuration.
type Loaded struct {
	Config
	// Origins says where a setting's value comes from, by name: a flag, a
	// variable, or a line of the file. Defaults have none.
	Origins map[string]string

	decoder decoder
}

// Load puts all sources on top of the defaults and validates the result. The
// error is for the user: it names the place and says what is allowed there.
func Load(src Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), Origins: map[string]string{}}
	if src.File != "" {
		data, err := os.ReadFile(src.File)
		if err != nil {
			return nil, fmt.Errorf("config: read file: %w", err)
		}
		if err := l.loadFile(src.File, data, src.Environ); err != nil {
			return nil, err
		}
	}
	if err := l.loadEnviron(src.Environ, slices.Concat(src.Foreign, l.decoder.named)); err != nil {
		return nil, err
	}
	if err := l.loadFlags(src.Flags); err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, l.locate(err)
	}
	return l, nil
}

func (l *Loaded) loadEnviron(environ, foreign []string) error {
	byEnv := map[string]Setting{}
	known := slices.Clone(foreign)
	for _, s := range Settings() {
		if !s.FileOnly {
			byEnv[s.Env()] = s
			known = append(known, s.Env())
		}
	}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(foreign, name) {
			continue
		}
		s, ok := byEnv[name]
		if !ok {
			return errors.New(unknown("variable", name, known))
		}
		if text == "" {
			continue // how compose files and scripts write that they set nothing
		}
		if err := s.set(&l.Config, []string{text}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		l.Origins[s.Name] = name
	}
	return nil
}

func (l *Loaded) loadFlags(flags map[string][]string) error {
	for _, s := range Settings() {
		texts, ok := flags[s.Name]
		if !ok {
			continue
		}
		if err := s.set(&l.Config, texts); err != nil {
			return fmt.Errorf("--%s: %w", s.Name, err)
		}
		l.Origins[s.Name] = "--" + s.Name
	}
	return nil
}

// locate puts the place that a setting was made in front of its error.
func (l *Loaded) locate(err error) error {
	if e, ok := errors.AsType[*accessError](err); ok && l.decoder.file != "" {
		return fileError(l.decoder.file, l.decoder.at(e.path()), err)
	}
	if e, ok := errors.AsType[*settingError](err); ok {
		if origin := l.Origins[e.name]; origin != "" && origin != "--"+e.name {
			return fmt.Errorf("%s: %w", origin, err)
		}
	}
	return err
}

// unknown says that there is no such name, and which one was probably meant.
func unknown(what, name string, known []string) string {
	msg := fmt.Sprintf("unknown %s %q", what, name)
	if n := Nearest(name, known); n != "" {
		return fmt.Sprintf("%s; did you mean %q?", msg, n)
	}
	return msg + "; `runnel config` lists what there is"
}
