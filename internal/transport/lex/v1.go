package lex

import (
	"encoding/json"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// A postText is the request of PostText, by which clients of the first version of
// Lex ask.
type postText struct {
	Text       string            `json:"inputText"`
	Session    map[string]string `json:"sessionAttributes"`
	Attributes map[string]string `json:"requestAttributes"`
}

// A posted is its answer.
type posted struct {
	Intent     string            `json:"intentName"`
	Slots      map[string]any    `json:"slots"`
	Attributes map[string]string `json:"sessionAttributes"`
	Message    string            `json:"message,omitempty"`
	Format     string            `json:"messageFormat,omitempty"`
	State      string            `json:"dialogState"`
}

func (h *Handler) postText(w http.ResponseWriter, c *call) error {
	var in postText
	if err := decode(c.body, &in); err != nil {
		return err
	}
	out, err := h.recognize(c, &textRequest{Text: in.Text, State: state{Attributes: in.Session}, Attributes: in.Attributes})
	if err != nil {
		return err
	}
	reply.JSON(w, http.StatusOK, newPosted(out))
	return nil
}

// newPosted says in the words of the first version what the second answers.
func newPosted(out *recognition) *posted {
	s := &out.State
	p := &posted{Intent: s.Intent.Name, Slots: s.Intent.Slots, Attributes: s.Attributes, State: s.DialogAction.Type}
	if p.State == "Close" {
		p.State = "Fulfilled"
		if s.Intent.State == "Failed" {
			p.State = "Failed"
		}
	}
	type part struct {
		Type  string `json:"type"`
		Group int    `json:"group"`
		Value string `json:"value"`
	}
	var parts []part
	for i, m := range out.Messages {
		if m.Content != "" { // cards are not in messages there
			parts = append(parts, part{m.ContentType, i, m.Content})
		}
	}
	switch len(parts) {
	case 0:
	case 1:
		p.Message, p.Format = parts[0].Value, parts[0].Type
	default:
		several, _ := json.Marshal(map[string]any{"messages": parts}) // strings and numbers always encode
		p.Message, p.Format = string(several), "Composite"
	}
	return p
}

// writeV1Error answers a request of the first version's with a failure.
func writeV1Error(w http.ResponseWriter, err error) {
	status, name := exceptionOf(err)
	switch name {
	case "ValidationException":
		name = "BadRequestException"
	case "ResourceNotFoundException":
		name = "NotFoundException"
	case "ThrottlingException":
		name = "LimitExceededException"
	case "InternalServerException":
		name = "InternalFailureException"
	}
	w.Header().Set("X-Amzn-Errortype", name)
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, status, map[string]string{"message": runnel.PublicMessage(err)})
}
