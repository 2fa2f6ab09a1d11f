package openai_test

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
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/transport/openai"
)

var update = flag.Bool("update", false, "rewrite golden files")

var changing = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}|("created(?:_at)?":)\d+`)

// golden compares what the door said with a file, but for ids and times.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = changing.ReplaceAllString(got, "${1}0")
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

const hello = `{"model":"test","messages":[{"role":"user","content":"hello"}]`

func TestChatStream(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(all()...)
	resp := r.post(t, "/v1/chat/completions", hello+`,"stream":true,"stream_options":{"include_usage":true}}`)
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Errorf("the content type is %q", got)
	}
	golden(t, "chat.sse", read(t, resp))
}

func TestChatWhole(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(all()...)
	golden(t, "chat.json", read(t, r.post(t, "/v1/chat/completions", hello+"}")))
	r.says(text("Hi"), ends(runnel.MaxTokens))
	body := read(t, r.post(t, "/v1/chat/completions", strings.Replace(hello, `"model":"test",`, "", 1)+"}"))
	for _, want := range []string{`"content":"Hi"`, `"finish_reason":"length"`, `"model":"vendor/test"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

// TestChatPrompt: what a client sends is what the model is asked.
func TestChatPrompt(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(ends(runnel.EndTurn))
	r.post(t, "/v1/chat/completions", `{"model":"test","max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"stop":"X","user":"ignored",
		"metadata":{"session":"mine"},"tool_choice":{"type":"function","function":{"name":"add"}},
		"tools":[{"type":"function","function":{"name":"add","description":"adds","parameters":{"type":"object"}}}],
		"messages":[
			{"role":"system","content":"be brief"},{"role":"developer","content":[{"type":"text","text":"be kind"}]},
			{"role":"user","content":[{"type":"text","text":"what is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAEC"}}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"add","arguments":""}}]},
			{"role":"tool","tool_call_id":"c1","content":"1"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"2"}]},
			{"role":"user","content":"and?"}]}`)
	got := <-r.asked
	half, most := 0.5, 0.9
	want := runnel.Prompt{
		Session: "mine", Model: "test", System: "be brief\n\nbe kind", MaxTokens: 7, Temperature: &half, TopP: &most, Stop: []string{"X"},
		Messages: []runnel.Message{
			{Role: runnel.User, Parts: []runnel.Part{{Text: "what is this?"}, {Image: &runnel.Image{MediaType: "image/png", Data: []byte{0, 1, 2}}}}},
			{Role: runnel.Assistant, Parts: []runnel.Part{
				{ToolCall: &runnel.ToolCall{ID: "c1", Name: "add", Input: json.RawMessage(`{"a":1}`)}},
				{ToolCall: &runnel.ToolCall{ID: "c2", Name: "add", Input: json.RawMessage(`{}`)}},
			}},
			{Role: runnel.User, Parts: []runnel.Part{
				{ToolResult: &runnel.ToolResult{ID: "c1", Content: "1"}}, {ToolResult: &runnel.ToolResult{ID: "c2", Content: "2"}}, {Text: "and?"},
			}},
		},
		Tools:      []runnel.Tool{{Name: "add", Description: "adds", Schema: json.RawMessage(`{"type":"object"}`)}},
		ToolChoice: runnel.ToolChoice{Mode: "tool", Name: "add"},
		Metadata:   map[string]string{"session": "mine"},
		Generation: got.Generation, AcceptedAt: got.AcceptedAt, Cursor: got.Cursor,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	with := func(more string) string { return hello + "," + more + "}" }
	for _, tt := range []struct {
		path, body string
		status     int
		code, want string
	}{
		{"chat/completions", "hello", 400, "", "not a JSON object"},
		{"chat/completions", `{"model":"test","messages":[]}`, 400, "", "no messages"},
		{"chat/completions", `{"model":"test","messages":"hi"}`, 400, "", `"messages" cannot be string`},
		{"chat/completions", `{"model":"gpt","messages":[{"role":"user","content":"x"}]}`, 404, "model_not_found", "known: test"},
		{"chat/completions", `{"messages":[{"role":"judge","content":"x"}]}`, 400, "", "unknown role"},
		{"chat/completions", `{"messages":[{"role":"tool","content":"x"}]}`, 400, "", "needs a tool_call_id"},
		{"chat/completions", `{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, 400, "unsupported_parameter", "not supported"},
		{"chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, 400, "", "https: or data:"},
		{"chat/completions", `{"messages":[{"role":"user","content":" "}]}`, 400, "", "the prompt is empty"},
		{"chat/completions", with(`"n":2`), 400, "unsupported_parameter", "one choice"},
		{"chat/completions", with(`"response_format":{"type":"json_object"}`), 400, "unsupported_parameter", "json_object"},
		{"chat/completions", with(`"tools":[{"type":"custom"}]`), 400, "unsupported_parameter", "functions are"},
		{"chat/completions", with(`"temperature":3`), 400, "", "temperature"},
		{"chat/completions", with(`"metadata":{"session":"\n"}`), 400, "", "control character"},
		{"chat/completions", strings.Repeat(" ", 80<<10), 413, "", "the body has more than"},
		{"responses", `{"model":"test"}`, 400, "", "no input"},
		{"responses", `{"model":"gpt","input":"x"}`, 404, "model_not_found", "does not exist"},
		{"responses", `{"input":[{"type":"computer_call"}]}`, 400, "unsupported_parameter", "computer_call"},
		{"responses", `{"input":"x","text":{"format":{"type":"json_schema"}}}`, 400, "unsupported_parameter", "json_schema"},
		{"responses", `{"input":"x","previous_response_id":"resp_nothing"}`, 404, "", "no such generation"},
		{"responses", `{"input":"x","previous_response_id":"../../x"}`, 400, "", "no response"},
	} {
		resp := r.post(t, "/v1/"+tt.path, tt.body)
		f, _ := decode(t, resp)["error"].(map[string]any)
		message, _ := f["message"].(string)
		code, _ := f["code"].(string)
		if resp.StatusCode != tt.status || code != tt.code || f["type"] != "invalid_request_error" || !strings.Contains(message, tt.want) {
			t.Errorf("%.120s: %d %v, want %d %q %q", tt.body, resp.StatusCode, f, tt.status, tt.code, tt.want)
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
	for kind, want := range map[runnel.Kind]int{runnel.Invalid: 400, runnel.Limited: 429, runnel.Denied: 502, runnel.Unavailable: 503} {
		for _, stream := range []string{"", `,"stream":true`} {
			r := start(t, openai.Config{})
			r.steps <- step{err: runnel.Errorf(kind, "the vendor says no")}
			resp := r.post(t, "/v1/chat/completions", hello+stream+"}")
			if body := read(t, resp); resp.StatusCode != want || !strings.Contains(body, "the vendor says no") {
				t.Errorf("%v%s: %d %s, want %d", kind, stream, resp.StatusCode, body, want)
			}
			if retry := resp.Header.Get("Retry-After"); (retry != "") != (want == 429 || want == 503) {
				t.Errorf("%v: Retry-After is %q", kind, retry)
			}
		}
	}
	r := start(t, openai.Config{})
	r.says(text("half"))
	resp := r.post(t, "/v1/chat/completions", hello+`,"stream":true}`) // which has begun
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "the vendor says no")}
	body := read(t, resp)
	if !strings.Contains(body, `"content":"half"`) || strings.Contains(body, "[DONE]") ||
		!strings.HasSuffix(body, `data: {"error":{"message":"the vendor says no","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`+"\n\n") {
		t.Errorf("after the first token:\n%s", body)
	}
}

// TestDisconnect: a client that leaves stops its generation if it could not
// come back to it.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy, session string
		stops           bool
	}{
		{"", "", true},
		{"", "mine", false},
		{reply.DisconnectCancel, "mine", true},
		{reply.DisconnectContinue, "", false},
	} {
		r := start(t, openai.Config{Disconnect: tt.policy})
		r.says(text("half"))
		resp := r.post(t, "/v1/chat/completions", hello+`,"stream":true}`, "Runnel-Session", tt.session)
		gen := generation(resp)
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if tt.stops {
			<-r.freed
		} else {
			r.says(text(" and half"), ends(runnel.EndTurn))
		}
		events := r.await(t, gen)
		if stopped := events == runnel.Stopped; stopped != tt.stops {
			t.Errorf("%q with session %q: the generation is %s", tt.policy, tt.session, events)
		}
	}
}

// await returns the state in which a generation ends.
func (r *rig) await(t *testing.T, gen runnel.GenerationID) runnel.State {
	t.Helper()
	g, err := r.sessions.Generation(t.Context(), gen)
	if err != nil {
		t.Fatal(err)
	}
	after := g.Cursor
	for {
		events, err := r.sessions.Read(t.Context(), g.Session, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			after = ev.Cursor
			if ev.Generation == gen && ev.Type.Terminal() {
				g, err := r.sessions.Generation(t.Context(), gen)
				if err != nil {
					t.Fatal(err)
				}
				return g.State
			}
		}
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	golden(t, "models.json", read(t, r.send(t, http.MethodGet, "/v1/models", "")))
	if resp := r.send(t, http.MethodGet, "/v1/models/test", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("a known model: %s", resp.Status)
	}
	if resp := r.send(t, http.MethodGet, "/v1/models/open/weights", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown model: %s", resp.Status)
	}
}
