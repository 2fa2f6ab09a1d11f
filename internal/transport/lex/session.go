package lex

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/reply"
)

// fallback is the intent that every text has: nothing here classifies them.
const fallback = "FallbackIntent"

// A state is a session's, as requests and answers have it. Fields that are null
// count as missing.
type state struct {
	DialogAction   *dialogAction     `json:"dialogAction,omitempty"`
	Intent         *intent           `json:"intent,omitempty"`
	Attributes     map[string]string `json:"sessionAttributes"`
	ActiveContexts []any             `json:"activeContexts,omitempty"`
	Originating    string            `json:"originatingRequestId,omitempty"`
}

type dialogAction struct {
	Type         string `json:"type"`
	SlotToElicit string `json:"slotToElicit,omitempty"`
}

type intent struct {
	Name         string         `json:"name"`
	Slots        map[string]any `json:"slots"`
	State        string         `json:"state,omitempty"`
	Confirmation string         `json:"confirmationState,omitempty"`
}

type message struct {
	ContentType string `json:"contentType"`
	Content     string `json:"content,omitempty"`
	Card        any    `json:"imageResponseCard,omitempty"`
}

type interpretation struct {
	Source string  `json:"interpretationSource"`
	Intent *intent `json:"intent"`
}

// A recognition is the answer of RecognizeText.
type recognition struct {
	Messages        []message         `json:"messages,omitempty"`
	State           state             `json:"sessionState"`
	Interpretations []interpretation  `json:"interpretations"`
	Attributes      map[string]string `json:"requestAttributes"`
	Session         string            `json:"sessionId"`
}

// A place is the session of a request.
type place struct {
	bot, alias, locale string
	asked              string           // as the client calls the session
	session            runnel.SessionID // as it is called here
}

func (c *call) place() (p place, err error) {
	p = place{bot: c.PathValue("bot"), alias: c.PathValue("alias"), locale: c.PathValue("locale"), asked: c.PathValue("session")}
	if p.asked != "" {
		p.session = sigv4.OwnSession(c.caller, runnel.SessionID(p.asked))
	}
	return p, p.session.Validate()
}

type textRequest struct {
	Text       string            `json:"text"`
	State      state             `json:"sessionState"`
	Attributes map[string]string `json:"requestAttributes"`
}

func (h *Handler) recognizeText(w http.ResponseWriter, c *call) error {
	var in textRequest
	if err := decode(c.body, &in); err != nil {
		return err
	}
	out, err := h.recognize(c, &in)
	if err != nil {
		return err
	}
	reply.JSON(w, http.StatusOK, out)
	return nil
}

// recognize has a text answered.
func (h *Handler) recognize(c *call, in *textRequest) (*recognition, error) {
	p, err := c.place()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Text) == "" {
		return nil, runnel.Errorf(runnel.Invalid, "the text is empty")
	}
	if len(in.Text) > h.cfg.MaxPrompt {
		return nil, runnel.Errorf(runnel.Invalid, "the text has %d bytes; the limit is %d", len(in.Text), h.cfg.MaxPrompt)
	}
	if in.State.Attributes != nil {
		err = h.attributes.put(c.Context(), c.key(p), in.State.Attributes)
	} else if in.State.Attributes, err = h.attributes.get(c.Context(), c.key(p)); in.State.Attributes == nil {
		in.State.Attributes = map[string]string{}
	}
	if err != nil {
		return nil, err
	}
	ctx, done := h.answers.Begin(c.Context())
	defer done()
	fulfill := h.byModel
	if h.cfg.Fulfill != nil {
		fulfill = h.byFunction
	}
	out, err := fulfill(ctx, c, p, in)
	if err != nil {
		return nil, err
	}
	changed := out.State.Attributes != nil
	out.complete(in, p)
	if changed {
		err = h.attributes.put(c.Context(), c.key(p), out.State.Attributes)
	}
	return out, err
}

// complete fills in what clients count on.
func (out *recognition) complete(in *textRequest, p place) {
	s := &out.State
	if s.Attributes == nil {
		s.Attributes = in.State.Attributes
	}
	if s.DialogAction == nil || s.DialogAction.Type == "" || s.DialogAction.Type == "Delegate" {
		s.DialogAction = &dialogAction{Type: "Close"} // there is nobody to delegate to
	}
	if s.Intent == nil {
		s.Intent = &intent{}
	}
	s.Intent.Name = cmp.Or(s.Intent.Name, fallback)
	s.Intent.Confirmation = cmp.Or(s.Intent.Confirmation, "None")
	state := "InProgress"
	if s.DialogAction.Type == "Close" {
		state = "Fulfilled"
	}
	s.Intent.State = cmp.Or(s.Intent.State, state)
	if s.Intent.Slots == nil {
		s.Intent.Slots = map[string]any{}
	}
	out.Interpretations = []interpretation{{"Lex", s.Intent}}
	out.Attributes = orEmpty(out.Attributes)
	out.Session = p.asked
}

// putSession sets a session's attributes, and has it begin anew.
func (h *Handler) putSession(w http.ResponseWriter, c *call) error {
	var in struct {
		State      state             `json:"sessionState"`
		Attributes map[string]string `json:"requestAttributes"`
		Messages   []message         `json:"messages"`
	}
	p, err := c.place()
	if err == nil {
		err = decode(c.body, &in)
	}
	if err != nil {
		return err
	}
	if in.State.DialogAction == nil {
		in.State.DialogAction = &dialogAction{Type: "ElicitIntent"}
	}
	in.State.Attributes = orEmpty(in.State.Attributes)
	if err := h.attributes.put(c.Context(), c.key(p), in.State.Attributes); err != nil {
		return err
	}
	head := w.Header()
	for name, v := range map[string]any{"messages": in.Messages, "session-state": in.State, "request-attributes": orEmpty(in.Attributes)} {
		if err := setPacked(head, name, v); err != nil {
			return err
		}
	}
	head.Set("X-Amz-Lex-Session-Id", p.asked)
	head.Set("Content-Type", cmp.Or(c.Header.Get("ResponseContentType"), "text/plain; charset=utf-8"))
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) getSession(w http.ResponseWriter, c *call) error {
	p, err := c.place()
	if err != nil {
		return err
	}
	kept, err := h.attributes.get(c.Context(), c.key(p))
	if err != nil {
		return err
	}
	if kept == nil {
		return runnel.Errorf(runnel.NotFound, "the session is not known here")
	}
	reply.JSON(w, http.StatusOK, map[string]any{
		"sessionId": p.asked, "messages": []message{}, "interpretations": []interpretation{},
		"sessionState": state{DialogAction: &dialogAction{Type: "ElicitIntent"}, Attributes: kept},
	})
	return nil
}

func (h *Handler) deleteSession(w http.ResponseWriter, c *call) error {
	p, err := c.place()
	if err != nil {
		return err
	}
	if err := h.attributes.forget(c.Context(), c.key(p)); err != nil {
		return err
	}
	reply.JSON(w, http.StatusOK, map[string]any{"botId": p.bot, "botAliasId": p.alias, "localeId": p.locale, "sessionId": p.asked})
	return nil
}

// orEmpty makes a missing object one without members.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
