package anthropic_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/anthropic"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

// recorded is an answer with all that has to be passed over: signatures, what
// was redacted, a tool that the server runs itself, and things yet to come.
const recorded = `event: message_start
data: {"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":9,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EmwK"}}

event: ping
data: {"type": "ping"}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"srv","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":1}"}}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"web_search_tool_result","tool_use_id":"srv","content":[{"type":"web_search_result","title":"x"}]}}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"text","text":"Good "}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"day"}}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":""}}

event: something_new
data: {"type":"something_new","text":5,"more":[1]}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"STOP","stop_sequence":null},"usage":{"output_tokens":40}}

`

func TestRecorded(t *testing.T) {
	t.Parallel()
	want := providertest.Answer{
		Reasoning: []string{"hm"}, Seals: []runnel.Seal{{Signature: "EqQB"}, {Redacted: "EmwK"}}, Text: []string{"Good day"},
		Tools: []providertest.ToolCall{{ID: "t", Name: "f", Input: []string{"{}"}}},
	}
	for word, reason := range map[string]runnel.StopReason{
		"end_turn": runnel.EndTurn, "max_tokens": runnel.MaxTokens, "stop_sequence": runnel.StopSequence,
		"tool_use": runnel.ToolUse, "refusal": runnel.Filtered, "pause_turn": "pause_turn",
	} {
		// With and without the last event: the stop reason is what counts.
		for _, last := range []string{"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", ""} {
			got, end, err := replay(t, strings.Replace(recorded, "STOP", word, 1)+last)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			wantEnd := &runnel.End{StopReason: reason, Model: "claude-x", Usage: &runnel.Usage{
				InputTokens: 9, OutputTokens: 40, CacheReadTokens: 3, CacheWriteTokens: 2,
			}}
			if diff := cmp.Diff(wantEnd, end); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
		}
	}
}

// TestCostAtTheStart: what is read is counted before anything is said.
func TestCostAtTheStart(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, recorded)
	}))
	t.Cleanup(web.Close)
	for d, err := range open(t, anthropic.Config{Model: "m", BaseURL: web.URL}).Generate(t.Context(), runnel.Prompt{}) {
		if err != nil {
			t.Fatal(err)
		}
		want := &runnel.Usage{InputTokens: 9, OutputTokens: 1, CacheReadTokens: 3, CacheWriteTokens: 2}
		if diff := cmp.Diff(want, d.Usage); diff != "" {
			t.Errorf("the first delta (-want +got):\n%s", diff)
		}
		break
	}
}

func replay(t *testing.T, body string) (providertest.Answer, *runnel.End, error) {
	t.Helper()
	return providertest.Replay(t, func(url string) runnel.Provider {
		return open(t, anthropic.Config{Model: "m", BaseURL: url, AuthToken: "token"})
	}, "text/event-stream", body)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]runnel.Kind{
		"invalid_request_error": runnel.Invalid, "authentication_error": runnel.Denied, "billing_error": runnel.Denied,
		"permission_error": runnel.Denied, "not_found_error": runnel.Invalid, "request_too_large": runnel.Invalid,
		"rate_limit_error": runnel.Limited, "timeout_error": runnel.Unavailable, "overloaded_error": runnel.Unavailable,
		"api_error": runnel.Unavailable, "new_error": runnel.Unavailable,
	} {
		if _, _, err := replay(t, string(event("error", `"error":{"type":%s,"message":"x"}`, quote(typ)))); runnel.KindOf(err) != want {
			t.Errorf("%s: got %v, want %v", typ, err, want)
		}
	}
}

func TestOpen(t *testing.T) {
	var got http.Header
	var body []byte
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		_, _ = w.Write(event("message_stop", `"x":0`))
	}))
	t.Cleanup(web.Close)
	ask := func(query string) error {
		t.Helper()
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		p, err := anthropic.Open("m", values)
		if err != nil {
			return err
		}
		for _, err := range p.Generate(t.Context(), runnel.Prompt{}) {
			if err != nil {
				t.Error(err)
			}
		}
		return nil
	}

	for _, name := range []string{"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"} {
		t.Setenv(name, "")
	}
	for query, want := range map[string]string{"": "ANTHROPIC_API_KEY", "max_tokens=x": "max_tokens", "key=1": "api_key_env, base_url, max_tokens, prefill"} {
		if err := ask(query); runnel.KindOf(err) != runnel.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an Invalid error with %q", query, err, want)
		}
	}

	t.Setenv("ANTHROPIC_BASE_URL", web.URL+"/")
	t.Setenv("ANTHROPIC_AUTH_TOKEN", "token")
	if err := ask("max_tokens=9"); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Bearer token" || got.Get("X-Api-Key") != "" || got.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("with a token: got %v", got)
	}
	if want := `{"model":"m","max_tokens":9,"stream":true,"messages":null}`; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	t.Setenv("ANTHROPIC_API_KEY", "key")
	if err := ask(""); err != nil {
		t.Fatal(err)
	}
	if got.Get("X-Api-Key") != "key" || got.Get("Authorization") != "" {
		t.Errorf("with a key: got %v", got)
	}
	if !strings.Contains(string(body), `"max_tokens":4096`) {
		t.Errorf("got %s, want the default limit", body)
	}
}

func FuzzDecode(f *testing.F) {
	for part := range strings.SplitSeq(recorded, "data: ") {
		data, _, _ := strings.Cut(part, "\n")
		f.Add([]byte(data))
	}
	f.Fuzz(func(_ *testing.T, frame []byte) {
		d := anthropic.NewDecoder("g")
		for range 2 {
			_, _ = d.Decode(nil, frame)
		}
		d.Finished()
	})
}
