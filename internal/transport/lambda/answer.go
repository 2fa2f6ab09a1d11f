package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// A reply is a whole answer of a function URL.
type reply struct {
	head function.Head
	body []byte
}

// parseReply reads a buffered result: an object with statusCode, or anything
// else, which is the body itself.
func parseReply(result []byte) (reply, error) {
	var object struct {
		StatusCode      json.RawMessage            `json:"statusCode"`
		Headers         map[string]json.RawMessage `json:"headers"`
		Cookies         []string                   `json:"cookies"`
		Body            json.RawMessage            `json:"body"`
		IsBase64Encoded bool                       `json:"isBase64Encoded"`
	}
	trimmed := bytes.TrimSpace(result)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return bareReply(trimmed)
	}
	if err := json.Unmarshal(trimmed, &object); err != nil {
		return reply{}, badReply(err)
	}
	if object.StatusCode == nil {
		return bareReply(trimmed)
	}
	rep := reply{head: function.Head{Headers: make(map[string]string, len(object.Headers)), Cookies: object.Cookies}}
	if err := json.Unmarshal(object.StatusCode, &rep.head.Status); err != nil {
		return reply{}, badReply(err)
	}
	for name, value := range object.Headers {
		rep.head.Headers[name] = plain(value)
	}
	if len(object.Body) > 0 && string(object.Body) != "null" {
		rep.body = []byte(plain(object.Body))
	}
	if object.IsBase64Encoded {
		body, err := base64.StdEncoding.DecodeString(string(rep.body))
		if err != nil {
			return reply{}, badReply(err)
		}
		rep.body = body
	}
	if len(rep.head.Headers) == 0 {
		rep.head.Headers["Content-Type"] = "application/json"
	}
	return rep, nil
}

// bareReply makes a reply of a result that is none.
func bareReply(result []byte) (reply, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, result); err != nil {
		return reply{}, badReply(err)
	}
	return reply{
		head: function.Head{Status: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json"}},
		body: []byte(plain(compact.Bytes())),
	}, nil
}

func badReply(err error) error {
	return runnel.Errorf(runnel.Unavailable, "the function's answer is none").Because(err)
}

// plain returns a JSON value as text: strings without their quotes.
func plain(value json.RawMessage) string {
	var text string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// hopByHop reports whether a header is between a server and its next neighbour.
// The length is ours to find.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}

// writeHead writes what a function says of its answer, in front of the body.
func writeHead(w http.ResponseWriter, r *http.Request, head function.Head, rules cross) error {
	if head.Status == 0 {
		head.Status = http.StatusOK
	}
	if head.Status < 200 || head.Status > 599 {
		return badReply(nil)
	}
	h := w.Header()
	set := func(name string, values ...string) { // in place of what we say ourselves
		if name = http.CanonicalHeaderKey(name); !hopByHop(name) && !rules.drops(name) {
			h[name] = values
		}
	}
	for name, value := range head.Headers {
		set(name, value)
	}
	for name, values := range head.Multi {
		set(name, values...)
	}
	for _, cookie := range head.Cookies {
		h.Add("Set-Cookie", cookie)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/octet-stream")
	}
	rules.allow(h, r)
	w.WriteHeader(head.Status)
	return nil
}
