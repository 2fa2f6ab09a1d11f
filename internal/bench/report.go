package bench

import (
	"fmt"
	"io"
	"strings"
)

// A Report is what a run has found.
type Report struct {
	Machine  Machine
	Command  string // that made it
	Sections []Section
}

// A Section is what one part has measured.
type Section struct {
	Title    string
	How      string // what was done, for those who want to judge the figures
	Head     []string
	Rows     [][]string
	Findings []Finding
	Err      error // why it is not complete
}

// A Finding is a figure that somebody may have a target for.
type Finding struct {
	What   string
	Figure string
	Target string // empty if there is none
	Met    bool
}

// row adds a row to the section's table.
func (s *Section) row(cells ...string) { s.Rows = append(s.Rows, cells) }

// find adds a finding without a target.
func (s *Section) find(what, figure string) {
	s.Findings = append(s.Findings, Finding{What: what, Figure: figure})
}

// check adds a finding with one.
func (s *Section) check(what, figure, target string, met bool) {
	s.Findings = append(s.Findings, Finding{What: what, Figure: figure, Target: target, Met: met})
}

// verdict says in a word how a finding compares with its target.
func (f *Finding) verdict() string {
	switch {
	case f.Target == "":
		return ""
	case f.Met:
		return "met"
	}
	return "**missed**"
}

// WriteTo writes the report as Markdown: first what there are targets for, then
// each part.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, r.summary()+r.details())
	return int64(n), err
}

func (r *Report) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nMade by `%s`.\n", r.Machine, r.Command)
	var rows [][]string
	for _, s := range r.Sections {
		for _, f := range s.Findings {
			target := f.Target
			if target == "" {
				target = "–"
			}
			rows = append(rows, []string{f.What, f.Figure, target, f.verdict()})
		}
	}
	writeTable(&b, []string{"what", "figure", "target", ""}, rows)
	return b.String()
}

func (r *Report) details() string {
	var b strings.Builder
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Title, s.How)
		writeTable(&b, s.Head, s.Rows)
		if s.Err != nil {
			fmt.Fprintf(&b, "\nNot complete: %s.\n", cell(s.Err.Error()))
		}
	}
	return b.String()
}

// writeTable writes a Markdown table, if there is anything to put into it.
func writeTable(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	b.WriteByte('\n')
	for _, row := range append([][]string{head, rule}, rows...) {
		for _, text := range row {
			b.WriteString("| " + cell(text) + " ")
		}
		b.WriteString("|\n")
	}
}

// cell makes a text fit into one cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
