package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// What stands between the markers is written by people and survives a new run.
const (
	notesBegin = "<!-- written by hand: begin -->"
	notesEnd   = "<!-- written by hand: end -->"
)

const newNotes = "\n## What limits it\n\nNobody has said yet.\n\n"

// WriteFile writes the report as a document. If the file exists, what people
// have written into it between the markers is kept.
func (r *Report) WriteFile(name string) error {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bench: keep what was written by hand: %w", err)
	}
	notes, err := notesOf(string(old))
	if err != nil {
		return fmt.Errorf("bench: %s: %w", name, err)
	}
	document := "# Benchmarks\n\n" + r.summary() + "\n" + notesBegin + notes + notesEnd + "\n" + r.details()
	if err := os.WriteFile(name, []byte(document), 0o644); err != nil {
		return fmt.Errorf("bench: write report: %w", err)
	}
	return nil
}

// notesOf returns what stands between the markers of an earlier document. A
// document that has lost one of them is not overwritten: what people wrote is
// in it somewhere.
func notesOf(document string) (string, error) {
	if document == "" {
		return newNotes, nil
	}
	_, rest, found := strings.Cut(document, notesBegin)
	notes, _, closed := strings.Cut(rest, notesEnd)
	if !found || !closed {
		return "", fmt.Errorf("it has no part between %q and %q; put them in, or move it away", notesBegin, notesEnd)
	}
	return notes, nil
}
