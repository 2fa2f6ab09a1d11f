package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

const (
	// maxPiped bounds a prompt from standard input; gateways accept less.
	maxPiped = 8 << 20
	// stopTimeout bounds what asking for a stop may take.
	stopTimeout = 5 * time.Second
	// linger is how much longer than the user a submission waits for its receipt.
	linger = time.Second
)

type chatCommand struct {
	gateway `embed:""`
	Session string   `placeholder:"NAME" help:"Session to talk in; without it a new one begins"`
	Model   string   `placeholder:"NAME" help:"Model or route to ask, in place of the gateway's default"`
	System  string   `placeholder:"TEXT" help:"Tell the model how to answer"`
	Prompt  []string `arg:"" optional:"" help:"What to ask. Without it, and with a terminal, a conversation begins; otherwise standard input is the prompt"`
}

// Help is shown below the command's summary.
func (*chatCommand) Help() string {
	return `The answer goes to standard output and everything else to standard error. ` +
		`If the gateway restarts in the middle, the answer goes on where it was. ` +
		`Ctrl-C stops an answer; at the prompt it leaves, as Ctrl-D does.

Examples:

    runnel chat
    runnel chat why is the sky blue
    runnel chat --session demo --model fast < question.txt`
}

// Run asks once or begins a conversation.
func (c *chatCommand) Run(std IO) error {
	s := newStatus(std.Err)
	defer s.clear()
	gw, err := c.connect(s)
	if err != nil {
		return err
	}
	t := &talk{
		client: gw, status: s, out: std.Out, looking: term.IsTerminal(int(std.Out.Fd())),
		session: runnel.SessionID(c.Session), prompt: client.Prompt{Model: c.Model, System: c.System},
	}
	if c.Session == "" {
		t.session = runnel.SessionID("chat-" + strings.ToLower(rand.Text()[:12]))
	}
	prompt := strings.Join(c.Prompt, " ")
	if prompt == "" && term.IsTerminal(int(std.In.Fd())) {
		return c.explain(converse(t, std))
	}
	if prompt == "" {
		if prompt, err = readPrompt(std.In); err != nil {
			return err
		}
	}
	return c.explain(t.ask(prompt))
}

func readPrompt(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPiped+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the prompt: %w", err)
	case len(data) > maxPiped:
		return "", fmt.Errorf("the prompt is longer than %d bytes", maxPiped)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", usageError{errors.New("there is no prompt: standard input is empty")}
	}
	return text, nil
}

// A talk is a conversation in one session.
type talk struct {
	client  *client.Client
	session runnel.SessionID
	prompt  client.Prompt // what all prompts have in common
	status  *status
	out     *os.File
	looking bool // out is a terminal
}

// ask submits a prompt and prints the answer as it comes. A signal stops the
// generation, and the error is errInterrupted.
func (t *talk) ask(text string) error {
	ctx, release := untilSignal(context.Background())
	defer release()
	defer t.status.clear()
	t.status.spin("waiting")
	p := t.prompt
	p.Text = text
	submitting, cancel := lingering(ctx)
	defer cancel()
	receipt, err := t.client.Submit(submitting, t.session, p)
	if err == nil {
		err = t.follow(ctx, receipt)
		if ctx.Err() != nil {
			t.stop(receipt.Generation)
		}
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// lingering returns a context that ends a moment after ctx: what the gateway has
// accepted meanwhile can be stopped with its receipt only.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(linger, cancel) })
	return late, func() {
		stop()
		cancel()
	}
}

func (t *talk) follow(ctx context.Context, r runnel.Receipt) error {
	var answer client.Answer
	show := printer{w: t.out, looking: t.looking}
	for ev, err := range t.client.Follow(ctx, r) {
		if err != nil {
			return err
		}
		answer.Apply(ev)
		switch {
		case ev.Type == runnel.EventReasoning && show.printed == "":
			t.status.spin("thinking")
		case answer.Text() != "":
			t.status.clear()
			if err := show.show(answer.Text()); err != nil {
				return err
			}
		}
	}
	t.status.clear()
	if err := show.end(answer.Text()); err != nil {
		return err
	}
	switch answer.State {
	case runnel.Failed:
		return failure(answer.Failure)
	case runnel.Stopped:
		return errors.New("the generation was stopped")
	default:
		return nil
	}
}

func failure(f *runnel.Failure) error {
	if f == nil {
		return errors.New("the generation failed")
	}
	return fmt.Errorf("the generation failed: %s (%s)", f.Message, f.Kind)
}

// stop asks for the end of a generation that nobody here wants any more.
func (t *talk) stop(gen runnel.GenerationID) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	t.status.clear()
	if _, err := t.client.Cancel(ctx, gen); err != nil {
		t.status.say("the generation may go on: " + publicError(err))
	}
}
