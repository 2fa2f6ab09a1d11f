package apigateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestConformanceIsTrue checks that docs/conformance/apigateway.md has a row for
// every item, and that the tests it names exist.
func TestConformanceIsTrue(t *testing.T) {
	t.Parallel()
	doc := read(t, "../../../docs/conformance/apigateway.md")
	sources := map[string]string{
		"go":      read(t, "*_test.go"),
		"e2e":     read(t, "../../../e2e/*_test.go"),
		"interop": read(t, "../../../interop/apigateway.test.mjs"),
	}
	rows := map[int]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| .+ \| (.+) \|$`).FindAllStringSubmatch(doc, -1) {
		n, err := strconv.Atoi(row[1])
		if err != nil || rows[n] != "" {
			t.Errorf("item %s is there twice", row[1])
		}
		rows[n] = row[2]
	}
	named := regexp.MustCompile("(go|e2e|interop): `([^`]+)`")
	for _, span := range [][2]int{{1, 57}, {75, 79}, {97, 99}} {
		for n := span[0]; n <= span[1]; n++ {
			tests := named.FindAllStringSubmatch(rows[n], -1)
			if len(tests) == 0 {
				t.Errorf("item %d has no test", n)
			}
			for _, test := range tests {
				declared := "func " + test[2] + "("
				if test[1] == "interop" {
					declared = "test('" + strings.ReplaceAll(test[2], "'", `\'`) + "'"
				}
				if !strings.Contains(sources[test[1]], declared) {
					t.Errorf("item %d: there is no test %s: %s", n, test[1], test[2])
				}
			}
		}
	}
	// And the other way round: a test that is named by an item stands beside it.
	for _, test := range regexp.MustCompile(`func (TestItem(\d+))\(`).FindAllStringSubmatch(sources["go"], -1) {
		if n, err := strconv.Atoi(test[2]); err != nil || !strings.Contains(rows[n], "`"+test[1]+"`") {
			t.Errorf("item %s does not name %s", test[2], test[1])
		}
	}
}

// read returns the files of a pattern, one after the other.
func read(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	var all strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}
