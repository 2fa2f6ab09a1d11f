//go:build linux && cluster

package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/internal/modelserver"
)

// A conversation is one question in a session of its own, and the client that
// follows its answer.
type conversation struct {
	session runnel.SessionID
	model   string
	receipt runnel.Receipt
	want    string

	mu      sync.Mutex
	last    time.Time     // when something came
	longest time.Duration // that nothing came
	answer  client.Answer
	anew    int // resets without text
	ends    int
	twice   int // events that came again, or after later ones
}

// ask submits one question in each of n sessions, half of them to either model.
func ask(t *testing.T, gw *client.Client, name string, n, tokens int) []*conversation {
	t.Helper()
	all := make([]*conversation, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			c := &conversation{session: runnel.SessionID(fmt.Sprintf("%s-%d", name, i))}
			c.model = []string{goesOn, beginsAnew}[i%2]
			prompt := fmt.Sprintf("Question of %s. [[tokens=%d]]", c.session, tokens)
			c.want = modelserver.Text(prompt, tokens)
			var err error
			if c.receipt, err = gw.Submit(t.Context(), c.session, client.Prompt{Text: prompt, Model: c.model}); err != nil {
				t.Errorf("%s: %v", c.session, err)
			}
			all[i] = c
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// follow reads to the end of the answer, and tells what must not be.
func (c *conversation) follow(ctx context.Context, gw *client.Client) error {
	c.last = time.Now()
	at := c.receipt.Cursor
	for ev, err := range gw.Stream(ctx, c.session, at) {
		if err != nil {
			return err
		}
		if !ev.Cursor.IsZero() {
			if ev.Cursor.Epoch == at.Epoch && ev.Cursor.Seq <= at.Seq {
				c.twice++
			}
			at = ev.Cursor
		}
		if c.take(&ev) {
			return nil
		}
	}
	return ctx.Err()
}

func (c *conversation) take(ev *runnel.Event) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, time.Since(c.last))
	c.last = time.Now()
	if ev.Type == runnel.EventReset && ev.Text == "" {
		c.anew++
	}
	c.answer.Apply(*ev)
	if ev.Type.Terminal() {
		c.ends++
	}
	return ev.Type.Terminal()
}

// length returns how much of the answer has come.
func (c *conversation) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answer.Text())
}

// check compares the answer with what it must be, as the client that was there
// has it, as one has it that comes now, and as it is recorded.
func (c *conversation) check(ctx context.Context, t *testing.T, gw *client.Client) {
	t.Helper()
	if c.twice > 0 {
		t.Errorf("%s: %d events came twice or out of order", c.session, c.twice)
	}
	if got := c.answer.Text(); got != c.want {
		t.Errorf("%s: the client has\n%q\nwant\n%q", c.session, got, c.want)
	}
	if c.ends != 1 || c.answer.State != runnel.Done {
		t.Errorf("%s: %d terminal events, and the state %s: %+v", c.session, c.ends, c.answer.State, c.answer.Failure)
	}
	transcript, err := gw.Transcript(ctx, c.session)
	if err != nil {
		t.Errorf("%s: %v", c.session, err)
		return
	}
	if len(transcript.Turns) != 1 || transcript.Turns[0].Text != c.want || transcript.Turns[0].State != runnel.Done {
		t.Errorf("%s: the transcript has %d turns: %+v", c.session, len(transcript.Turns), transcript.Turns)
	}
	var late client.Answer
	ends := 0
	for ev, err := range gw.Stream(ctx, c.session, runnel.Cursor{}) {
		if err != nil {
			t.Errorf("%s: %v", c.session, err)
			return
		}
		late.Apply(ev)
		if ev.Type.Terminal() {
			ends++
		}
		if ev.Cursor == transcript.Cursor {
			break
		}
	}
	if late.Text() != c.want || ends != 1 {
		t.Errorf("%s: one who comes late has %d terminal events and\n%q\nwant\n%q", c.session, ends, late.Text(), c.want)
	}
}
