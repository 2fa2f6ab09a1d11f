package openai

import (
	"context"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// turn returns the record of a generation that has ended.
func (h *Handler) turn(ctx context.Context, g *runnel.Generation) (*runnel.Turn, error) {
	t, err := h.sessions.Transcript(ctx, g.Session)
	if err != nil {
		return nil, err
	}
	for i := range t.Turns {
		if t.Turns[i].Generation == g.ID {
			return &t.Turns[i], nil
		}
	}
	return nil, runnel.Errorf(runnel.Gone, "the response is no longer kept")
}

// turnResult returns what a turn says, and its items in their usual order.
func turnResult(t *runnel.Turn) (result, []openItem) {
	said := result{model: t.Model, text: []byte(t.Text), reasoning: []byte(t.Reasoning)}
	var order []openItem
	if t.Reasoning != "" {
		order = append(order, openItem{kind: 'r'})
	}
	if t.Text != "" {
		order = append(order, openItem{kind: 'm'})
	}
	for i, call := range t.Tools {
		said.calls, said.inputs = append(said.calls, call), append(said.inputs, call.Input)
		order = append(order, openItem{kind: 'c', index: i})
	}
	return said, order
}

// source returns where a generation's events are read: in its session, or, when
// they are past retention, in its turn.
func (h *Handler) source(g *runnel.Generation) answer.Sessions {
	return &retold{h: h, g: g}
}

// A retold generation is read from the log as long as that has it.
type retold struct {
	h *Handler
	g *runnel.Generation
}

// Read implements [answer.Sessions].
func (s *retold) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	events, err := s.h.sessions.Read(ctx, id, after)
	if runnel.KindOf(err) != runnel.Gone || !s.g.State.Ended() {
		return events, err
	}
	t, err := s.h.turn(ctx, s.g)
	if err != nil {
		return nil, err
	}
	events = []runnel.Event{
		{Type: runnel.EventStarted, Model: t.Model},
		{Type: runnel.EventReset, Text: t.Text, Reasoning: t.Reasoning},
	}
	for i, call := range t.Tools {
		events = append(events, runnel.Event{Type: runnel.EventTool, Tool: &runnel.ToolDelta{Index: i, ID: call.ID, Name: call.Name, Input: string(call.Input)}})
	}
	end := runnel.Event{Type: runnel.EventDone, StopReason: t.StopReason, Usage: t.Usage, Failure: t.Failure}
	switch t.State {
	case runnel.Failed:
		end.Type = runnel.EventFailed
	case runnel.Stopped:
		end.Type = runnel.EventCancelled
	}
	events = append(events, end)
	for i := range events {
		events[i].Generation, events[i].Attempt = s.g.ID, t.Attempt
	}
	return events, nil
}
