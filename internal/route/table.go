package route

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
)

// Open makes a provider for one model; each provider package has one.
type Open func(model string, settings url.Values) (runnel.Provider, error)

// Config says which routes there are. Default and the values of Routes are
// specs in order of preference; a default may also be the name of a route.
type Config struct {
	Default   []string
	Routes    map[string][]string
	Providers map[string]Open
}

// A Table resolves model names. It is immutable.
type Table struct {
	routes map[string][]runnel.Candidate // "" is the default
	names  []string                      // what clients may ask for, sorted
}

// New opens the provider of every spec, once for each distinct spec. The error
// is of kind Invalid unless a provider returned another.
func New(cfg Config) (*Table, error) {
	b := builder{cfg: cfg, opened: map[string]runnel.Candidate{}}
	routes := make(map[string][]runnel.Candidate, len(cfg.Routes)+1)
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		if name == "" {
			return nil, runnel.Errorf(runnel.Invalid, "a route has no name")
		}
		var err error
		if routes[name], err = b.candidates(cfg.Routes[name]); err != nil {
			return nil, fmt.Errorf("route: %q: %w", name, err)
		}
	}
	for _, text := range cfg.Default {
		if named, ok := routes[text]; ok {
			routes[""] = append(routes[""], named...)
			continue
		}
		c, err := b.candidate(text)
		if err != nil {
			return nil, fmt.Errorf("route: default model: %w", err)
		}
		routes[""] = append(routes[""], c)
	}
	if len(routes[""]) == 0 {
		return nil, runnel.Errorf(runnel.Invalid, "there is no default model")
	}
	// A spec may also be asked for by its name, unless a route is called so.
	// Of two specs that differ only in settings the first one gets it.
	for _, c := range b.order {
		if _, taken := routes[c.Name]; !taken {
			routes[c.Name] = []runnel.Candidate{c}
		}
	}
	t := &Table{routes: routes}
	for _, name := range slices.Sorted(maps.Keys(routes)) {
		if name != "" {
			t.names = append(t.names, name)
		}
	}
	return t, nil
}

// Lookup returns the candidates for the name that a client asked for, at least
// one, in order of preference. The empty name is the default. The slice is
// shared: read only. The error is of kind Invalid.
func (t *Table) Lookup(name string) ([]runnel.Candidate, error) {
	if c, ok := t.routes[name]; ok {
		return c, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "unknown model %.120q; known: %s", name, strings.Join(t.names, ", "))
}

// Names returns what clients may ask for, sorted.
func (t *Table) Names() []string { return slices.Clone(t.names) }

// A builder opens each spec once, whichever routes name it.
type builder struct {
	cfg    Config
	opened map[string]runnel.Candidate // by the spec's text
	order  []runnel.Candidate
}

func (b *builder) candidates(specs []string) ([]runnel.Candidate, error) {
	if len(specs) == 0 {
		return nil, runnel.Errorf(runnel.Invalid, "the route has no model")
	}
	var all []runnel.Candidate
	for _, text := range specs {
		c, err := b.candidate(text)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (b *builder) candidate(text string) (runnel.Candidate, error) {
	if c, ok := b.opened[text]; ok {
		return c, nil
	}
	spec, err := ParseSpec(text)
	if err != nil {
		return runnel.Candidate{}, err
	}
	open, ok := b.cfg.Providers[spec.Provider]
	if !ok {
		known := slices.Sorted(maps.Keys(b.cfg.Providers))
		return runnel.Candidate{}, runnel.Errorf(runnel.Invalid, "unknown provider %q; known: %s", spec.Provider, strings.Join(known, ", "))
	}
	p, err := open(spec.Model, spec.Settings)
	if err != nil {
		return runnel.Candidate{}, fmt.Errorf("%s: %w", spec.Name(), err)
	}
	c := runnel.Candidate{Name: spec.Name(), Provider: p}
	b.opened[text] = c
	b.order = append(b.order, c)
	return c, nil
}
