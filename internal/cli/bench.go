package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/runnelhq/runnel/internal/bench"
	"github.com/runnelhq/runnel/internal/modelserver"
)

type benchCommand struct {
	Measure     measureCommand     `cmd:"" default:"withargs" help:"Measure this program on this machine, or a gateway that runs already"`
	ModelServer modelServerCommand `cmd:"" help:"Run a stand-in for a language model's server"`
	Proxy       proxyCommand       `cmd:"" hidden:""`
	Handler     handlerCommand     `cmd:"" hidden:""`
}

// Help is shown below the command's summary.
func (*benchCommand) Help() string {
	return `Without a command it measures; "runnel bench measure --help" says with which flags.`
}

type measureCommand struct {
	Quick   bool     `help:"Take a minute instead of nine, and be rough"`
	Only    []string `enum:"start,accept,access,ttft,tokens,fanout,idle,websocket,graphql,stop,functions" placeholder:"PART" help:"Measure only these: ${enum}"`
	Report  string   `placeholder:"FILE" help:"Write the report to this file too; what is written by hand in it is kept"`
	Server  string   `placeholder:"URL" help:"Measure this gateway, with the model that it has, and nothing else"`
	Streams int      `default:"4" placeholder:"N" help:"With --server: how many answers run at once"`
	Prompts int      `default:"16" placeholder:"N" help:"With --server: how many prompts are sent; real models charge for them"`
	Prompt  string   `default:"Tell me a story in a hundred words." placeholder:"TEXT" help:"With --server: what is asked"`
}

// Help is shown below the command's summary.
func (*measureCommand) Help() string {
	return `It starts a model server, a gateway and, to compare with, a plain reverse proxy, each as a process of its own on a free port of this machine, ` +
		`and prints a report in Markdown. Close what else keeps the machine busy.

Examples:

    runnel bench --quick
    runnel bench --only ttft,tokens
    runnel bench --server http://127.0.0.1:8080 --streams 8 --prompts 64`
}

// Run measures and prints the report.
func (c *measureCommand) Run(std IO) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	opts := bench.Options{Program: program, Version: version(), Command: c.line(), Quick: c.Quick, Only: c.Only, Log: std.Err}
	var report *bench.Report
	if c.Server != "" {
		report, err = bench.Server(ctx, opts, c.Server, bench.Load{Streams: c.Streams, Prompts: c.Prompts, Prompt: c.Prompt})
	} else {
		report, err = bench.Run(ctx, opts)
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case report == nil:
		return err
	}
	if _, werr := report.WriteTo(std.Out); werr != nil {
		return werr
	}
	if c.Report != "" {
		err = errors.Join(err, report.WriteFile(c.Report))
	}
	return err
}

// line is the command as it is named in the report.
func (c *measureCommand) line() string {
	line := "runnel bench"
	if c.Quick {
		line += " --quick"
	}
	if len(c.Only) > 0 {
		line += " --only " + strings.Join(c.Only, ",")
	}
	if c.Server != "" {
		line += fmt.Sprintf(" --server … --streams %d --prompts %d", c.Streams, c.Prompts)
	}
	return line
}

type modelServerCommand struct {
	Listen string        `default:"127.0.0.1:9099" placeholder:"HOST:PORT" help:"Where to listen; port 0 takes a free one"`
	TTFT   time.Duration `name:"ttft" placeholder:"TIME" help:"Time to the first token"`
	TPS    float64       `name:"tps" placeholder:"N" help:"Tokens per second after it; 0 is all at once"`
	Jitter time.Duration `placeholder:"TIME" help:"Each token is late by a part of this"`
	Tokens int           `default:"64" placeholder:"N" help:"Length of an answer"`
	Fault  []string      `sep:"none" placeholder:"SETTING" help:"What goes wrong, such as cut-after=10, status=503 or stall-after=5; may be repeated"`
}

// Help is shown below the command's summary.
func (*modelServerCommand) Help() string {
	return `It speaks the streaming protocols of OpenAI, Anthropic, Bedrock and Ollama, and the same question has the same answer over all of them. ` +
		`A prompt may change the settings for itself, in a marker: "Tell me a story [[tokens=500 tps=80]]".

Example:

    runnel bench model-server --ttft 200ms --tps 40 &
    OPENAI_BASE_URL=http://127.0.0.1:9099/v1 runnel serve --model openai/any`
}

// Run serves until a signal comes.
func (c *modelServerCommand) Run(std IO) error {
	options := modelserver.Options{TTFT: c.TTFT, TPS: c.TPS, Jitter: c.Jitter, Tokens: c.Tokens}
	for _, setting := range c.Fault {
		if err := options.Set(setting); err != nil {
			return usageError{err}
		}
	}
	return serveUntilSignal(std, "model server", c.Listen, modelserver.New(options).Run)
}

// proxyCommand runs what "bench" compares a gateway with.
type proxyCommand struct {
	Listen string   `default:"127.0.0.1:0"`
	Target *url.URL `arg:""`
}

// Run serves until a signal comes.
func (c *proxyCommand) Run(std IO) error {
	return serveUntilSignal(std, "reverse proxy", c.Listen, func(ctx context.Context, l net.Listener) error {
		return bench.Proxy(ctx, l, c.Target)
	})
}

// handlerCommand runs the handler that "bench" calls: as a function's process, or
// by itself.
type handlerCommand struct {
	Listen string `placeholder:"HOST:PORT"`
}

// Run serves until a signal comes, or the Runtime API is gone.
func (c *handlerCommand) Run(std IO) error {
	if c.Listen != "" {
		return serveUntilSignal(std, "handler", c.Listen, bench.ServeHandler)
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return bench.RunHandler(ctx, os.Getenv("AWS_LAMBDA_RUNTIME_API"))
}

// serveUntilSignal listens, says where, and has run serve there.
func serveUntilSignal(std IO, name, address string, run func(context.Context, net.Listener) error) error {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "%s at http://%s\n", name, listener.Addr())
	return run(ctx, listener)
}
