package modelserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/runnelhq/runnel/internal/wire"
)

// ollama is the protocol of Ollama's chat: a JSON object on each line.
var ollama = dialect{parse: parseOllama, refuse: refuseOllama}

func parseOllama(_ *http.Request, body []byte) (question, encoder, error) {
	var req struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
		Stream   *bool     `json:"stream"` // absent means true
		Options  struct {
			NumPredict int `json:"num_predict"`
		} `json:"options"`
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return question{}, nil, fmt.Errorf("the body is not a chat request: %w", err)
	}
	q, err := ask(req.Messages)
	q.begins(req.Messages) // its templates leave the last message open
	q.stream, q.maxTokens = req.Stream == nil || *req.Stream, req.Options.NumPredict
	head := append([]byte(`{"model":`), wire.AppendString(nil, req.Model)...)
	head = append(head, `,"created_at":"`...)
	head = time.Now().UTC().AppendFormat(head, time.RFC3339Nano)
	head = append(head, `","message":{"role":"assistant","content":`...)
	return q, &ollamaEncoder{head: head}, err
}

func refuseOllama(w http.ResponseWriter, status int, _, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]string{"error": message})
}

// ollamaEncoder writes lines that all begin alike.
type ollamaEncoder struct{ head []byte }

func (e *ollamaEncoder) contentType() string { return "application/x-ndjson" }

func (e *ollamaEncoder) start(dst []byte) []byte { return dst }

func (e *ollamaEncoder) token(dst, text []byte) []byte {
	dst = append(dst, e.head...)
	dst = wire.AppendString(dst, string(text))
	return append(dst, "},\"done\":false}\n"...)
}

func (e *ollamaEncoder) end(dst []byte, end end) []byte { return e.whole(dst, "", end) }

func (e *ollamaEncoder) fail(dst []byte, name string) []byte {
	if name == "" {
		name = "a fault that was asked for"
	}
	dst = append(dst, `{"error":`...)
	dst = wire.AppendString(dst, name)
	return append(dst, "}\n"...)
}

func (e *ollamaEncoder) garbage(dst []byte) []byte { return append(dst, "{not JSON\n"...) }

func (e *ollamaEncoder) whole(dst []byte, text string, end end) []byte {
	dst = append(dst, e.head...)
	dst = wire.AppendString(dst, text)
	return fmt.Appendf(dst, `},"done":true,"done_reason":%q,"total_duration":1,"prompt_eval_count":%d,"eval_count":%d}`+"\n",
		openAIReason(end), end.input, end.output)
}
