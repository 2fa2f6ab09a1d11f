package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// listed is what the go command says of a package.
type listed struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("the go command lists %d packages; the rules were hardly tested", len(packages))
	}
	for _, p := range packages {
		for _, v := range violations(p) {
			t.Error(v)
		}
	}
}

// The rules themselves are tested with imports that they must refuse.
func TestViolations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pkg, imports, want string }{
		{"", "context", ""},
		{"", "github.com/google/go-cmp/cmp", "the root package imports github.com/google/go-cmp/cmp; it may import the standard library only"},
		{"", "./internal/wire", "imports internal/wire; of this module it may import nothing"},
		{"internal/session", "./internal/wire", ""},
		{"internal/session", "./internal/natslog", "internal/session imports internal/natslog; of this module it may import the root, internal/wire"},
		{"internal/transport/httpapi", "./internal/transport/functionurl", "httpapi imports internal/transport/functionurl"},
		{"internal/transport/httpapi", "./internal/session", "httpapi imports internal/session"},
		{"internal/provider/openai", "./internal/provider/anthropic", "openai imports internal/provider/anthropic"},
		{"internal/provider/openai", "./internal/provider/upstream", ""},
		{"internal/provider/openai", "./internal/provider/providertest", "providertest, which is for tests"},
		{"internal/provider/providertest", "./internal/sse", "providertest imports internal/sse"},
		{"internal/app", "./internal/memlog", "internal/memlog, which is for tests"},
		{"internal/app", "./internal/provider/openai", ""},
		{"internal/app", "./internal/cli", "internal/app imports internal/cli"},
		{"internal/session", "github.com/nats-io/nats.go", "whose types stay in internal/natslog"},
		{"internal/provider/bedrock", "github.com/aws/smithy-go", ""},
		{"deploy/aws/functions/lex", "github.com/aws/aws-lambda-go/lambda", ""},
		{"internal/app", "./internal/awsfn", "internal/app imports internal/awsfn"},
		{"internal/shiny", "context", "internal/shiny: no rule says what it may import"},
	} {
		imported := strings.Replace(tt.imports, "./", module+"/", 1)
		got := violations(listed{ImportPath: strings.TrimSuffix(module+"/"+tt.pkg, "/"), Imports: []string{imported}})
		if ok := slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, tt.want) }); ok != (tt.want != "") || (tt.want == "" && len(got) > 0) {
			t.Errorf("%q imports %s: got %q, want %q", tt.pkg, imported, got, tt.want)
		}
	}
}
