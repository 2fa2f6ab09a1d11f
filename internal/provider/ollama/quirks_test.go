package ollama_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/ollama"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	const done = `{"done":true,"done_reason":"stop","message":{"content":""}}`
	tests := []struct {
		name, body string
		want       providertest.Answer
		end        runnel.End
	}{
		{
			"without a line feed at the end", `{"model":"llama","message":{"content":"hi"}}` + "\r\n\n" + done,
			providertest.Answer{Text: []string{"hi"}}, runnel.End{StopReason: runnel.EndTurn, Model: "llama"},
		},
		{
			"text in the last line", `{"message":{"content":"hi"},"done":true}`,
			providertest.Answer{Text: []string{"hi"}}, runnel.End{StopReason: runnel.EndTurn},
		},
		{
			"another reason", strings.Replace(done, "stop", "load", 1),
			providertest.Answer{}, runnel.End{StopReason: "load"},
		},
		{
			"calls without id", `{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"x": 1}}},{"function":{"name":"g","arguments":null}}]}}` + "\n" + done,
			providertest.Answer{Tools: []providertest.ToolCall{
				{ID: "call_g_0", Name: "f", Input: []string{`{"x": 1}`}}, {ID: "call_g_1", Name: "g", Input: []string{"{}"}},
			}},
			runnel.End{StopReason: runnel.ToolUse},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, end, err := providertest.Replay(t, func(url string) runnel.Provider {
				return open(t, ollama.Config{Model: "m", BaseURL: url})
			}, "application/json; charset=utf-8", tt.body)
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

func TestHostURL(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"":                       "http://127.0.0.1:11434/",
		"gpu1":                   "http://gpu1:11434/",
		"gpu1:80":                "http://gpu1:80/",
		":8000":                  "http://127.0.0.1:8000/",
		"http://gpu1":            "http://gpu1:80/",
		"https://gpu1":           "https://gpu1:443/",
		"https://gpu1:8443/path": "https://gpu1:8443/path",
		`"gpu1" `:                "http://gpu1:11434/",
		"::1":                    "http://[::1]:11434/",
		"[::1]":                  "http://[::1]:11434/",
		"[::1]:80":               "http://[::1]:80/",
	} {
		if got := ollama.HostURL(host); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
	}
}

func TestImageAddress(t *testing.T) {
	t.Parallel()
	p := runnel.Prompt{Messages: []runnel.Message{{Role: runnel.User, Parts: []runnel.Part{{Image: &runnel.Image{URL: "https://x/y.png"}}}}}}
	for _, err := range open(t, ollama.Config{Model: "m"}).Generate(t.Context(), p) {
		if runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("got %v, want an Invalid error", err)
		}
	}
}

func TestOpen(t *testing.T) {
	var got http.Header
	var body []byte
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"done":true}`)
	}))
	t.Cleanup(web.Close)
	t.Setenv("OLLAMA_HOST", strings.TrimPrefix(web.URL, "http://"))
	t.Setenv("OLLAMA_API_KEY", "key")
	p, err := ollama.Open("m", url.Values{"num_ctx": {"9"}, "keep_alive": {"90s"}, "think": {"false"}})
	if err != nil {
		t.Fatal(err)
	}
	prompt := runnel.Prompt{
		Tools:      []runnel.Tool{{Name: "a"}},
		ToolChoice: runnel.ToolChoice{Mode: "none"},
	}
	for _, err := range p.Generate(t.Context(), prompt) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := `{"model":"m","messages":null,"stream":true,"think":false,"keep_alive":"1m30s","options":{"num_ctx":9}}`; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	if got.Get("Authorization") != "Bearer key" {
		t.Errorf("got header %v", got)
	}
	for _, values := range []url.Values{{"ctx": {"1"}}, {"num_ctx": {"-1"}}, {"think": {"hard"}}} {
		if _, err := ollama.Open("m", values); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%v: got %v, want an Invalid error", values, err)
		}
	}
	if _, err := ollama.Open("", nil); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("got %v without a model, want an Invalid error", err)
	}
}

func FuzzDecode(f *testing.F) {
	content, end := frames(providertest.Answer{
		Text: []string{"a"}, Reasoning: []string{"b"}, Tools: []providertest.ToolCall{{ID: "c", Name: "d"}},
	})
	for _, frame := range append(content, end...) {
		f.Add(frame)
	}
	f.Fuzz(func(_ *testing.T, frame []byte) {
		d := ollama.NewDecoder("g")
		for range 2 {
			_, _ = d.Decode(nil, frame)
		}
	})
}
