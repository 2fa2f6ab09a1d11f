package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/runnelhq/runnel"

// A rule says what a package may import from this module. Paths are relative to
// the module, the root is ".", and * stands for one path element.
type rule struct {
	pkg     string
	imports []string
}

// table is the design: the root is the vocabulary, adapters around it know the
// root and not each other, and app alone knows them all. The first rule that
// matches a package counts.
func table() []rule {
	return []rule{
		{".", nil},
		{"api", nil},

		{"internal/wire", []string{"."}},
		{"internal/cert", nil},
		{"internal/peer", nil},
		{"internal/config", []string{".", "internal/function", "internal/auth", "internal/auth/sigv4", "internal/gqlapi", "internal/limit", "internal/peer", "internal/wsapi"}},
		{"internal/obs", []string{"."}},
		{"internal/auth", []string{".", "internal/peer"}},
		{"internal/auth/sigv4", []string{"."}},
		{"internal/limit", []string{".", "internal/peer"}},
		{"internal/route", []string{"."}},
		{"internal/stage", []string{"."}},
		{"internal/function", []string{".", "internal/eventstream"}},
		{"internal/eventstream", nil},
		{"internal/answer", []string{"."}},
		{"internal/idiom", []string{"."}},
		{"internal/graphql", []string{"."}},
		{"internal/reply", []string{".", "internal/answer", "internal/limit", "internal/sse"}},
		{"internal/sse", []string{".", "internal/wire"}},
		{"internal/wsconn", []string{"."}},
		{"internal/wsapi", nil},
		{"internal/gqlapi", nil},

		{"internal/memlog", []string{".", "internal/wire"}},
		{"internal/natslog", []string{".", "internal/wire"}},
		{"internal/session", []string{".", "internal/wire", "internal/route", "internal/stage"}},

		// What vendors share comes first; after it a vendor is any other.
		{"internal/provider/settings", []string{"."}},
		{"internal/provider/jsonscan", nil},
		{"internal/provider/prefill", nil},
		{"internal/provider/upstream", []string{".", "internal/sse"}},
		{"internal/provider/function", []string{
			".", "internal/function", "internal/sse", "internal/provider/settings", "internal/provider/jsonscan", "internal/provider/upstream",
		}},
		{"internal/provider/*", []string{
			".", "internal/sse", "internal/eventstream",
			"internal/provider/settings", "internal/provider/jsonscan", "internal/provider/prefill", "internal/provider/upstream",
		}},

		{"internal/transport/*", []string{
			".", "internal/wire", "internal/answer", "internal/idiom", "internal/gqlapi", "internal/graphql", "internal/reply", "internal/sse", "internal/wsconn", "internal/eventstream", "internal/auth", "internal/auth/sigv4",
			"internal/limit", "internal/peer", "internal/wsapi", "internal/function",
		}},
		{"internal/server", []string{".", "internal/wire", "internal/peer"}},
		{"internal/web", []string{".", "internal/wire"}},

		{"client", []string{".", "internal/wire", "internal/sse"}},
		{"internal/modelserver", []string{"internal/wire", "internal/eventstream"}},
		{"internal/bench", []string{".", "client", "internal/modelserver", "internal/sse", "internal/wire"}},

		{"internal/app", []string{
			".", "api", "internal/auth", "internal/auth/sigv4", "internal/cert", "internal/config", "internal/function", "internal/graphql", "internal/limit", "internal/natslog", "internal/obs", "internal/peer", "internal/provider/*",
			"internal/route", "internal/server", "internal/session", "internal/sse", "internal/stage", "internal/transport/*", "internal/web", "internal/wsapi", "internal/wsconn",
		}},
		{"internal/cli", []string{".", "client", "internal/app", "internal/auth", "internal/bench", "internal/config", "internal/modelserver"}},
		{"cmd/runnel", []string{"internal/cli"}},

		// What runs on AWS in the gateway's place. Nothing of the gateway knows it.
		{"internal/awsfn", []string{".", "internal/auth", "internal/idiom", "internal/provider/bedrock", "internal/provider/echo", "internal/route"}},
		{"deploy/aws/functions/*", []string{".", "internal/auth", "internal/awsfn", "internal/idiom", "internal/reply"}},

		{"internal/logtest", []string{".", "internal/wire"}},
		{"internal/provider/providertest", []string{"."}},
		{"internal/transport/transporttest", []string{".", "internal/wire"}},
		{"internal/wsconn/wstest", nil},
		{"internal/archtest", nil},
		{"e2e", nil},
		{"e2e/cluster", nil},
		{"e2e/cluster/up", []string{".", "client", "e2e/cluster"}},
		{"interop/lib/handlers/go", nil},
	}
}

// testOnly are the packages that only tests may import.
func testOnly() []string {
	return []string{
		"internal/archtest", "internal/logtest", "internal/memlog",
		"internal/provider/providertest", "internal/transport/transporttest", "internal/wsconn/wstest",
	}
}

// owners says which package keeps a third party's types to itself. Tests may
// use the real thing to check against.
func owners() []rule {
	return []rule{
		{"internal/natslog", []string{"github.com/nats-io/"}},
		{"e2e/cluster", []string{"github.com/nats-io/"}}, // asks who leads
		{"internal/provider/bedrock", []string{"github.com/aws/"}},
		{"internal/function", []string{"github.com/aws/"}}, // signs calls of Lambda
		{"internal/awsfn", []string{"github.com/aws/"}},
		{"deploy/aws/functions/*", []string{"github.com/aws/"}},
		{"interop/lib/handlers/go", []string{"github.com/aws/"}},
		{"internal/obs", []string{"github.com/prometheus/"}},
		{"internal/obs", []string{"go.opentelemetry.io/"}},
		{"internal/config", []string{"github.com/goccy/go-yaml"}},
		{"internal/cli", []string{"github.com/alecthomas/kong"}},
		{"internal/server", []string{"github.com/rs/cors"}},
		{"internal/wsconn", []string{"github.com/gobwas/"}},
		{"internal/graphql", []string{"github.com/vektah/"}},
	}
}

// violations returns what is wrong with a package's imports, in words.
func violations(p listed) []string {
	pkg := local(p.ImportPath)
	allowed, ok := allowedImports(pkg)
	if !ok {
		return []string{fmt.Sprintf("%s: no rule says what it may import; give it one in internal/archtest/table_test.go", pkg)}
	}
	var wrong []string
	for _, imported := range p.Imports {
		dep := local(imported)
		switch {
		case dep == "":
			if pkg == "." && strings.Contains(imported, ".") {
				wrong = append(wrong, fmt.Sprintf("the root package imports %s; it may import the standard library only", imported))
			}
			if owners := ownersOf(imported); len(owners) > 0 && !matchAny(owners, pkg) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, whose types stay in %s", pkg, imported, list(owners)))
			}
		case slices.Contains(testOnly(), dep):
			wrong = append(wrong, fmt.Sprintf("%s imports %s, which is for tests", pkg, dep))
		case !matchAny(allowed, dep):
			wrong = append(wrong, fmt.Sprintf("%s imports %s; of this module it may import %s", pkg, dep, list(allowed)))
		}
	}
	return wrong
}

func allowedImports(pkg string) ([]string, bool) {
	// An exact rule counts before a pattern that happens to come earlier.
	for _, exact := range []bool{true, false} {
		for _, r := range table() {
			if r.pkg == pkg || !exact && matchAny([]string{r.pkg}, pkg) {
				return r.imports, true
			}
		}
	}
	return nil, false
}

// ownersOf returns the packages that may import a third party's; none: all may.
func ownersOf(imported string) (packages []string) {
	for _, o := range owners() {
		if strings.HasPrefix(imported, o.imports[0]) {
			packages = append(packages, o.pkg)
		}
	}
	return packages
}

// local returns a path relative to the module; empty if it lies outside.
func local(importPath string) string {
	if importPath == module {
		return "."
	}
	rest, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return rest
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, pkg)
		return ok && err == nil
	})
}

func list(allowed []string) string {
	if len(allowed) == 0 {
		return "nothing"
	}
	return strings.ReplaceAll(strings.Join(allowed, ", "), ".,", "the root,")
}
