package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

type tailCommand struct {
	gateway `embed:""`
	After   string           `default:"0" placeholder:"CURSOR" help:"Begin just after this position; 0 is the oldest event that is kept, latest the end"`
	JSON    bool             `name:"json" help:"Print one JSON object per event"`
	Session runnel.SessionID `arg:"" help:"Session to follow"`
}

// Help is shown below the command's summary.
func (*tailCommand) Help() string {
	return `Prints the events of a session, first those that are kept and then each as it comes, across restarts of the gateway. ` +
		`With --json every line has the event's cursor, from which --after goes on.

Examples:

    runnel tail demo
    runnel tail demo --after latest --json`
}

// Run follows the session until a signal comes.
func (c *tailCommand) Run(std IO) error {
	s := newStatus(std.Err)
	gw, err := c.connect(s)
	if err != nil {
		return err
	}
	ctx, release := untilSignal(context.Background())
	defer release()
	err = c.follow(ctx, gw, std.Out)
	if ctx.Err() != nil {
		return errInterrupted
	}
	return c.explain(err)
}

func (c *tailCommand) follow(ctx context.Context, gw *client.Client, w io.Writer) error {
	after, err := c.position(ctx, gw)
	if err != nil {
		return err
	}
	show := (&narrator{w: w}).tell
	if c.JSON {
		show = jsonLines(w)
	}
	for ev, err := range gw.Stream(ctx, c.Session, after) {
		if err != nil {
			return err
		}
		if err := show(ev); err != nil {
			return err
		}
	}
	return nil
}

func (c *tailCommand) position(ctx context.Context, gw *client.Client) (runnel.Cursor, error) {
	if c.After == "latest" {
		transcript, err := gw.Transcript(ctx, c.Session)
		return transcript.Cursor, err
	}
	after, err := runnel.ParseCursor(c.After)
	if err != nil {
		return after, usageError{errors.New("--after: " + publicError(err))}
	}
	return after, nil
}

func jsonLines(w io.Writer) func(runnel.Event) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(ev runnel.Event) error {
		return enc.Encode(struct {
			Cursor runnel.Cursor   `json:"cursor,omitzero"`
			Event  json.RawMessage `json:"event"`
		}{ev.Cursor, ev.Body})
	}
}

// A narrator tells a session's events to a person: text as it comes, and
// everything else on lines of its own.
type narrator struct {
	w          io.Writer
	generation runnel.GenerationID // whose text was printed last
	midLine    bool
}

func (n *narrator) tell(ev runnel.Event) error {
	switch ev.Type {
	case runnel.EventDelta:
		return n.text(&ev)
	case runnel.EventReasoning:
		return n.line(&ev, "reasoning: "+ev.Text)
	case runnel.EventQueued:
		return n.line(&ev, "queued: "+ev.Prompt)
	case runnel.EventStarted:
		return n.line(&ev, fmt.Sprintf("started: %s, attempt %d", ev.Model, ev.Attempt))
	case runnel.EventReset:
		if err := n.line(&ev, "reset; what it says so far:"); err != nil {
			return err
		}
		return n.text(&ev)
	case runnel.EventDone:
		return n.line(&ev, fmt.Sprintf("done: %s%s", ev.StopReason, tokens(ev.Usage)))
	case runnel.EventFailed:
		return n.line(&ev, failure(ev.Failure).Error()+tokens(ev.Usage))
	case runnel.EventCancelled:
		return n.line(&ev, "cancelled"+tokens(ev.Usage))
	default:
		return n.line(&ev, string(ev.Body))
	}
}

func (n *narrator) text(ev *runnel.Event) error {
	if ev.Text == "" {
		return nil
	}
	var b strings.Builder
	if n.midLine && n.generation != ev.Generation {
		b.WriteString("\n")
	}
	b.WriteString(ev.Text)
	n.generation, n.midLine = ev.Generation, !strings.HasSuffix(ev.Text, "\n")
	_, err := io.WriteString(n.w, b.String())
	return err
}

func (n *narrator) line(ev *runnel.Event, text string) error {
	start := ""
	if n.midLine {
		start = "\n"
	}
	n.midLine = false
	_, err := fmt.Fprintf(n.w, "%s[%s] %s\n", start, ev.Generation, strings.ReplaceAll(text, "\n", "\n    "))
	return err
}

func tokens(u *runnel.Usage) string {
	if u == nil {
		return ""
	}
	return fmt.Sprintf(", %d tokens in and %d out", u.InputTokens, u.OutputTokens)
}
