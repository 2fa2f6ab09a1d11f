package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/runnelhq/runnel/api"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// description is what the API's description says about credentials.
type description struct {
	Security []map[string][]string
	Paths    map[string]map[string]any

	Components struct {
		SecuritySchemes map[string]struct{ In, Name, Scheme string } `yaml:"securitySchemes"`
	}
}

// open reports whether an operation is said to ask for no credentials.
func open(op any) bool {
	members, _ := op.(map[string]any)
	list, said := members["security"].([]any)
	return said && len(list) == 0
}

// The description says which operations ask for credentials, and how to show
// them.
func TestCredentialsAreDescribed(t *testing.T) {
	t.Parallel()
	var d description
	if err := yaml.Unmarshal(api.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	const secret = "a-secret-that-is-long-enough"
	cfg, key := protected(t)
	cfg.IAM = sigv4.Config{Keys: []sigv4.Key{{AccessKey: "AKIDTEST", Secret: secret}}}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	asked := 0
	for path, item := range d.Paths {
		for method, op := range item {
			method = strings.ToUpper(method)
			if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method) {
				continue
			}
			asked++
			refused := c.status(t, method, strings.NewReplacer("{", "", "}", "").Replace(path), "", nil) == http.StatusUnauthorized
			if refused == open(op) {
				t.Errorf("%s %s: refused without credentials: %t, described as open: %t", method, path, refused, open(op))
			}
		}
	}
	if asked < 12 {
		t.Errorf("only %d operations were found", asked)
	}

	shown := map[string]func(*http.Request){
		"ApiKey":    with(d.Components.SecuritySchemes["ApiKey"].Name, key),
		"Bearer":    with("Authorization", d.Components.SecuritySchemes["Bearer"].Scheme+" "+key),
		"Signature": signed(t, secret, ""),
		"Token": func(r *http.Request) {
			r.URL.RawQuery = d.Components.SecuritySchemes["Token"].Name + "=" + key
		},
	}
	for name := range d.Components.SecuritySchemes {
		prepare, ok := shown[name]
		if !ok {
			t.Errorf("nothing shows that the scheme %s works", name)
			continue
		}
		if got := c.status(t, "GET", "/v1/sessions/s", "", prepare); got != http.StatusOK {
			t.Errorf("with %s: got %d", name, got)
		}
		if !slices.ContainsFunc(d.Security, func(s map[string][]string) bool { _, ok := s[name]; return ok }) {
			t.Errorf("the scheme %s is described, but for no operation", name)
		}
	}
}
