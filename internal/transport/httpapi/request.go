package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// A submission is the body of a prompt request.
type submission struct {
	Prompt      *string
	Model       *string
	System      *string
	MaxTokens   *int
	Temperature *float64
	Metadata    map[string]string
}

// members are the names that a body may have, with where each value goes and
// what it has to be.
func (s *submission) members() []member {
	return []member{
		{"prompt", &s.Prompt, "a string"},
		{"model", &s.Model, "a string"},
		{"system", &s.System, "a string"},
		{"max_tokens", &s.MaxTokens, "a whole number"},
		{"temperature", &s.Temperature, "a number"},
		{"metadata", &s.Metadata, "an object of strings"},
	}
}

type member struct {
	name   string
	target any
	want   string
}

// readBody reads a request's JSON body.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	return reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
}

func tooLarge(format string, args ...any) error {
	return reply.StatusError{Status: http.StatusRequestEntityTooLarge, Err: runnel.Errorf(runnel.Invalid, format, args...)}
}

// checkContentType accepts JSON in UTF-8, and a request that does not say.
func checkContentType(value string) error {
	if value == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(value)
	charset := params["charset"]
	if err != nil || media != "application/json" || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return reply.StatusError{Status: http.StatusUnsupportedMediaType,
			Err: runnel.Errorf(runnel.Invalid, "the content type is %.80q; it must be application/json", value)}
	}
	return nil
}

// decodeSubmission reads the body of a prompt request.
func decodeSubmission(data []byte) (submission, error) {
	var s submission
	return s, decodeObject(data, s.members())
}

// decodeObject reads a request's body strictly: a misspelt member that is quietly
// ignored is an hour of somebody's life. Only null counts as absent.
func decodeObject(data []byte, members []member) error {
	if !utf8.Valid(data) {
		return runnel.Errorf(runnel.Invalid, "the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return runnel.Errorf(runnel.Invalid, "the body is not a JSON object").Because(err)
	}
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return badJSON(err)
		}
		name := t.(string) // within an object the decoder gives nothing else
		if seen[name] {
			return runnel.Errorf(runnel.Invalid, "the member %.80q is there twice", name)
		}
		seen[name] = true
		if err := decodeMember(dec, members, name); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return badJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return runnel.Errorf(runnel.Invalid, "something follows the JSON object in the body")
	}
	return nil
}

func decodeMember(dec *json.Decoder, members []member, name string) error {
	for _, m := range members {
		if m.name != name {
			continue
		}
		err := dec.Decode(m.target)
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return runnel.Errorf(runnel.Invalid, "the member %q must be %s", name, m.want)
		}
		if err != nil {
			return badJSON(err)
		}
		return nil
	}
	known := make([]string, len(members))
	for i, m := range members {
		known[i] = m.name
	}
	hint := "known are " + strings.Join(known, ", ")
	if near := nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return runnel.Errorf(runnel.Invalid, "unknown member %.80q; %s", name, hint)
}

func badJSON(err error) error {
	return runnel.Errorf(runnel.Invalid, "the body is not valid JSON").Because(err)
}

// prompt returns the prompt that the body asks for.
func (s *submission) prompt(id runnel.SessionID, maxPrompt int) (runnel.Prompt, error) {
	p := runnel.Prompt{Session: id, History: true, Temperature: s.Temperature, Metadata: s.Metadata}
	switch {
	case s.Prompt == nil:
		return p, runnel.Errorf(runnel.Invalid, `the member "prompt" is missing`)
	case strings.TrimSpace(*s.Prompt) == "":
		return p, runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case len(*s.Prompt) > maxPrompt:
		return p, tooLarge("the prompt has %d bytes; the limit is %d", len(*s.Prompt), maxPrompt)
	case s.MaxTokens != nil && *s.MaxTokens < 1:
		return p, runnel.Errorf(runnel.Invalid, `the member "max_tokens" must be at least 1`)
	}
	p.Messages = []runnel.Message{runnel.TextMessage(runnel.User, *s.Prompt)}
	p.Model, p.System, p.MaxTokens = deref(s.Model), deref(s.System), deref(s.MaxTokens)
	return p, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
