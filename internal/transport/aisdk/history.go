package aisdk

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// messages answers with a chat's messages, for a page that was loaded again: the
// last conversation that was answered, and the question that is being answered,
// to which [Handler.resume] has the answer.
func (h *Handler) messages(w http.ResponseWriter, r *http.Request) {
	id := runnel.SessionID(r.PathValue("id"))
	err := id.Validate()
	var t runnel.Transcript
	if err == nil {
		t, err = h.sessions.Transcript(r.Context(), id)
	}
	list := []message{}
	if err == nil && len(t.Turns) > 0 {
		list = conversation(t.Turns)
	}
	for i := 0; i < len(t.Active) && err == nil; i++ {
		var asked string
		if asked, err = h.asked(r.Context(), &t.Active[i]); asked != "" {
			m := runnel.TextMessage(runnel.User, asked)
			list = append(list, fromMessage("ask_"+string(t.Active[i].ID), &m))
		}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"id": id, "messages": list})
}

// conversation returns the messages that the last turn knew, and its answer.
// Turns whose prompt came alone, by another door, follow one another; of those
// that answer the same question again, the last counts.
func conversation(turns []runnel.Turn) []message {
	from := len(turns) - 1
	for from > 0 && len(turns[from].Prompt) == 1 {
		from--
	}
	list := []message{}
	for i := from; i < len(turns); i++ {
		t := &turns[i]
		if i+1 < len(turns) && reflect.DeepEqual(t.Prompt, turns[i+1].Prompt) {
			continue
		}
		for n := range t.Prompt {
			list = add(list, fromMessage("ask_"+string(t.Generation)+"_"+strconv.Itoa(n), &t.Prompt[n]), t.Prompt[n].Parts)
		}
		list = append(list, answerOf(t))
	}
	return list
}

// add appends a message. What tools answered belongs to their calls.
func add(list []message, m message, said []runnel.Part) []message {
	for _, p := range said {
		if p.ToolResult == nil {
			continue
		}
		for i := range list {
			list[i].answer(p.ToolResult)
		}
	}
	if len(m.Parts) == 0 {
		return list
	}
	return append(list, m)
}

func (m *message) answer(result *runnel.ToolResult) {
	for i := range m.Parts {
		if p := &m.Parts[i]; p.ToolCallID == result.ID {
			p.State = "output-available"
			p.Output, _ = json.Marshal(result.Content) // text always encodes
			if result.Failed {
				p.State, p.Output, p.ErrorText = "output-error", nil, result.Content
			}
		}
	}
}

// answerOf returns the message that a turn answered with.
func answerOf(t *runnel.Turn) message {
	m := message{ID: messageID(t.Generation), Role: string(runnel.Assistant), Parts: []part{}}
	if t.Reasoning != "" {
		m.Parts = append(m.Parts, part{Type: reasoning, Text: t.Reasoning})
	}
	if t.Text != "" {
		m.Parts = append(m.Parts, part{Type: text, Text: t.Text})
	}
	for _, c := range t.Tools {
		m.Parts = append(m.Parts, part{Type: "tool-" + c.Name, ToolCallID: c.ID, State: "input-available", Input: c.Input})
	}
	return m
}

// asked returns the text of the question that a generation answers, from its
// first event; empty if it is not there yet.
func (h *Handler) asked(ctx context.Context, g *runnel.Generation) (string, error) {
	if g.State == runnel.Queued {
		return "", nil // its first event may be long in coming
	}
	events, err := h.sessions.Read(ctx, g.Session, g.Cursor)
	for i := range events {
		if events[i].Generation == g.ID && events[i].Type == runnel.EventQueued {
			return events[i].Prompt, err
		}
	}
	return "", err
}
