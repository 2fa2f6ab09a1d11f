package wsapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// API Gateway's own bounds.
const (
	maxRoutes  = 300
	maxStages  = 10
	maxKey     = 128
	maxTimeout = 15 * time.Minute // of a Lambda function
)

// taken are the first segments of paths that other doors have; a stage of such
// a name could not be reached.
func taken() []string {
	return []string{
		"v1", "graphql", "realtime", "event", "api", "model", "healthz", "readyz", "metrics", "openapi.yaml",
		"functions", "2015-03-31", "2021-11-15", "2018-06-01", "bots",
	}
}

func kinds() []string { return []string{HTTP, Mock, SendText, Stream, Lex, Native} }

// Validate returns what is wrong first, with its place and what is allowed there.
func Validate(apis []API) error {
	names, hosts := map[string]bool{}, map[string]bool{}
	for i, a := range apis {
		if err := a.validate(); err != nil {
			return fmt.Errorf("[%d].%w", i, err)
		}
		if names[a.Name] {
			return fmt.Errorf("[%d].name: another API is called %q", i, a.Name)
		}
		names[a.Name] = true
		served := a.Hosts
		if len(served) == 0 {
			served = []string{""}
		}
		for _, h := range served {
			if h = strings.ToLower(h); hosts[h] {
				return fmt.Errorf("[%d].hosts: another API has the same; those without hosts count as one", i)
			}
			hosts[strings.ToLower(h)] = true
		}
	}
	return nil
}

func (a API) validate() error {
	if !isName(a.Name) {
		return fmt.Errorf("name: %q must be 1 to %d letters, digits, hyphens or underscores", a.Name, maxKey)
	}
	for _, h := range a.Hosts {
		if h == "" || strings.ContainsAny(h, "/: \t") {
			return fmt.Errorf("hosts: %q is not a host name without port", h)
		}
	}
	if len(a.Stages) > maxStages || len(a.Routes) > maxRoutes {
		return fmt.Errorf("stages: there may be %d stages and %d routes", maxStages, maxRoutes)
	}
	full := a.withDefaults()
	for i, s := range full.Stages {
		switch {
		case !isName(s):
			return fmt.Errorf("stages: %q must be 1 to %d letters, digits, hyphens or underscores", s, maxKey)
		case slices.Contains(taken(), s):
			return fmt.Errorf("stages: another door has the path /%s", s)
		case slices.Contains(full.Stages[:i], s):
			return fmt.Errorf("stages: %q is there twice", s)
		}
	}
	if a.Root != "" && !slices.Contains(full.Stages, a.Root) {
		return fmt.Errorf("root: %q is not one of the stages", a.Root)
	}
	if a.Root != "" && len(a.Hosts) == 0 {
		return errors.New("root: it takes hosts, for without them / is the node's own page")
	}
	if _, err := compile(full.Selection); err != nil {
		return fmt.Errorf("selection: %w", err)
	}
	seen := map[string]bool{}
	for i, r := range full.Routes {
		if err := r.validate(); err != nil {
			return fmt.Errorf("routes[%d].%w", i, err)
		}
		for _, key := range r.keys() {
			if seen[key] {
				return fmt.Errorf("routes[%d].key: another route has %q", i, key)
			}
			seen[key] = true
		}
	}
	return nil
}

func (r Route) validate() error {
	if r.Key == "" || len(r.Key) > maxKey || r.Key == "$" {
		return fmt.Errorf("key: %q must be 1 to %d bytes", r.Key, maxKey)
	}
	if !slices.Contains(kinds(), r.Integration) {
		return fmt.Errorf("integration: %q is not one of the allowed words; allowed: %s", r.Integration, strings.Join(kinds(), ", "))
	}
	if r.Key == Disconnect && r.Integration != HTTP && r.Integration != Mock {
		return errors.New("integration: nobody is left to answer at $disconnect; allowed: http and mock")
	}
	if r.Key == Connect && !slices.Contains([]string{HTTP, Mock, Lex}, r.Integration) {
		return errors.New("integration: allowed at $connect: http, mock, and lex, which then follows the session")
	}
	if r.Integration == HTTP {
		u, err := url.Parse(r.URL)
		if err != nil || u.Host == "" || u.Fragment != "" || !slices.Contains([]string{"https", "http", "function"}, u.Scheme) {
			return fmt.Errorf("url: %q must look like http://host/path or function://name", r.URL)
		}
	} else if r.URL != "" || r.Async || r.Response || r.Timeout != 0 {
		return errors.New("url: this, timeout, async and response are for http only")
	}
	if r.Timeout < 0 || r.Timeout > maxTimeout {
		return fmt.Errorf("timeout: %v is out of range; allowed: 0s to %v", r.Timeout, maxTimeout)
	}
	if r.Dialect != "" && (r.Integration != Stream || r.Dialect != DialectToken && r.Dialect != DialectTyped) {
		return fmt.Errorf("dialect: allowed with stream only: %s or %s", DialectToken, DialectTyped)
	}
	if (r.Model != "" || r.System != "") && (r.Integration == HTTP || r.Integration == Mock || r.Integration == Native) {
		return errors.New("model: this and system are for sendtext, stream and lex only")
	}
	return nil
}

// isName accepts what needs no escaping in a path.
func isName(s string) bool {
	for _, b := range []byte(s) {
		if !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxKey
}
