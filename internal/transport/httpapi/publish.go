package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// A publication is the body of a request that publishes a piece of an answer. Its
// members are those of the event that readers get.
type publication struct {
	Type       *string
	Text       *string
	Progress   json.RawMessage
	StopReason *string
	Usage      *runnel.Usage
	Kind       *string
	Message    *string
	Data       json.RawMessage
	Generation *string
	Model      *string
	Prompt     *string
}

func (p *publication) members() []member {
	return []member{
		{"type", &p.Type, "a string"},
		{"text", &p.Text, "a string"},
		{"progress", &p.Progress, "JSON"},
		{"stop_reason", &p.StopReason, "a string"},
		{"usage", &p.Usage, "an object of whole numbers"},
		{"kind", &p.Kind, "a string"},
		{"message", &p.Message, "a string"},
		{"data", &p.Data, "JSON"},
		{"generation", &p.Generation, "a string"},
		{"model", &p.Model, "a string"},
		{"prompt", &p.Prompt, "a string"},
	}
}

// publishable are the types of events that can be published, each with the
// members that belong to it alone.
var publishable = map[runnel.EventType][]string{
	runnel.EventStarted:   nil,
	runnel.EventDelta:     {"text"},
	runnel.EventReasoning: {"text"},
	runnel.EventProgress:  {"progress"},
	runnel.EventDone:      {"stop_reason", "usage"},
	runnel.EventFailed:    {"kind", "message"},
}

func (h *Handler) publish(w http.ResponseWriter, r *http.Request) {
	p, err := h.readPublication(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	receipt, err := h.sessions.Publish(r.Context(), p)
	if runnel.KindOf(err) == runnel.Cancelled {
		err = reply.StatusError{Status: http.StatusConflict, Err: err} // it is the answer that was stopped, not this request
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/v1/generations/"+url.PathEscape(string(receipt.Generation)))
	w.Header().Set("Runnel-Generation", string(receipt.Generation))
	reply.JSON(w, http.StatusAccepted, receipt)
}

func (h *Handler) readPublication(w http.ResponseWriter, r *http.Request) (p runnel.Publication, err error) {
	id, err := sessionID(r)
	if err != nil {
		return p, err
	}
	data, err := h.readBody(w, r)
	if err != nil {
		return p, err
	}
	var body publication
	if err := decodeObject(data, body.members()); err != nil {
		return p, err
	}
	p, err = body.publication(id)
	p.Key = r.Header.Get("Idempotency-Key")
	return p, err
}

// publication returns what the body says. A member that does not belong to the
// type would be lost without a word, so it is refused.
func (p *publication) publication(id runnel.SessionID) (runnel.Publication, error) {
	pub := runnel.Publication{
		Session: id, Generation: runnel.GenerationID(deref(p.Generation)), Type: runnel.EventType(deref(p.Type)),
		Text: deref(p.Text), Progress: orAbsent(p.Progress), StopReason: runnel.StopReason(deref(p.StopReason)), Usage: p.Usage,
		Data: orAbsent(p.Data), Model: deref(p.Model), Prompt: deref(p.Prompt),
	}
	allowed, known := publishable[pub.Type]
	switch {
	case p.Type == nil:
		return pub, runnel.Errorf(runnel.Invalid, `the member "type" is missing`)
	case !known:
		var types []string
		for t := range publishable {
			types = append(types, string(t))
		}
		slices.Sort(types)
		return pub, runnel.Errorf(runnel.Invalid, "the type is %.80q; it must be one of %s", *p.Type, strings.Join(types, ", "))
	}
	for name, there := range map[string]bool{
		"text": p.Text != nil, "progress": pub.Progress != nil, "stop_reason": p.StopReason != nil,
		"usage": p.Usage != nil, "kind": p.Kind != nil, "message": p.Message != nil,
	} {
		required := name == "text" || name == "progress"
		switch belongs := slices.Contains(allowed, name); {
		case there && !belongs:
			return pub, runnel.Errorf(runnel.Invalid, "the member %q does not belong to the type %q", name, pub.Type)
		case belongs && required && !there:
			return pub, runnel.Errorf(runnel.Invalid, "the member %q is missing", name)
		}
	}
	if pub.Type == runnel.EventFailed {
		pub.Failure = &runnel.Failure{Kind: deref(p.Kind), Message: deref(p.Message)}
		if k := pub.Failure.Kind; k != "" && runnel.ParseKind(k).String() != k {
			return pub, runnel.Errorf(runnel.Invalid, "the kind is %.80q; docs/events.md has the known ones", k)
		}
	}
	return pub, nil
}

// orAbsent returns nil for null.
func orAbsent(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
