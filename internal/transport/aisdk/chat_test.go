package aisdk_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/aisdk"
)

var update = flag.Bool("update", false, "rewrite golden files")

var changing = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)

// golden compares what the door said with a file, but for ids.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = changing.ReplaceAllString(got, "0")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

const hello = `{"id":"c","trigger":"submit-message","messages":[{"id":"m1","role":"user","parts":[{"type":"text","text":"hello"}]}]}`

func TestChat(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	r.says(all()...)
	resp := r.post(t, "/api/chat", hello)
	if got := resp.Header.Get("X-Vercel-Ai-Ui-Message-Stream"); got != "v1" {
		t.Errorf("the protocol is %q", got)
	}
	golden(t, "chat.sse", read(t, resp))
	golden(t, "messages.json", read(t, r.send(t, http.MethodGet, "/api/chat/c", "")))
}

// TestPrompt: what a page has is what the model is asked.
func TestPrompt(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	r.says(ends(runnel.EndTurn))
	r.post(t, "/api/chat", `{"id":"c","model":"test","system":"be brief","messages":[
		{"role":"system","parts":[{"type":"text","text":"be kind"}]},
		{"role":"user","parts":[{"type":"text","text":"what is this?"},{"type":"file","mediaType":"image/png","url":"data:image/png;base64,AAEC"},{"type":"data-mine","data":1}]},
		{"role":"assistant","parts":[{"type":"step-start"},{"type":"reasoning","text":"hm"},{"type":"text","text":"let me see"},
			{"type":"tool-look","toolCallId":"c1","state":"output-available","input":{"a":1},"output":{"b":2}},
			{"type":"dynamic-tool","toolName":"ask","toolCallId":"c2","state":"output-error","input":{},"errorText":"no"},
			{"type":"tool-look","toolCallId":"c3","state":"input-streaming"},
			{"type":"tool-look","toolCallId":"c4","state":"output-available","output":"text"},
			{"type":"step-start"},{"type":"text","text":"a cat"}]},
		{"role":"user","parts":[{"type":"text","text":"and?"}]}]}`)
	got := <-r.asked
	want := []runnel.Message{
		{Role: runnel.User, Parts: []runnel.Part{{Text: "what is this?"}, {Image: &runnel.Image{MediaType: "image/png", Data: []byte{0, 1, 2}}}}},
		{Role: runnel.Assistant, Parts: []runnel.Part{{Text: "let me see"}, {ToolCall: &runnel.ToolCall{ID: "c1", Name: "look", Input: json.RawMessage(`{"a":1}`)}}}},
		{Role: runnel.User, Parts: []runnel.Part{{ToolResult: &runnel.ToolResult{ID: "c1", Content: `{"b":2}`}}}},
		{Role: runnel.Assistant, Parts: []runnel.Part{{ToolCall: &runnel.ToolCall{ID: "c2", Name: "ask", Input: json.RawMessage(`{}`)}}}},
		{Role: runnel.User, Parts: []runnel.Part{{ToolResult: &runnel.ToolResult{ID: "c2", Content: "no", Failed: true}}}},
		{Role: runnel.Assistant, Parts: []runnel.Part{{ToolCall: &runnel.ToolCall{ID: "c4", Name: "look", Input: json.RawMessage(`{}`)}}}},
		{Role: runnel.User, Parts: []runnel.Part{{ToolResult: &runnel.ToolResult{ID: "c4", Content: "text"}}}},
		{Role: runnel.Assistant, Parts: []runnel.Part{{Text: "a cat"}}},
		{Role: runnel.User, Parts: []runnel.Part{{Text: "and?"}}},
	}
	if diff := cmp.Diff(want, got.Messages); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.System != "be brief\n\nbe kind" || got.Model != "test" || got.Session != "c" || got.History {
		t.Errorf("got %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	with := func(part string) string {
		return `{"id":"c","messages":[{"role":"user","parts":[` + part + `]}]}`
	}
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{"hello", 400, "as the AI SDK sends it"},
		{`{"id":"c"}`, 400, "no messages"},
		{`{"id":"c","messages":[{"role":"judge"}]}`, 400, "unknown role"},
		{with(`{"type":"file","mediaType":"application/pdf","url":"https://a"}`), 400, "images are"},
		{with(`{"type":"file","mediaType":"image/png","url":"file:///etc/passwd"}`), 400, "https: or data:"},
		{with(`{"type":"tool-x","state":"output-available"}`), 400, "no id"},
		{with(`{"type":"text","text":" "}`), 400, "the prompt is empty"},
		{strings.Replace(hello, `"id":"c"`, `"id":"\n"`, 1), 400, "control character"},
		{strings.Replace(hello, `"id":"c"`, `"id":"c","model":"gpt"`, 1), 400, "unknown model"},
		{strings.Repeat(" ", 80<<10), 413, "more than"},
	} {
		resp := r.post(t, "/api/chat", tt.body)
		if body := read(t, resp); resp.StatusCode != tt.status || !strings.Contains(body, tt.want) || resp.Header.Get("X-Vercel-Ai-Ui-Message-Stream") != "" {
			t.Errorf("%.120s: %d %s, want %d %q", tt.body, resp.StatusCode, body, tt.status, tt.want)
		}
	}
	select {
	case p := <-r.asked:
		t.Errorf("a model was asked %+v", p)
	default:
	}
}

func TestModelFails(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "the vendor says no")}
	resp := r.post(t, "/api/chat", hello)
	if body := read(t, resp); resp.StatusCode != http.StatusTooManyRequests || body != "the vendor says no" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("before the first token: %d %q", resp.StatusCode, body)
	}
	r.says(text("half"))
	resp = r.post(t, "/api/chat", hello)
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "the vendor says no")}
	golden(t, "failed.sse", read(t, resp))
}

// TestResume: another page gets the answer in flight from its start, and a stop
// ends it on both.
func TestResume(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	if resp := r.send(t, http.MethodGet, "/api/chat/c/stream", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("an idle chat: %s", resp.Status)
	}
	r.says(text("half"))
	first := r.post(t, "/api/chat", hello) // which has begun
	second := r.send(t, http.MethodGet, "/api/chat/c/stream", "")
	var list struct {
		Messages []struct{ Parts []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(read(t, r.send(t, http.MethodGet, "/api/chat/c", ""))), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Messages) != 1 || list.Messages[0].Parts[0].Text != "hello" {
		t.Errorf("the chat has %+v", list)
	}
	if resp := r.post(t, "/api/chat/c/stop", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("stop: %s", resp.Status)
	}
	shown := read(t, first)
	golden(t, "stopped.sse", shown)
	if got := read(t, second); got != shown {
		t.Errorf("resumed:\n%s\nwant\n%s", got, shown)
	}
	if resp := r.send(t, http.MethodGet, "/api/chat/c/stream", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("after it: %s", resp.Status)
	}
}

// TestRegenerated: of the answers to one question the last counts.
func TestRegenerated(t *testing.T) {
	t.Parallel()
	r := start(t, aisdk.Config{})
	for _, answer := range []string{"One.", "Two."} {
		r.says(text(answer), ends(runnel.EndTurn))
		read(t, r.post(t, "/api/chat", hello))
	}
	if body := read(t, r.send(t, http.MethodGet, "/api/chat/c", "")); strings.Contains(body, "One.") || !strings.Contains(body, "Two.") {
		t.Errorf("the chat has %s", body)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(hello))
	f.Add([]byte(`{"messages":[{"role":"assistant","parts":[{"type":"tool-x","toolCallId":"c","state":"output-available","input":{},"output":[]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := aisdk.ReadPrompt(data)
		if err != nil {
			if kind := runnel.KindOf(err); kind != runnel.Invalid {
				t.Errorf("%q: %v, which is %v", data, err, kind)
			}
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}
