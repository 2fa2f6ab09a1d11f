package appsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
)

// A path leads to a value in a field's arguments; nil leads nowhere.
type path []string

func newPath(dotted string) path {
	if dotted == "" {
		return nil
	}
	return strings.Split(dotted, ".")
}

func (p path) of(args graphql.Value) graphql.Value {
	if p == nil {
		return graphql.Value{}
	}
	return args.Get(p...)
}

// A binding is what a root field does, compiled.
type binding struct {
	gqlapi.Binding
	name   string // of the field
	result template
	ends   []slot // payloads, by the subscription field that they end

	session, text, locale, model, system, key, after, done path
}

// sessionOf returns the session that arguments name, which may be empty.
func (b *binding) sessionOf(args graphql.Value) runnel.SessionID {
	if b.Fixed != "" {
		return runnel.SessionID(b.Fixed)
	}
	return runnel.SessionID(b.session.of(args).Text())
}

// localeOf returns the locale that arguments name, or the API's own.
func (b *binding) localeOf(args graphql.Value, byDefault string) string {
	if locale := b.locale.of(args).Text(); locale != "" {
		return locale
	}
	return byDefault
}

func compileBinding(name string, b gqlapi.Binding) (*binding, error) {
	result, err := newTemplate(b.Result)
	if err != nil {
		return nil, err
	}
	ends := make([]slot, len(b.Invalidate))
	for i, end := range b.Invalidate {
		ends[i].name = end.Subscription
		if ends[i].template, err = newTemplate(end.Payload); err != nil {
			return nil, fmt.Errorf("invalidate[%d].payload: %w", i, err)
		}
	}
	return &binding{
		Binding: b, name: name, result: result, ends: ends,
		session: newPath(b.Session), text: newPath(b.Text), locale: newPath(b.Locale), model: newPath(b.Model),
		system: newPath(b.System), key: newPath(b.Key), after: newPath(b.After), done: newPath(b.Done),
	}, nil
}

// An api is a schema, and what its fields do.
type api struct {
	gqlapi.API
	schema *graphql.Schema
	// views are the bindings of subscription fields, by name. A field without one,
	// or with a filter, gets the mutations that it names as they happen.
	views map[string]*binding
	// fanout are the subscription fields that do so, by their mutations.
	fanout map[string][]string
	exec   *graphql.Executor
}

// newAPI compiles what is configured. mode is that of callers of whom the schema
// does not speak.
func (h *Handler) newAPI(cfg gqlapi.API, sources []graphql.Source, mode graphql.Mode) (*api, error) {
	cfg = cfg.WithDefaults()
	if len(sources) == 0 {
		sources = []graphql.Source{{Name: gqlapi.BuiltinName, Text: gqlapi.Builtin}}
	}
	schema, err := graphql.Load(graphql.Options{DefaultMode: mode, NoIntrospection: cfg.NoIntrospection}, sources...)
	if err != nil {
		return nil, fmt.Errorf("appsync: %w", err)
	}
	a := &api{API: cfg, schema: schema, views: make(map[string]*binding), fanout: make(map[string][]string)}
	resolvers, err := h.bindFields(a)
	if err != nil {
		return nil, fmt.Errorf("appsync: %w", err)
	}
	if a.exec, err = graphql.NewExecutor(schema, resolvers); err != nil {
		return nil, fmt.Errorf("appsync: %w", err)
	}
	a.exec.Error = h.describe
	if len(a.fanout) > 0 {
		a.exec.Completed = h.completed
	}
	return a, nil
}

// bindFields returns the resolvers of queries and mutations, and notes what
// subscriptions are bound to.
func (h *Handler) bindFields(a *api) (map[string]graphql.Resolver, error) {
	resolvers := make(map[string]graphql.Resolver)
	bound := make(map[string]gqlapi.Binding, len(a.Fields))
	for _, b := range a.Fields {
		bound[b.Field] = b
	}
	var errs []error
	for _, f := range a.schema.RootFields() {
		full := f.Parent + "." + f.Name
		b, ok := bound[full]
		delete(bound, full)
		subscription := f.Operation == "subscription"
		if subscription && (!ok || b.Do == gqlapi.Filter) {
			for _, m := range f.Mutations {
				a.fanout[m] = append(a.fanout[m], f.Name)
			}
		}
		if !ok {
			continue
		}
		if err := h.bindField(a, resolvers, f, b, subscription); err != nil {
			errs = append(errs, fmt.Errorf("fields: %s: %w", full, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bound)) {
		errs = append(errs, fmt.Errorf("fields: the schema has no %s", name))
	}
	return resolvers, errors.Join(errs...)
}

func (h *Handler) bindField(a *api, resolvers map[string]graphql.Resolver, f graphql.RootField, b gqlapi.Binding, subscription bool) error {
	compiled, err := compileBinding(f.Name, b)
	if err != nil {
		return err
	}
	shows := []string{gqlapi.View, gqlapi.Events, gqlapi.Filter}
	if slices.Contains(shows, b.Do) != subscription {
		return fmt.Errorf("%s are for subscriptions only, and nothing else is", strings.Join(shows, ", "))
	}
	if len(compiled.ends) > 0 && f.Operation != "mutation" {
		return errors.New("invalidate is for mutations only")
	}
	if subscription {
		a.views[f.Name] = compiled
		return nil
	}
	resolve, err := h.resolver(compiled)
	if err != nil {
		return err
	}
	if len(compiled.ends) > 0 {
		resolve = h.invalidating(compiled, resolve)
	}
	for i, end := range compiled.ends {
		if !slices.ContainsFunc(a.schema.RootFields(), func(f graphql.RootField) bool {
			return f.Operation == "subscription" && f.Name == end.name
		}) {
			return fmt.Errorf("invalidate[%d]: the schema has no subscription %s", i, end.name)
		}
		h.invalid.live[end.name] = make(map[*live]struct{})
	}
	resolvers[f.Parent+"."+f.Name] = resolve
	return nil
}
