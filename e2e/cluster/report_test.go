//go:build linux && cluster

package cluster_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

const (
	tableBegin = "<!-- fault table: written by make faults -->\n"
	tableEnd   = "<!-- end of the fault table -->\n"
)

// writeReport puts the table into the document.
func writeReport(t *testing.T, rows []string) {
	t.Helper()
	text, err := os.ReadFile(*report)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", *report)
	}
	table := "Seen on " + time.Now().Format(time.DateOnly) + ".\n\n" +
		"| fault | complete answers | events twice or out of order | terminal events | taken over | of these begun anew | median pause | longest pause |\n" +
		"|---|---|---|---|---|---|---|---|\n" + strings.Join(rows, "\n") + "\n\n"
	if err := os.WriteFile(*report, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
}
