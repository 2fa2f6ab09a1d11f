package appsync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
)

// isoTime is what util.time.nowISO8601 returns.
const isoTime = "2006-01-02T15:04:05.000Z"

// A scope is what templates can name.
type scope struct {
	session    runnel.SessionID
	generation runnel.GenerationID
	cursor     runnel.Cursor
	text       string
	locale     string
	done       bool
	repeated   bool
	at         time.Time
	args       graphql.Value
}

func (s *scope) value(name string) graphql.Value {
	switch name {
	case "session":
		return graphql.String(string(s.session))
	case "generation":
		return graphql.String(string(s.generation))
	case "cursor":
		return graphql.String(s.cursor.String())
	case "text":
		return graphql.String(s.text)
	case "locale":
		return graphql.String(s.locale)
	case "done":
		return graphql.Bool(s.done)
	case "repeated":
		return graphql.Bool(s.repeated)
	}
	return graphql.String(s.at.UTC().Format(isoTime)) // time
}

func variables() []string {
	return []string{"session", "generation", "cursor", "text", "locale", "done", "repeated", "time"}
}

// A template is JSON with holes. The zero template is null.
type template struct {
	fixed    graphql.Value // unless one of these is set
	variable string
	path     []string // of an argument
	members  []slot   // of an object, or of a list
	kind     graphql.Kind
}

type slot struct {
	name string
	template
}

// newTemplate compiles what the configuration has.
func newTemplate(text string) (template, error) {
	if text == "" {
		return template{fixed: graphql.Null()}, nil
	}
	value, err := graphql.ParseJSON([]byte(text))
	if err != nil {
		if text[0] == '{' || text[0] == '[' || text[0] == '"' {
			return template{}, fmt.Errorf("result: %w", err)
		}
		value = graphql.String(text)
	}
	return compileTemplate(value)
}

func compileTemplate(v graphql.Value) (template, error) {
	switch v.Kind() {
	case graphql.KindString:
		name, ok := strings.CutPrefix(v.Text(), "$")
		if !ok || strings.HasPrefix(name, "$") { // $$ is a dollar
			return template{fixed: graphql.String(strings.TrimPrefix(v.Text(), "$"))}, nil
		}
		if path, ok := strings.CutPrefix(name, "args."); ok {
			return template{path: strings.Split(path, ".")}, nil
		}
		if !slices.Contains(variables(), name) {
			return template{}, fmt.Errorf("there is no $%s; there are $args.NAME and $%s", name, strings.Join(variables(), ", $"))
		}
		return template{variable: name}, nil
	case graphql.KindList, graphql.KindObject:
		t := template{kind: v.Kind()}
		for name, member := range v.All() {
			inner, err := compileTemplate(member)
			if err != nil {
				return template{}, err
			}
			t.members = append(t.members, slot{name, inner})
		}
		return t, nil
	}
	return template{fixed: v}, nil
}

// fill returns the template's value in a scope.
func (t *template) fill(s *scope) graphql.Value {
	switch {
	case t.variable != "":
		return s.value(t.variable)
	case t.path != nil:
		return s.args.Get(t.path...)
	case t.kind == graphql.KindObject:
		members := make([]graphql.Member, len(t.members))
		for i := range t.members {
			members[i] = graphql.Member{Name: t.members[i].name, Value: t.members[i].fill(s)}
		}
		return graphql.Object(members...)
	case t.kind == graphql.KindList:
		values := make([]graphql.Value, len(t.members))
		for i := range t.members {
			values[i] = t.members[i].fill(s)
		}
		return graphql.List(values...)
	}
	return t.fixed
}
