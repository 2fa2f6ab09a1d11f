package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish"`
}

// Help is shown below the command's summary.
func (*completionCommand) Help() string {
	return `Examples:

    source <(runnel completion bash)
    runnel completion zsh > "${fpath[1]}/_runnel"
    runnel completion fish > ~/.config/fish/completions/runnel.fish`
}

// Run prints the script.
func (c *completionCommand) Run(std IO, model *kong.Application) error {
	commands := completions(model.Node, nil)
	var b strings.Builder
	switch c.Shell {
	case "bash":
		bashCompletion(&b, commands)
	case "zsh":
		zshCompletion(&b, commands)
	default:
		fishCompletion(&b, commands)
	}
	_, err := io.WriteString(std.Out, b.String())
	return err
}

// A completion is what may follow a command.
type completion struct {
	path  []string // of the command; empty for runnel itself
	words []word
}

type word struct {
	text, help string
	value      bool // a value follows
	flag       bool
}

// completions lists a command and those below it, outermost first.
func completions(node *kong.Node, path []string) []completion {
	c := completion{path: path}
	var below []completion
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		c.words = append(c.words, word{text: child.Name, help: child.Help})
		below = append(below, completions(child, append(slices.Clip(path), child.Name))...)
	}
	for _, flag := range node.Flags {
		if flag.Hidden {
			continue
		}
		c.words = append(c.words, word{text: "--" + flag.Name, help: flag.Help, value: !flag.IsBool(), flag: true})
	}
	if len(path) > 0 {
		c.words = append(c.words, word{text: "--help", help: "Show help", flag: true})
	}
	for _, arg := range node.Positional {
		for _, text := range arg.EnumSlice() {
			c.words = append(c.words, word{text: text, help: arg.Help})
		}
	}
	return append([]completion{c}, below...)
}

func (c *completion) texts() string {
	var all []string
	for _, w := range c.words {
		all = append(all, w.text)
	}
	return strings.Join(all, " ")
}

// bashCompletion completes by the command that the words before the cursor
// name. Where a value stands, readline completes file names.
func bashCompletion(b *strings.Builder, commands []completion) {
	b.WriteString(`_runnel() {
    local cur=${COMP_WORDS[COMP_CWORD]} path="" word words=""
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $word" in
`)
	for _, c := range commands[1:] {
		parent := strings.Join(c.path[:len(c.path)-1], " ")
		fmt.Fprintf(b, "            %q) path=%q ;;\n", parent+" "+c.path[len(c.path)-1], strings.Join(c.path, " "))
	}
	b.WriteString("        esac\n    done\n    case \"$path\" in\n")
	for _, c := range commands {
		fmt.Fprintf(b, "        %q) words=%q ;;\n", strings.Join(c.path, " "), c.texts())
	}
	b.WriteString(`    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _runnel runnel
`)
}

func zshCompletion(b *strings.Builder, commands []completion) {
	b.WriteString("#compdef runnel\n_runnel() {\n    local path=\"\" word\n    local -a entries\n")
	b.WriteString("    for word in \"${words[@]:1:CURRENT-2}\"; do\n        case \"$path $word\" in\n")
	for _, c := range commands[1:] {
		parent := strings.Join(c.path[:len(c.path)-1], " ")
		fmt.Fprintf(b, "            %q) path=%q ;;\n", parent+" "+c.path[len(c.path)-1], strings.Join(c.path, " "))
	}
	b.WriteString("        esac\n    done\n    case \"$path\" in\n")
	for _, c := range commands {
		fmt.Fprintf(b, "        %q) entries=(\n", strings.Join(c.path, " "))
		for _, w := range c.words {
			fmt.Fprintf(b, "            %s\n", quote(strings.ReplaceAll(w.text, ":", `\:`)+":"+plain(w.help)))
		}
		b.WriteString("        ) ;;\n")
	}
	b.WriteString("    esac\n    _describe runnel entries || _files\n}\ncompdef _runnel runnel\n")
}

func fishCompletion(b *strings.Builder, commands []completion) {
	for _, c := range commands {
		condition := "__fish_use_subcommand"
		if len(c.path) > 0 {
			var seen []string
			for _, name := range c.path {
				seen = append(seen, "__fish_seen_subcommand_from "+name)
			}
			condition = strings.Join(seen, "; and ")
		}
		for _, w := range c.words {
			what := "-f -a " + quote(w.text)
			if w.flag {
				what = "-l " + strings.TrimPrefix(w.text, "--")
			}
			if w.value {
				what += " -r"
			}
			fmt.Fprintf(b, "complete -c runnel -n %s %s -d %s\n", quote(condition), what, quote(plain(w.help)))
		}
	}
}

// plain takes from a help text what shells would read something into.
func plain(help string) string {
	return strings.NewReplacer("$", "", "`", "", `\`, "", "\n", " ").Replace(strings.TrimSuffix(help, "."))
}

func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "") + "'"
}
