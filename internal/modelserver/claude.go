package modelserver

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/runnelhq/runnel/internal/wire"
)

// anthropic is the protocol of Anthropic's messages.
var anthropic = dialect{parse: parseAnthropic, refuse: refuseAnthropic}

// claudeRequest is what Anthropic's API and Bedrock's Claude models take.
type claudeRequest struct {
	Model     string    `json:"model"`
	Messages  []message `json:"messages"`
	System    content   `json:"system"`
	MaxTokens int       `json:"max_tokens"`
	Stream    bool      `json:"stream"`
}

func (r *claudeRequest) question() (question, error) {
	q, err := ask(append([]message{{Role: "system", Content: r.System}}, r.Messages...))
	q.stream, q.maxTokens = r.Stream, r.MaxTokens
	q.begins(r.Messages)
	if err == nil && r.MaxTokens <= 0 {
		err = fmt.Errorf("max_tokens: field required")
	}
	return q, err
}

func parseAnthropic(_ *http.Request, body []byte) (question, encoder, error) {
	var req claudeRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return question{}, nil, fmt.Errorf("the body is not a messages request: %w", err)
	}
	q, err := req.question()
	if err == nil {
		err = q.claudeMay(req.Model)
	}
	return q, &claude{framer: sse{}, model: req.Model, question: q}, err
}

func refuseAnthropic(w http.ResponseWriter, status int, name, message string) {
	if name == "" {
		name = map[int]string{
			400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
			404: "not_found_error", 429: "rate_limit_error", 503: "overloaded_error", 529: "overloaded_error",
		}[status]
	}
	if name == "" {
		name = "api_error"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]any{"type": "error", "error": map[string]any{"type": name, "message": message}})
}

// claude writes the events of Claude's messages.
type claude struct {
	framer
	model    string
	question question
	metrics  bool // at the end, as Bedrock has it
	scratch  []byte
}

func (c *claude) start(dst []byte) []byte {
	b := append(c.scratch[:0], `{"type":"message_start","message":{"id":"`...)
	b = fmt.Appendf(b, "msg_%016x", hash(c.question.text))
	b = append(b, `","type":"message","role":"assistant","model":`...)
	b = wire.AppendString(b, c.model)
	b = fmt.Appendf(b, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":1}}}`, c.question.words)
	dst = c.frame(dst, "message_start", b)
	c.scratch = b
	dst = c.frame(dst, "content_block_start", []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`))
	return c.frame(dst, "ping", []byte(`{"type":"ping"}`))
}

func (c *claude) token(dst, text []byte) []byte {
	b := append(c.scratch[:0], `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`...)
	b = wire.AppendString(b, string(text))
	b = append(b, "}}"...)
	c.scratch = b
	return c.frame(dst, "content_block_delta", b)
}

func (c *claude) end(dst []byte, e end) []byte {
	dst = c.frame(dst, "content_block_stop", []byte(`{"type":"content_block_stop","index":0}`))
	dst = c.frame(dst, "message_delta", fmt.Appendf(nil,
		`{"type":"message_delta","delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":%d}}`, claudeReason(e), e.output))
	stop := []byte(`{"type":"message_stop"}`)
	if c.metrics {
		stop = appendMetrics(stop, e)
	}
	return c.frame(dst, "message_stop", stop)
}

func (c *claude) whole(dst []byte, text string, e end) []byte {
	dst = fmt.Appendf(dst, `{"id":"msg_%016x","type":"message","role":"assistant","model":`, hash(c.question.text))
	dst = wire.AppendString(dst, c.model)
	dst = append(dst, `,"content":[{"type":"text","text":`...)
	dst = wire.AppendString(dst, text)
	return fmt.Appendf(dst, `}],"stop_reason":%q,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
		claudeReason(e), e.input, e.output)
}

// claudeReason names a stop reason as Claude, Converse and Nova do.
func claudeReason(e end) string {
	if e.limited {
		return "max_tokens"
	}
	return "end_turn"
}

// appendMetrics adds Bedrock's measurements to the last chunk of a model.
func appendMetrics(json []byte, e end) []byte {
	return fmt.Appendf(json[:len(json)-1],
		`,"amazon-bedrock-invocationMetrics":{"inputTokenCount":%d,"outputTokenCount":%d,"invocationLatency":1,"firstByteLatency":1}}`,
		e.input, e.output)
}
