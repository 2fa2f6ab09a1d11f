package ollama_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/ollama"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, vendor())
}

func BenchmarkDelta(b *testing.B) { providertest.Bench(b, vendor()) }

func vendor() providertest.Vendor {
	return providertest.Vendor{
		Open: func(t testing.TB, url string) runnel.Provider {
			t.Helper()
			return open(t, ollama.Config{Model: providertest.Model, BaseURL: url, APIKey: providertest.Secret})
		},
		ContentType: "application/x-ndjson",
		Frames:      frames,
		Failure:     func(detail string) []byte { return line(`{"error":%s}`, quote(detail)) },
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%s}`, quote(detail))
		},
		Huge:    func() []byte { return message(`{"role":"assistant","content":%s}`, quote(strings.Repeat("x", 5<<20))) },
		Request: "testdata/request.txt", Continue: "testdata/continue.txt",
	}
}

func open(t testing.TB, cfg ollama.Config) *ollama.Provider {
	t.Helper()
	p, err := ollama.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func frames(a providertest.Answer) (content, end [][]byte) {
	for _, s := range a.Reasoning {
		content = append(content, message(`{"role":"assistant","content":"","thinking":%s}`, quote(s)))
	}
	for _, s := range a.Text {
		content = append(content, message(`{"role":"assistant","content":%s}`, quote(s)))
	}
	for _, call := range a.Tools {
		input := strings.Join(call.Input, "")
		if input == "" {
			input = "{}"
		}
		content = append(content, message(`{"role":"assistant","content":"","tool_calls":[{"id":%s,"function":{"index":0,"name":%s,"arguments":%s}}]}`,
			quote(call.ID), quote(call.Name), input))
	}
	reason := "stop" // after tool calls too
	if a.Stop == runnel.MaxTokens {
		reason = "length"
	}
	return content, [][]byte{
		line(`{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":%s,"total_duration":1,"prompt_eval_count":%d,"eval_count":%d}`,
			quote(reason), a.Usage.InputTokens, a.Usage.OutputTokens),
	}
}

func message(format string, args ...any) []byte {
	return line(`{"model":"m","created_at":"2026-01-01T00:00:00Z","message":%s,"done":false}`, fmt.Sprintf(format, args...))
}

func line(format string, args ...any) []byte { return fmt.Appendf(nil, format+"\n", args...) }

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
