package client

import (
	"slices"

	"github.com/runnelhq/runnel"
)

// An Answer is what one generation has said so far, put together from its
// events. The zero value is ready; it must not be copied.
type Answer struct {
	Model      string // the one that answers
	Attempt    int
	State      runnel.State
	StopReason runnel.StopReason
	Usage      *runnel.Usage
	Failure    *runnel.Failure
	Tools      []runnel.ToolDelta // each a call with its joined input

	text, reasoning []byte
}

// Text returns the answer's text.
func (a *Answer) Text() string { return string(a.text) }

// Reasoning returns what the model thought on its way.
func (a *Answer) Reasoning() string { return string(a.reasoning) }

// Apply adds an event of the generation. When another worker takes over, what
// the earlier attempt may still say is ignored; what it said stands until the
// reset that follows. After a terminal event nothing changes any more. A reset
// overrules all of that.
func (a *Answer) Apply(ev runnel.Event) {
	if ev.Type == runnel.EventReset {
		a.Attempt, a.State = ev.Attempt, runnel.Running
		a.StopReason, a.Usage, a.Failure = "", nil, nil
		a.replace(ev.Text, ev.Reasoning)
		return
	}
	if ev.Attempt < a.Attempt || a.State.Ended() {
		return
	}
	a.Attempt = ev.Attempt
	switch ev.Type {
	case runnel.EventQueued:
		a.State = runnel.Queued
	case runnel.EventStarted:
		a.State, a.Model = runnel.Running, ev.Model
	case runnel.EventDelta:
		a.text = append(a.text, ev.Text...)
	case runnel.EventReasoning:
		a.reasoning = append(a.reasoning, ev.Text...)
	case runnel.EventTool:
		a.addTool(ev.Tool)
	case runnel.EventDone:
		a.State, a.StopReason, a.Usage = runnel.Done, ev.StopReason, ev.Usage
	case runnel.EventFailed:
		a.State, a.Failure, a.Usage = runnel.Failed, ev.Failure, ev.Usage
	case runnel.EventCancelled:
		a.State, a.Usage = runnel.Stopped, ev.Usage
	case runnel.EventProgress, runnel.EventReset:
	}
}

func (a *Answer) replace(text, reasoning string) {
	a.text = append(a.text[:0], text...)
	a.reasoning = append(a.reasoning[:0], reasoning...)
	a.Tools = nil
}

func (a *Answer) addTool(d *runnel.ToolDelta) {
	if d == nil {
		return
	}
	i := slices.IndexFunc(a.Tools, func(t runnel.ToolDelta) bool { return t.Index == d.Index })
	if i < 0 {
		a.Tools = append(a.Tools, *d)
		return
	}
	t := &a.Tools[i]
	t.Input += d.Input
	if d.ID != "" {
		t.ID = d.ID
	}
	if d.Name != "" {
		t.Name = d.Name
	}
}
