package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# Configuration

Every setting has one name in three places: the flag ` + "`--flush-chunks`" + `, the environment variable ` + "`RUNNEL_FLUSH_CHUNKS`" + ` and the line
` + "`flush_chunks:`" + ` of the configuration file, which ` + "`--config`" + ` names. Flags beat the environment, the environment beats the file, and an
unknown key is an error that names the nearest known one. ` + "`runnel config`" + ` prints what results, secrets masked, and ` + "`runnel config --schema`" + `
a JSON Schema of the file for editors.

Values that are secrets may be references: ` + "`env:NAME`" + ` or ` + "`file:PATH`" + `. Sizes are written like ` + "`64KiB`" + `, times like ` + "`1m30s`" + `. Settings
marked *file* are lines of the file only; those marked *live* are taken up by a running node at a ` + "`SIGHUP`" + `, all others need a restart.

This page is generated from the code.
`

// WriteReference writes the reference of all settings, in Markdown.
func WriteReference(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	group := ""
	for _, s := range Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n\n| setting | default | what it is |\n|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Key(), s.referenceDefault(), s.referenceHelp())
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s Setting) referenceDefault() string {
	switch {
	case s.Default != "":
		return "`" + s.Default + "`"
	case s.IsBool():
		return "`false`"
	}
	return ""
}

func (s Setting) referenceHelp() string {
	help := strings.ReplaceAll(s.Help, "|", `\|`) + "."
	switch allowed := s.Allowed(); {
	case len(s.OneOf) > 0:
		help += " One of " + allowed + "."
	case allowed != "":
		help += " From " + allowed + "."
	}
	if s.FileOnly {
		help += " *file*"
	}
	if s.Live {
		help += " *live*"
	}
	return help
}
