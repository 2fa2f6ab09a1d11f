package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells report a process that SIGINT ended
)

// errInterrupted says that the user stopped a command that had not finished.
var errInterrupted = errors.New("interrupted")

// A usageError is a mistake in the command line, the environment or the
// configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// IO is what a command works with.
type IO struct {
	In       *os.File
	Out, Err *os.File
	Environ  []string
}

// grammar is the command line. Its order is that of the help.
type grammar struct {
	Serve      serveCommand      `cmd:"" help:"Run a gateway"`
	Chat       chatCommand       `cmd:"" help:"Talk to a model through a gateway"`
	Tail       tailCommand       `cmd:"" help:"Follow one session"`
	Health     healthCommand     `cmd:"" help:"Tell whether a gateway is ready"`
	Key        keyCommand        `cmd:"" help:"Make API keys"`
	Config     configCommand     `cmd:"" help:"Print the effective configuration"`
	Bench      benchCommand      `cmd:"" help:"Tools for measuring"`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell"`
	Version    versionCommand    `cmd:"" help:"Print the version"`

	VersionFlag kong.VersionFlag `name:"version" hidden:"" help:"Print the version"`
}

const description = `Runnel streams a language model's answer to the people waiting for it, and loses nothing on the way.

Start with "runnel serve", then "runnel chat" in another terminal.`

// Run runs the command line and returns the exit code.
func Run(args []string, std IO) int {
	var g grammar
	helped := false
	parser, err := kong.New(&g,
		kong.Name("runnel"), kong.Description(description), kong.Vars{"version": versionLine()},
		kong.Writers(std.Out, std.Err), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(helpOptions()), kong.ValueFormatter(describe),
		kong.PostBuild(func(k *kong.Kong) error {
			g.Serve.settings.addTo(command(k.Model.Node, "serve"))
			g.Config.settings.addTo(command(k.Model.Node, "config"))
			return nil
		}),
	)
	if err != nil {
		return report(std.Err, err, "")
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if helped { // kong goes on parsing after it has printed
		return exitOK
	}
	if err != nil {
		return report(std.Err, usageError{err}, helpFor(err))
	}
	return report(std.Err, parsed.Run(std, parser.Model), "runnel "+parsed.Selected().Path())
}

// report says what went wrong, if anything, and returns the exit code.
func report(w io.Writer, err error, command string) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	fmt.Fprintf(w, "runnel: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		if command != "" {
			fmt.Fprintf(w, "Run \"%s --help\" for more information.\n", command)
		}
		return exitUsage
	}
	return exitFailure
}

// helpFor returns the command whose help explains a parse error.
func helpFor(err error) string {
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		if node := e.Context.Selected(); node != nil {
			return "runnel " + node.Path()
		}
	}
	return "runnel"
}

// command returns a subcommand; the grammar has it.
func command(parent *kong.Node, name string) *kong.Node {
	for _, child := range parent.Children {
		if child.Name == name {
			return child
		}
	}
	panic("cli: no command " + name)
}

// untilSignal returns a context that is done when the user, or the machine,
// asks the process to end.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
