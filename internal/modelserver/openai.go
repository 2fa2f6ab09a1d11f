package modelserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel/internal/wire"
)

// openAI is the protocol of OpenAI's chat completions.
var openAI = dialect{parse: parseOpenAI, refuse: refuseOpenAI}

func parseOpenAI(_ *http.Request, body []byte) (question, encoder, error) {
	var req struct {
		Model               string    `json:"model"`
		Messages            []message `json:"messages"`
		Stream              bool      `json:"stream"`
		MaxTokens           int       `json:"max_tokens"`
		MaxCompletionTokens int       `json:"max_completion_tokens"`
		StreamOptions       struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		ContinueFinalMessage bool  `json:"continue_final_message"` // vLLM's
		AddGenerationPrompt  *bool `json:"add_generation_prompt"`  // absent means true
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return question{}, nil, fmt.Errorf("the body is not a chat completion request: %w", err)
	}
	q, err := ask(req.Messages)
	q.stream, q.maxTokens = req.Stream, max(req.MaxTokens, req.MaxCompletionTokens)
	switch last := len(req.Messages) - 1; {
	case req.ContinueFinalMessage && (req.AddGenerationPrompt == nil || *req.AddGenerationPrompt):
		err = errors.New("cannot set both `continue_final_message` and `add_generation_prompt` to True")
	case req.ContinueFinalMessage, last >= 0 && req.Messages[last].Prefix:
		q.begins(req.Messages)
	}
	return q, newOpenAIEncoder(req.Model, hash(q.text), req.StreamOptions.IncludeUsage), err
}

func refuseOpenAI(w http.ResponseWriter, status int, name, message string) {
	if name == "" {
		name = map[int]string{400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}[status]
	}
	if name == "" {
		name = "server_error"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]any{"error": map[string]any{"message": message, "type": name, "param": nil, "code": name}})
}

func serveModels(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, map[string]any{"object": "list", "data": []any{
		map[string]any{"id": "model", "object": "model", "created": 1700000000, "owned_by": "runnel"},
	}})
}

// openAIEncoder writes server-sent events. All chunks of an answer begin alike.
type openAIEncoder struct {
	head  []byte // of every chunk, up to its choices
	tail  string // of every chunk, after its choices
	model string
	id    string
	usage bool
}

func newOpenAIEncoder(model string, seed uint64, usage bool) *openAIEncoder {
	e := &openAIEncoder{model: model, id: fmt.Sprintf("chatcmpl-%016x", seed), tail: "}\n\n", usage: usage}
	if usage {
		e.tail = ",\"usage\":null}\n\n"
	}
	e.head = append(e.head, `data: {"id":"`+e.id+`","object":"chat.completion.chunk","created":`...)
	e.head = strconv.AppendInt(e.head, time.Now().Unix(), 10)
	e.head = append(e.head, `,"model":`...)
	e.head = wire.AppendString(e.head, model)
	e.head = append(e.head, `,"choices":[`...)
	return e
}

func (e *openAIEncoder) contentType() string { return "text/event-stream" }

func (e *openAIEncoder) start(dst []byte) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`...)
	return append(dst, e.tail...)
}

func (e *openAIEncoder) token(dst, text []byte) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":0,"delta":{"content":`...)
	dst = wire.AppendString(dst, string(text))
	dst = append(dst, `},"finish_reason":null}]`...)
	return append(dst, e.tail...)
}

func (e *openAIEncoder) end(dst []byte, end end) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":0,"delta":{},"finish_reason":"`+openAIReason(end)+`"}]`...)
	dst = append(dst, e.tail...)
	if e.usage {
		dst = append(dst, e.head...)
		dst = append(dst, `],"usage":`...)
		dst = appendOpenAIUsage(dst, end)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

func (e *openAIEncoder) fail(dst []byte, name string) []byte {
	if name == "" {
		name = "server_error"
	}
	dst = append(dst, `data: {"error":{"message":"a fault that was asked for","type":`...)
	dst = wire.AppendString(dst, name)
	return append(dst, "}}\n\n"...)
}

func (e *openAIEncoder) garbage(dst []byte) []byte { return append(dst, "data: {not JSON\n\n"...) }

func (e *openAIEncoder) whole(dst []byte, text string, end end) []byte {
	dst = append(dst, `{"id":"`+e.id+`","object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, time.Now().Unix(), 10)
	dst = append(dst, `,"model":`...)
	dst = wire.AppendString(dst, e.model)
	dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	dst = wire.AppendString(dst, text)
	dst = append(dst, `},"finish_reason":"`+openAIReason(end)+`"}],"usage":`...)
	dst = appendOpenAIUsage(dst, end)
	return append(dst, '}')
}

func openAIReason(e end) string {
	if e.limited {
		return "length"
	}
	return "stop"
}

func appendOpenAIUsage(dst []byte, e end) []byte {
	return fmt.Appendf(dst, `{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, e.input, e.output, e.input+e.output)
}

// A message is one of a conversation, in the form that OpenAI, Anthropic,
// Bedrock and Ollama have in common.
type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
	Prefix  bool    `json:"prefix"` // DeepSeek's: the answer goes on from here
}

// content is a string, or a list of parts some of which have a text.
type content string

// UnmarshalJSON implements [json.Unmarshaler].
func (c *content) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '[' {
		return json.Unmarshal(data, (*string)(c))
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	*c = content(b.String())
	return nil
}

// ask returns the question that a conversation ends with.
func ask(messages []message) (question, error) {
	var q question
	asked := false
	for _, m := range messages {
		q.words += len(strings.Fields(string(m.Content)))
		if m.Role == "user" {
			q.text, asked = string(m.Content), true
		}
	}
	if !asked {
		return q, fmt.Errorf("there is no user message")
	}
	return q, nil
}
