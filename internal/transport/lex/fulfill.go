package lex

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/function"
)

// failed is what people read when nobody could answer them.
const failed = "Sorry, this could not be answered. Please try again."

// byModel answers a text with a model: a prompt in the session, which whoever
// follows that sees as it comes. The answer is all of it.
func (h *Handler) byModel(ctx context.Context, c *call, p place, in *textRequest) (*recognition, error) {
	sub := runnel.Submission{Prompt: runnel.Prompt{
		Session: p.session, Model: h.cfg.Model, System: h.cfg.System, History: true,
		Messages: []runnel.Message{runnel.TextMessage(runnel.User, in.Text)},
	}}
	// The SDK's retries have the same id; who has it does not ask twice.
	if id := c.Header.Get("Amz-Sdk-Invocation-Id"); id != "" && len(id) < 100 {
		sub.IdempotencyKey = "lex:" + id
	}
	receipt, err := h.sessions.Submit(c.Context(), sub)
	if err != nil {
		return nil, err
	}
	reader := answer.Follow(h.sessions, receipt).Voids()
	var text []byte
	for {
		pieces, err := reader.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, err
		}
		for i := range pieces {
			if pieces[i].Void {
				text = text[:0]
			}
			text = append(text, pieces[i].Text...)
		}
		if end := pieces[len(pieces)-1].End; end != nil {
			return closing(string(text), end)
		}
	}
}

// closing returns the final message of an answer.
func closing(text string, end *runnel.Event) (*recognition, error) {
	if end.Type == runnel.EventFailed {
		f := end.Failure
		if f == nil {
			f = &runnel.Failure{Message: "the generation failed"}
		}
		return nil, errFulfillment{runnel.Errorf(runnel.ParseKind(f.Kind), "%s", f.Message)}
	}
	out := &recognition{}
	if text != "" { // the UI shows it as Markdown
		out.Messages = []message{{ContentType: "CustomPayload", Content: text}}
	}
	return out, nil
}

// byFunction answers a text with a function, as Lex calls it for fulfillment.
func (h *Handler) byFunction(ctx context.Context, _ *call, p place, in *textRequest) (*recognition, error) {
	request := function.NewRequestID()
	event, err := json.Marshal(newEvent(p, in, request))
	if err != nil {
		return nil, err
	}
	res, err := h.cfg.Fulfill.Invoke(ctx, function.Request{Payload: event, ID: request})
	if err != nil {
		return nil, errFulfillment{err}
	}
	out := &recognition{}
	if res.Failure != nil {
		h.log.InfoContext(ctx, "a fulfillment has failed", "function", h.cfg.Fulfill.Name, "session_id", p.session, "type", res.Failure.Type)
		out.Messages = []message{{ContentType: "PlainText", Content: failed}}
		out.State.Intent = &intent{State: "Failed"}
		return out, nil
	}
	// Members that Lex does not know, and null for those that it does, are what
	// handlers in the field return.
	if err := json.Unmarshal(res.Payload, out); err != nil || string(res.Payload) == "null" {
		return nil, errFulfillment{runnel.Errorf(runnel.Unavailable, "the fulfillment's answer is none that Lex understands").Because(
			errors.Join(err, errors.New("lex: an unusable answer")))}
	}
	return out, nil
}

// newEvent is what Lex tells a fulfillment.
func newEvent(p place, in *textRequest, request string) map[string]any {
	i := &intent{Name: fallback, Slots: map[string]any{}, State: "ReadyForFulfillment", Confirmation: "None"}
	return map[string]any{
		"messageVersion": "1.0", "invocationSource": "FulfillmentCodeHook", "inputMode": "Text",
		"responseContentType": "text/plain; charset=utf-8", "sessionId": p.session, "inputTranscript": in.Text,
		"bot": map[string]string{
			"id": p.bot, "name": "runnel", "localeId": p.locale, "version": "DRAFT", "aliasId": p.alias, "aliasName": "runnel",
		},
		"interpretations": []interpretation{{"Lex", i}},
		"transcriptions": []map[string]any{{
			"transcription": in.Text, "transcriptionConfidence": 1.0, "resolvedSlots": map[string]any{},
			"resolvedContext": map[string]string{"intent": fallback},
		}},
		"requestAttributes": orEmpty(in.Attributes),
		"sessionState": map[string]any{
			"sessionAttributes": in.State.Attributes, "activeContexts": []any{}, "intent": i, "originatingRequestId": request,
		},
	}
}
