package anthropic_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/anthropic"
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
			return open(t, anthropic.Config{Model: providertest.Model, BaseURL: url, APIKey: providertest.Secret})
		},
		ContentType: "text/event-stream; charset=utf-8",
		Frames:      frames,
		Failure: func(detail string) []byte {
			return event("error", `"error":{"type":"overloaded_error","message":%s}`, quote(detail))
		},
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"error","error":{"type":"api_error","message":%s}}`, quote(detail))
		},
		Garbage: []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\n\n"),
		Huge: func() []byte {
			return event("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":%s}`, quote(strings.Repeat("x", 5<<20)))
		},
		Request: "testdata/request.txt", Continue: "testdata/continue.txt",
	}
}

func open(t testing.TB, cfg anthropic.Config) *anthropic.Provider {
	t.Helper()
	p, err := anthropic.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// frames puts all reasoning in one block, all text in the next, and each call
// in one of its own.
func frames(a providertest.Answer) (content, end [][]byte) {
	index := 0
	block := func(start string, deltas []string) {
		begin := event("content_block_start", `"index":%d,"content_block":%s`, index, start)
		if len(deltas) == 0 {
			content = append(content, begin)
		}
		for _, d := range deltas {
			content = append(content, append(begin, event("content_block_delta", `"index":%d,"delta":%s`, index, d)...))
			begin = nil
		}
		last := len(content) - 1
		content[last] = append(content[last], event("content_block_stop", `"index":%d`, index)...)
		index++
	}
	if len(a.Reasoning) > 0 {
		block(`{"type":"thinking","thinking":"","signature":""}`, each(`{"type":"thinking_delta","thinking":%s}`, a.Reasoning))
	}
	block(`{"type":"text","text":""}`, each(`{"type":"text_delta","text":%s}`, a.Text))
	for _, call := range a.Tools {
		start := fmt.Sprintf(`{"type":"tool_use","id":%s,"name":%s,"input":{}}`, quote(call.ID), quote(call.Name))
		block(start, append(each(`{"type":"input_json_delta","partial_json":%s}`, []string{""}), each(`{"type":"input_json_delta","partial_json":%s}`, call.Input)...))
	}
	first := event("message_start", `"message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"usage":{"input_tokens":%d,"output_tokens":1}}`, a.Usage.InputTokens)
	content[0] = bytes.Join([][]byte{first, event("ping", `"x":0`), content[0]}, nil)
	return content, [][]byte{
		event("message_delta", `"delta":{"stop_reason":%s,"stop_sequence":null},"usage":{"output_tokens":%d}`, quote(string(a.Stop)), a.Usage.OutputTokens),
		event("message_stop", `"x":0`),
	}
}

func each(format string, fragments []string) (out []string) {
	for _, s := range fragments {
		out = append(out, fmt.Sprintf(format, quote(s)))
	}
	return out
}

func event(typ, members string, args ...any) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: {\"type\":\"%s\",%s}\n\n", typ, typ, fmt.Sprintf(members, args...))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
