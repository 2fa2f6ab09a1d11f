package appsync_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// items is how many the specification has.
const items = 83

// TestConformanceIsTrue checks that docs/conformance/appsync.md has a row for every
// item, and that the tests it names exist.
func TestConformanceIsTrue(t *testing.T) {
	t.Parallel()
	doc := files(t, "../../../docs/conformance/appsync.md")
	sources := map[string]string{"go": files(t, "*_test.go"), "interop": files(t, "../../../interop/appsync.test.mjs")}
	rows := map[int]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| .+ \| (.+) \|$`).FindAllStringSubmatch(doc, -1) {
		n, err := strconv.Atoi(row[1])
		if err != nil || rows[n] != "" {
			t.Errorf("item %s is there twice", row[1])
		}
		rows[n] = row[2]
	}
	named := regexp.MustCompile("(go|interop): `([^`]+)`")
	for n := 1; n <= items; n++ {
		if rows[n] == "" {
			t.Errorf("item %d is not there", n)
		}
		for _, test := range named.FindAllStringSubmatch(rows[n], -1) {
			declared := "func " + test[2] + "("
			if test[1] == "interop" {
				declared = "test('" + strings.ReplaceAll(test[2], "'", `\'`) + "'"
			}
			if !strings.Contains(sources[test[1]], declared) {
				t.Errorf("item %d: there is no test %s: %s", n, test[1], test[2])
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

// files returns the files of a pattern, one after the other.
func files(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	var all strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}
