package openai_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/openai"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

// TestQuirks replays what servers do that OpenAI does not.
func TestQuirks(t *testing.T) {
	t.Parallel()
	const hello = `data: {"choices":[{"delta":{"content":"hello"}}]}` + "\n\n"
	text := providertest.Answer{Text: []string{"hello"}}
	call := func(id, input string) providertest.ToolCall {
		return providertest.ToolCall{ID: id, Name: "f", Input: []string{input}}
	}
	tests := []struct {
		name, body string
		want       providertest.Answer
		end        runnel.End
	}{
		{
			"comments and the other name of reasoning",
			": OPENROUTER PROCESSING\n\n" + `data: {"model":"a/b","choices":[{"delta":{"role":"assistant","content":"","reasoning":"hm"}}]}` + "\n\n" + hello + "data: [DONE]\n\n",
			providertest.Answer{Reasoning: []string{"hm"}, Text: []string{"hello"}},
			runnel.End{StopReason: runnel.EndTurn, Model: "a/b"},
		},
		{
			"reasoning under both names",
			`data: {"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm","content":null}}]}` + "\n\n" + hello + "data: [DONE]\n\n",
			providertest.Answer{Reasoning: []string{"hm"}, Text: []string{"hello"}},
			runnel.End{StopReason: runnel.EndTurn},
		},
		{
			"no DONE", hello + `data: {"choices":[{"delta":{},"finish_reason":"length"}]}` + "\n\n",
			text, runnel.End{StopReason: runnel.MaxTokens},
		},
		{
			"cut in the DONE", hello + `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DO",
			text, runnel.End{StopReason: runnel.EndTurn},
		},
		{
			"carriage returns and empty frames", strings.ReplaceAll(hello+"data:\n\ndata: [DONE]\n\n", "\n", "\r\n"),
			text, runnel.End{StopReason: runnel.EndTurn},
		},
		{
			"usage in every chunk",
			`data: {"choices":[{"delta":{"content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}` + "\n\n" +
				`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}` + "\n\ndata: [DONE]\n\n",
			text, runnel.End{StopReason: runnel.EndTurn, Usage: &runnel.Usage{InputTokens: 3, OutputTokens: 2, CacheReadTokens: 1, ReasoningTokens: 2}},
		},
		{
			"a refusal",
			`data: {"choices":[{"delta":{"refusal":"no"}}]}` + "\n\n" + `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
			providertest.Answer{Text: []string{"no"}}, runnel.End{StopReason: runnel.Filtered},
		},
		{
			"an unknown stop reason", hello + `data: {"choices":[{"delta":{},"finish_reason":"eos"}]}` + "\n\n",
			text, runnel.End{StopReason: "eos"},
		},
		{
			"calls that share an index, and stop",
			`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}` + "\n\n" +
				`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
			providertest.Answer{Tools: []providertest.ToolCall{call("a", "{}"), call("b", `{"x":1}`)}},
			runnel.End{StopReason: runnel.ToolUse},
		},
		{
			"calls without index or id",
			`data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f"}}]}}]}` + "\n\ndata: [DONE]\n\n",
			providertest.Answer{Tools: []providertest.ToolCall{call("call_g_0", "{}"), call("call_g_1", "{}")}},
			runnel.End{StopReason: runnel.ToolUse},
		},
		{
			"an id in every fragment",
			`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}` + "\n\n" +
				`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}}]}` + "\n\ndata: [DONE]\n\n",
			providertest.Answer{Tools: []providertest.ToolCall{call("a", `{"x":1}`)}},
			runnel.End{StopReason: runnel.ToolUse},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, end, err := replay(t, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(&tt.end, end); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
		})
	}
}

func replay(t *testing.T, body string) (providertest.Answer, *runnel.End, error) {
	t.Helper()
	return providertest.Replay(t, func(url string) runnel.Provider {
		return open(t, openai.Config{Model: "m", BaseURL: url})
	}, "text/event-stream", body)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]runnel.Kind{
		`{"error":{"code":429,"message":"slow down"},"choices":[]}`:             runnel.Limited,
		`{"error":{"code":"502","message":"bad gateway"}}`:                      runnel.Unavailable,
		`{"error":{"type":"invalid_request_error","param":null,"code":null}}`:   runnel.Invalid,
		`{"error":{"code":"context_length_exceeded","message":"x"}}`:            runnel.Invalid,
		`{"object":"error","error":{"message":"x","type":"NotFoundError"}}`:     runnel.Invalid,
		`{"error":{"message":{"why":[1]},"type":"new_error","code":{"a":"b"}}}`: runnel.Unavailable,
		`{"error":"out of memory"}`:                                             runnel.Unavailable,
		`{"error":true}`:                                                        runnel.Unavailable,
		`{"error":null}`:                                                        runnel.Unavailable, // nothing follows it
		`{"choices":{}}`:                                                        runnel.Unavailable,
	}
	for body, want := range tests {
		if _, _, err := replay(t, "data: "+body+"\n\n"); runnel.KindOf(err) != want {
			t.Errorf("%s: got %v, want %v", body, err, want)
		}
	}
}

func TestOpen(t *testing.T) {
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "TEAM_KEY"} {
		t.Setenv(name, "")
	}
	refused := []struct{ model, query, want string }{
		{"m", "", "OPENAI_API_KEY"},
		{"m", "api_key_env=TEAM_KEY", "TEAM_KEY"},
		{"", "base_url=http://x", "needs a model"},
		{"m", "base_url=x", "https://host"},
		{"m", "base_url=http://x&temperature=1", "api_key_env, base_url, max_tokens_field, prefill, usage"},
		{"m", "base_url=http://x&max_tokens_field=tokens", "max_completion_tokens"},
	}
	for _, tt := range refused {
		if _, err := openQuery(t, tt.model, tt.query); runnel.KindOf(err) != runnel.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s?%s: got %v, want an Invalid error with %q", tt.model, tt.query, err, tt.want)
		}
	}
	if _, err := openQuery(t, "m", "base_url=http://x"); err != nil {
		t.Errorf("without a key, elsewhere: %v", err)
	}
	t.Setenv("TEAM_KEY", "k\n")
	if _, err := openQuery(t, "m", "api_key_env=TEAM_KEY&usage=false&max_tokens_field=max_tokens"); err != nil {
		t.Errorf("with a key: %v", err)
	}
}

func openQuery(t *testing.T, model, query string) (runnel.Provider, error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return openai.Open(model, values)
}

func FuzzDecode(f *testing.F) {
	content, end := frames(providertest.Answer{
		Text: []string{"a"}, Reasoning: []string{"b"}, Stop: runnel.ToolUse,
		Tools: []providertest.ToolCall{{ID: "c", Name: "d", Input: []string{"{}"}}},
	})
	for _, frame := range append(content, end...) {
		f.Add(frame[len("data: "):])
	}
	f.Add([]byte(`{"error":{"code":"x","message":5}}`))
	f.Fuzz(func(_ *testing.T, frame []byte) {
		d := openai.NewDecoder("g")
		for range 2 {
			_, _ = d.Decode(nil, frame)
		}
		d.Finished()
	})
}

// TestEnvironment checks that what the environment says arrives at the server.
func TestEnvironment(t *testing.T) {
	var got http.Header
	var body []byte
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(web.Close)
	t.Setenv("OPENAI_API_KEY", " key\n")
	t.Setenv("OPENAI_BASE_URL", web.URL+"/v1")
	t.Setenv("OPENAI_ORG_ID", "org")
	t.Setenv("OPENAI_PROJECT_ID", "project")
	p, err := openQuery(t, "m", "usage=false&max_tokens_field=max_completion_tokens")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range p.Generate(t.Context(), runnel.Prompt{MaxTokens: 5}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"Authorization": "Bearer key", "Openai-Organization": "org", "Openai-Project": "project"} {
		if got.Get(name) != want {
			t.Errorf("got %s %q, want %q", name, got.Get(name), want)
		}
	}
	if want := `{"model":"m","messages":null,"stream":true,"max_completion_tokens":5}`; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

// TestGoesOn checks how each kind of server is told to go on with an answer.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"":                       "",
		"false":                  "",
		"true":                   `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Hello wor"}]`,
		"prefix":                 `{"role":"assistant","content":"Hello wor","prefix":true}]`,
		"continue_final_message": `"continue_final_message":true,"add_generation_prompt":false}`,
	} {
		var body []byte
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ = io.ReadAll(r.Body)
			_, _ = io.WriteString(w, "data: [DONE]\n\n")
		}))
		t.Cleanup(web.Close)
		query := "base_url=" + web.URL
		if setting != "" {
			query += "&prefill=" + setting
		}
		p, err := openQuery(t, "m", query)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.(runnel.Continuer).Continues(); got != (want != "") {
			t.Errorf("prefill=%s: it can: %v", setting, got)
		}
		for _, err := range p.Generate(t.Context(), runnel.Prompt{Continue: true, Messages: []runnel.Message{
			runnel.TextMessage(runnel.User, "hi"), runnel.TextMessage(runnel.Assistant, "Hello wor"),
		}}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(string(body), want) {
			t.Errorf("prefill=%s: got %s, want %s", setting, body, want)
		}
	}
	if _, err := openQuery(t, "m", "base_url=http://x&prefill=maybe"); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("prefill=maybe: %v", err)
	}
}
