package wsapi

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// A Table finds the API of a request. It is never changed.
type Table struct {
	apis   []*Compiled
	byHost map[string]*Compiled // the empty host is any other
}

// A Compiled API finds the routes of messages.
type Compiled struct {
	API
	selection expression
	routes    map[string]*Route // by what messages resolve to, and the reserved ones
}

// NewTable compiles APIs; none are the same as [Builtin] alone.
func NewTable(apis []API) (*Table, error) {
	if len(apis) == 0 {
		apis = []API{Builtin()}
	}
	if err := Validate(apis); err != nil {
		return nil, fmt.Errorf("wsapi: apis%w", err)
	}
	t := &Table{byHost: make(map[string]*Compiled)}
	for _, a := range apis {
		c := &Compiled{API: a.withDefaults(), routes: make(map[string]*Route)}
		c.selection, _ = compile(c.Selection) // has been validated
		for i := range c.Routes {
			for _, key := range c.Routes[i].keys() {
				c.routes[key] = &c.Routes[i]
			}
		}
		t.apis = append(t.apis, c)
		if len(a.Hosts) == 0 {
			t.byHost[""] = c
		}
		for _, h := range a.Hosts {
			t.byHost[strings.ToLower(h)] = c
		}
	}
	return t, nil
}

// keys are what reaches the route: its key, and for a key that begins with a
// dollar sign but is not reserved also the rest.
func (r Route) keys() []string {
	rest, dollar := strings.CutPrefix(r.Key, "$")
	if !dollar || reserved(r.Key) {
		return []string{r.Key}
	}
	return []string{r.Key, rest}
}

func reserved(key string) bool { return key == Connect || key == Disconnect || key == Default }

// All returns the APIs.
func (t *Table) All() []*Compiled { return t.apis }

// Find returns the API and the stage that a client means by a host and the
// first segment of a path, which may be empty.
func (t *Table) Find(host, segment string) (api *Compiled, stage string, ok bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	api = t.byHost[strings.ToLower(host)]
	if api == nil {
		api = t.byHost[""]
	}
	switch {
	case api == nil:
		return nil, "", false
	case segment == "" && api.Root != "":
		return api, api.Root, true
	}
	return api, segment, slices.Contains(api.Stages, segment)
}

// Reserved returns the route $connect, $disconnect or $default; nil if the API
// has none.
func (c *Compiled) Reserved(key string) *Route { return c.routes[key] }

// Select returns the route that a message takes; nil if there is none. No
// message reaches $connect or $disconnect.
func (c *Compiled) Select(message []byte) *Route {
	key := c.selection.key(message)
	if r := c.routes[key]; r != nil && key != "" && !reserved(key) {
		return r
	}
	return c.routes[Default]
}
