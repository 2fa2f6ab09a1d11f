package cli

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
)

type benchCommand struct {
	ModelServer modelServerCommand `cmd:"" help:"Run a stand-in for a language model's server"`
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
	ctx, stop := untilSignal(context.Background())
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "model server at http://%s\n", listener.Addr())
	return modelserver.New(options).Run(ctx, listener)
}
