package modelserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/modelserver"
)

const question = "what is $it? \"Tell\" me"

// protocols has a request of each kind that asks the question. In the bodies Q
// stands for the question inside a JSON string, LIMIT for a number of tokens.
var protocols = []struct{ name, path, body string }{
	{"openai", "/v1/chat/completions", `{"stream":true,"max_tokens":LIMIT,"messages":[{"role":"user","content":"Q"}]}`},
	{"anthropic", "/v1/messages", `{"stream":true,"max_tokens":LIMIT,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"Q"}]}]}`},
	{"ollama", "/api/chat", `{"model":"m","options":{"num_predict":LIMIT},"messages":[{"role":"user","content":"Q"}]}`},
	{"converse", "/model/m/converse-stream", `{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"Q"}]}],"inferenceConfig":{"maxTokens":LIMIT}}`},
	{"claude", "/model/anthropic.claude-3%3A0/invoke-with-response-stream", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":LIMIT,"messages":[{"role":"user","content":"Q"}]}`},
	{"nova", "/model/m/invoke-with-response-stream", `{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"Q"}]}],"inferenceConfig":{"max_new_tokens":LIMIT}}`},
	{"claude text", "/model/m/invoke-with-response-stream", `{"prompt":"\n\nHuman: old\n\nAssistant: yes\n\nHuman: Q\n\nAssistant:","max_tokens_to_sample":LIMIT}`},
	{"titan", "/model/m/invoke-with-response-stream", `{"inputText":"User: Q\nBot:","textGenerationConfig":{"maxTokenCount":LIMIT}}`},
	{"llama", "/model/m/invoke-with-response-stream", `{"prompt":"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":LIMIT}`},
	{"mistral", "/model/m/invoke-with-response-stream", `{"prompt":"<s>[INST] Q [/INST]","max_tokens":LIMIT}`},
	{"command", "/model/m/invoke-with-response-stream", `{"prompt":"Q","max_tokens":LIMIT,"stream":true}`},
	{"command r", "/model/m/invoke-with-response-stream", `{"message":"Q","max_tokens":LIMIT}`},
	{"chat", "/model/m/invoke-with-response-stream", `{"messages":[{"role":"user","content":"Q"}],"max_tokens":LIMIT}`},
}

func request(body, limit string) string {
	q := quote(question)
	return strings.NewReplacer("Q", q[1:len(q)-1], "LIMIT", limit).Replace(body)
}

// objects returns the JSON objects of a stream in any of the framings.
func objects(t *testing.T, contentType string, body []byte) (all []any) {
	t.Helper()
	add := func(data []byte) {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		all = append(all, v)
	}
	if !strings.Contains(contentType, "eventstream") {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimPrefix(bytes.TrimSpace(line), []byte("data: ")); len(line) > 0 && line[0] == '{' {
				add(line)
			}
		}
		return all
	}
	dec, r := sdk.NewDecoder(), bytes.NewReader(body)
	for r.Len() > 0 {
		m, err := dec.Decode(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var chunk struct{ Bytes []byte }
		if m.Headers.Get(":event-type").String() != "chunk" {
			add(m.Payload)
		} else if err := json.Unmarshal(m.Payload, &chunk); err != nil {
			t.Fatal(err)
		} else {
			add(chunk.Bytes)
		}
	}
	return all
}

// texts joins all texts inside v, in whatever family's form.
func texts(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			b.WriteString(texts(e))
		}
	case map[string]any:
		for name, e := range v {
			switch name {
			case "text", "content", "completion", "outputText", "generation":
				if s, ok := e.(string); ok {
					b.WriteString(s)
					continue
				}
			case "response": // Command R says it all again
				continue
			}
			b.WriteString(texts(e))
		}
	}
	return b.String()
}

func TestSameTextOverEveryProtocol(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Tokens: 70})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for limit, n := range map[string]int{"1000": 70, "7": 7} {
				w := post(s, p.path, request(p.body, limit))
				if w.Code != 200 {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				all := objects(t, w.Header().Get("Content-Type"), w.Body.Bytes())
				if diff := cmp.Diff(modelserver.Text(question, n), texts(all)); diff != "" {
					t.Errorf("text (-want +got):\n%s", diff)
				}
				limited := strings.Contains(strings.ToLower(quoteAll(all)), `"length"`) || strings.Contains(strings.ToLower(quoteAll(all)), `"max_tokens"`)
				if limited != (n == 7) {
					t.Errorf("the answer of %d tokens says limited=%v: %s", n, limited, quoteAll(all[len(all)-1:]))
				}
			}
		})
	}
}

func quoteAll(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestSameTextInOnePiece(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Tokens: 20})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			path := strings.TrimSuffix(strings.TrimSuffix(p.path, "-stream"), "-with-response")
			body := strings.Replace(request(p.body, "1000"), `"stream":true`, `"stream":false`, 1)
			if p.name == "ollama" {
				body = `{"stream":false,` + body[1:]
			}
			w := post(s, path, body)
			if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("status %d %v: %s", w.Code, w.Header(), w.Body)
			}
			all := objects(t, "", w.Body.Bytes())
			if diff := cmp.Diff([]string{modelserver.Text(question, 20)}, []string{texts(all)}); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryProtocolRefuses(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Fault: modelserver.Fault{Status: 503}})
	for _, p := range protocols {
		w := post(s, p.path, request(p.body, "7"))
		if w.Code != 503 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: status %d: %s", p.name, w.Code, w.Body)
		}
		if name, _, _ := strings.Cut(w.Header().Get("X-Amzn-Errortype"), ":"); strings.HasPrefix(p.path, "/model/") && name != "ServiceUnavailableException" {
			t.Errorf("%s: the error's name is %q", p.name, name)
		}
		if w := post(s, p.path, `{"messages":7}`); w.Code != 400 {
			t.Errorf("%s: nonsense was answered with %d", p.name, w.Code)
		}
	}
}

func TestEventStreamFaults(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Tokens: 3})
	run := func(settings string) (names []string, err error) {
		w := post(s, "/model/m/converse-stream", `{"messages":[{"role":"user","content":[{"text":"[[`+settings+`]]"}]}]}`)
		dec, r := sdk.NewDecoder(), bytes.NewReader(w.Body.Bytes())
		for {
			m, err := dec.Decode(r, nil)
			if err != nil {
				return names, err
			}
			for _, name := range []string{":event-type", ":exception-type"} {
				if v := m.Headers.Get(name); v != nil {
					names = append(names, v.String())
				}
			}
		}
	}
	delta, start := "contentBlockDelta", "messageStart"
	cases := []struct {
		settings string
		want     []string
		err      error // nil: any other than io.EOF
	}{
		{"end-after=2", []string{start, delta, delta}, io.EOF},
		{"end-after=2 inside=1", []string{start, delta, delta}, nil},
		{"error-after=1 error=throttlingException", []string{start, delta, "throttlingException"}, io.EOF},
		{"error-after=0", []string{start, "modelStreamErrorException"}, io.EOF},
		{"garbage-after=1", []string{start, delta}, nil},
		{"tokens=1", []string{start, delta, "contentBlockStop", "messageStop", "metadata"}, io.EOF},
	}
	for _, c := range cases {
		got, err := run(c.settings)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: messages (-want +got):\n%s", c.settings, diff)
		}
		if errors.Is(err, io.EOF) != errors.Is(c.err, io.EOF) {
			t.Errorf("%s: the stream ended with %v", c.settings, err)
		}
	}
}
