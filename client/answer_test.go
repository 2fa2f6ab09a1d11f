package client_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	type event = runnel.Event
	text := func(attempt int, text string) event {
		return event{Type: runnel.EventDelta, Attempt: attempt, Text: text}
	}
	started := func(attempt int) event {
		return event{Type: runnel.EventStarted, Attempt: attempt, Model: "echo"}
	}
	done := func(attempt int) event {
		return event{Type: runnel.EventDone, Attempt: attempt, StopReason: runnel.EndTurn}
	}
	for name, tt := range map[string]struct {
		events []event
		text   string
		state  runnel.State
	}{
		"plain":             {[]event{{Type: runnel.EventQueued}, started(1), text(1, "a"), text(1, "b"), done(1)}, "ab", runnel.Done},
		"queued":            {[]event{{Type: runnel.EventQueued}}, "", runnel.Queued},
		"takeover":          {[]event{started(1), text(1, "a"), started(2), text(1, "b"), {Type: runnel.EventReset, Attempt: 2}, text(1, "b"), text(2, "c"), done(1)}, "c", runnel.Running},
		"goes on":           {[]event{started(1), text(1, "a"), started(2), {Type: runnel.EventReset, Attempt: 2, Text: "a"}, text(2, "c"), done(2)}, "ac", runnel.Done},
		"between the two":   {[]event{started(1), text(1, "a"), started(2)}, "a", runnel.Running},
		"after the end":     {[]event{started(1), text(1, "a"), done(1), text(1, "b"), {Type: runnel.EventCancelled, Attempt: 1}}, "a", runnel.Done},
		"reset":             {[]event{started(1), text(1, "abc"), {Type: runnel.EventReset, Attempt: 1, Text: "ab"}, text(1, "d")}, "abd", runnel.Running},
		"reset of the end":  {[]event{started(1), text(1, "a"), done(1), {Type: runnel.EventReset, Attempt: 1}, started(2), text(2, "b")}, "b", runnel.Running},
		"reset to the past": {[]event{started(2), text(2, "b"), {Type: runnel.EventReset, Attempt: 1, Text: "a"}, text(1, "c")}, "ac", runnel.Running},
		"another model":     {[]event{started(1), {Type: runnel.EventStarted, Attempt: 1, Model: "other"}, text(1, "a")}, "a", runnel.Running},
	} {
		var a client.Answer
		for _, ev := range tt.events {
			a.Apply(ev)
		}
		if a.Text() != tt.text || a.State != tt.state {
			t.Errorf("%s: got %q, %s; want %q, %s", name, a.Text(), a.State, tt.text, tt.state)
		}
	}
}

func TestAnswerDetails(t *testing.T) {
	t.Parallel()
	var a client.Answer
	tool := func(d runnel.ToolDelta) { a.Apply(runnel.Event{Type: runnel.EventTool, Attempt: 1, Tool: &d}) }
	tool(runnel.ToolDelta{Index: 0, ID: "t0", Name: "look", Input: `{"a"`})
	tool(runnel.ToolDelta{Index: 1, ID: "t1", Name: "find"})
	tool(runnel.ToolDelta{Index: 0, Input: `:1}`})
	a.Apply(runnel.Event{Type: runnel.EventReasoning, Attempt: 1, Text: "hm"})
	a.Apply(runnel.Event{Type: runnel.EventFailed, Attempt: 1, Failure: &runnel.Failure{Kind: "limited"}, Usage: &runnel.Usage{OutputTokens: 2}})
	want := []runnel.ToolDelta{{Index: 0, ID: "t0", Name: "look", Input: `{"a":1}`}, {Index: 1, ID: "t1", Name: "find"}}
	if diff := cmp.Diff(want, a.Tools); diff != "" {
		t.Errorf("tool calls differ (-want +got):\n%s", diff)
	}
	if a.Reasoning() != "hm" || a.State != runnel.Failed || a.Failure.Kind != "limited" || a.Usage.OutputTokens != 2 {
		t.Errorf("got %+v", &a)
	}
}
