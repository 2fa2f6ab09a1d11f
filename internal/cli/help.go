package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

func helpOptions() kong.HelpOptions {
	return kong.HelpOptions{
		Compact:             true,
		NoExpandSubcommands: true,
		FlagsLast:           true,
		WrapUpperBound:      110,
	}
}

// describe returns the help of a flag with its default and its variable.
func describe(value *kong.Value) string {
	var notes []string
	if value.HasDefault && value.Default != "" {
		notes = append(notes, "default "+value.Default)
	}
	for _, env := range value.Tag.Envs {
		notes = append(notes, "$"+env)
	}
	return strings.TrimSuffix(value.Help, ".") + annotate(notes)
}

func annotate(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}
