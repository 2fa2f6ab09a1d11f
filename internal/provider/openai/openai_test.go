package openai_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/openai"
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
			return open(t, openai.Config{Model: providertest.Model, BaseURL: url + "/v1/", APIKey: providertest.Secret})
		},
		ContentType: "text/event-stream; charset=utf-8",
		Frames:      frames,
		Failure: func(detail string) []byte {
			return data(`{"error":{"message":%s,"type":"server_error","code":503}}`, quote(detail))
		},
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"message":%s,"type":"invalid_request_error"}}`, quote(detail))
		},
		Garbage: []byte("data: {\"choices\":[{\"delta\":\n\n"),
		Huge:    func() []byte { return chunk(`{"content":%s}`, quote(strings.Repeat("x", 5<<20))) },
		Request: "testdata/request.txt",
	}
}

func open(t testing.TB, cfg openai.Config) *openai.Provider {
	t.Helper()
	p, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func frames(a providertest.Answer) (content, end [][]byte) {
	for _, s := range a.Reasoning {
		content = append(content, chunk(`{"reasoning_content":%s}`, quote(s)))
	}
	for _, s := range a.Text {
		content = append(content, chunk(`{"role":"assistant","content":%s}`, quote(s)))
	}
	for i, call := range a.Tools {
		content = append(content, chunk(`{"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":""}}]}`, i, quote(call.ID), quote(call.Name)))
		for _, s := range call.Input {
			content = append(content, chunk(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, quote(s)))
		}
	}
	reason := map[runnel.StopReason]string{
		runnel.EndTurn: "stop", runnel.MaxTokens: "length", runnel.ToolUse: "tool_calls", runnel.Filtered: "content_filter",
	}[a.Stop]
	return content, [][]byte{
		data(`{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":%s}],"usage":null}`, quote(reason)),
		data(`{"id":"c","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, a.Usage.InputTokens, a.Usage.OutputTokens),
		data(`[DONE]`),
	}
}

func chunk(delta string, args ...any) []byte {
	return data(`{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":%s,"finish_reason":null}],"usage":null}`, fmt.Sprintf(delta, args...))
}

func data(format string, args ...any) []byte {
	return fmt.Appendf(nil, "data: "+format+"\n\n", args...)
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
