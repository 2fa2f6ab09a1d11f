package modelserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel/internal/wire"
)

// The protocols of the Bedrock runtime: Converse, which is the same for every
// model, and InvokeModel, whose bodies are the model's own.
var (
	converseStream = dialect{parse: parseConverseStream, refuse: refuseBedrock}
	converse       = dialect{parse: parseConverse, refuse: refuseBedrock}
	invokeStream   = dialect{parse: parseInvokeStream, refuse: refuseBedrock}
	invoke         = dialect{parse: parseInvoke, refuse: refuseBedrock}
)

// converseRequest is Converse's, and as much of Nova's as is needed.
type converseRequest struct {
	System   content   `json:"system"`
	Messages []message `json:"messages"`
	Config   struct {
		MaxTokens    int `json:"maxTokens"`
		MaxNewTokens int `json:"max_new_tokens"` // Nova's other name for it
	} `json:"inferenceConfig"`
}

func (r *converseRequest) question() (question, error) {
	q, err := ask(append([]message{{Role: "system", Content: r.System}}, r.Messages...))
	q.maxTokens = max(r.Config.MaxTokens, r.Config.MaxNewTokens)
	q.begins(r.Messages)
	return q, err
}

func parseConverse(r *http.Request, body []byte) (question, encoder, error) {
	var req converseRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return question{}, nil, fmt.Errorf("the body is not a Converse request: %w", err)
	}
	q, err := req.question()
	if err == nil {
		err = q.converseMay(r.PathValue("id"))
	}
	return q, &converseEncoder{framer: new(events)}, err
}

func parseConverseStream(r *http.Request, body []byte) (question, encoder, error) {
	q, enc, err := parseConverse(r, body)
	q.stream = true
	return q, enc, err
}

func parseInvokeStream(r *http.Request, body []byte) (question, encoder, error) {
	q, enc, err := parseInvoke(r, body)
	q.stream = true
	return q, enc, err
}

// parseInvoke tells the families apart by their bodies, so that any model id
// will do.
func parseInvoke(r *http.Request, body []byte) (question, encoder, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return question{}, nil, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	has := func(name string) bool { _, ok := members[name]; return ok }
	switch {
	case has("anthropic_version"):
		q, enc, err := parseAnthropic(r, body)
		if err != nil {
			return q, nil, err
		}
		if err := q.claudeMay(r.PathValue("id")); err != nil {
			return q, nil, err
		}
		c := enc.(*claude)
		c.framer, c.metrics, c.model = new(chunks), true, r.PathValue("id")
		return q, c, nil
	case has("schemaVersion"):
		q, enc, err := parseConverse(r, body)
		if err != nil {
			return q, nil, err
		}
		c := enc.(*converseEncoder)
		c.framer, c.nested = new(chunks), true
		return q, c, nil
	}
	for _, f := range textFamilies {
		if has(f.key) && (f.with == "" || has(f.with)) {
			return f.parse(members)
		}
	}
	return question{}, nil, fmt.Errorf("the body is of no known model family")
}

func refuseBedrock(w http.ResponseWriter, status int, name, message string) {
	if name == "" {
		name = map[int]string{
			400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
			408: "ModelTimeoutException", 424: "ModelErrorException", 429: "ThrottlingException",
			503: "ServiceUnavailableException",
		}[status]
	}
	if name == "" {
		name = "InternalServerException"
	}
	w.Header().Set("X-Amzn-Errortype", name+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]string{"message": message})
}

// converseEncoder writes the events of ConverseStream, and those of Nova,
// which are the same with the event's name around them.
type converseEncoder struct {
	framer
	nested  bool
	scratch []byte
}

func (c *converseEncoder) event(dst []byte, name string, json []byte) []byte {
	if c.nested {
		json = fmt.Appendf(nil, `{%q:%s}`, name, json)
	}
	return c.frame(dst, name, json)
}

func (c *converseEncoder) start(dst []byte) []byte {
	return c.event(dst, "messageStart", []byte(`{"role":"assistant"}`))
}

func (c *converseEncoder) token(dst, text []byte) []byte {
	b := append(c.scratch[:0], `{"contentBlockIndex":0,"delta":{"text":`...)
	b = wire.AppendString(b, string(text))
	b = append(b, "}}"...)
	c.scratch = b
	return c.event(dst, "contentBlockDelta", b)
}

func (c *converseEncoder) end(dst []byte, e end) []byte {
	dst = c.event(dst, "contentBlockStop", []byte(`{"contentBlockIndex":0}`))
	dst = c.event(dst, "messageStop", fmt.Appendf(nil, `{"stopReason":%q}`, claudeReason(e)))
	return c.event(dst, "metadata", fmt.Appendf(nil, `{"usage":%s,"metrics":{"latencyMs":1}}`, converseUsage(e)))
}

func (c *converseEncoder) whole(dst []byte, text string, e end) []byte {
	dst = append(dst, `{"output":{"message":{"role":"assistant","content":[{"text":`...)
	dst = wire.AppendString(dst, text)
	return fmt.Appendf(dst, `}]}},"stopReason":%q,"usage":%s,"metrics":{"latencyMs":1}}`, claudeReason(e), converseUsage(e))
}

func converseUsage(e end) string {
	return fmt.Sprintf(`{"inputTokens":%d,"outputTokens":%d,"totalTokens":%d}`, e.input, e.output, e.input+e.output)
}

// templates are what stands around the last question in the prompts of models
// that take one text.
var templates = [...]struct{ before, after, answer string }{
	{"Human:", "Assistant:", ""},
	{"user<|end_header_id|>", "<|eot_id|>", "assistant<|end_header_id|>"},
	{"[INST]", "[/INST]", ""},
	{"User:", "Bot:", ""},
	{"User:", "Chatbot:", ""},
}

// lastQuestion returns the last question in a prompt, or all of a prompt that
// is in no known template, and the beginning of the answer if it is there.
func lastQuestion(prompt string) (question, beginning string) {
	for _, t := range templates {
		head, rest, ok := cutLast(prompt, t.after)
		if !ok {
			continue
		}
		if _, q, ok := cutLast(head, t.before); ok {
			if t.answer != "" {
				_, rest, _ = cutLast(rest, t.answer)
			}
			return strings.TrimSpace(q), strings.TrimSpace(rest)
		}
	}
	return prompt, ""
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
