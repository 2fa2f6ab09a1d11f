package bedrock_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

var update = flag.Bool("update", false, "rewrite golden files")

// A request of each family, and a model id that tells which it is.
var families = []struct{ name, id, body string }{
	{"claude", "anthropic.claude-3-sonnet-20240229-v1:0", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`},
	{"claude-text", "anthropic.claude-instant-v1", `{"prompt":"\n\nHuman: Hi\n\nAssistant:","max_tokens_to_sample":9}`},
	{"titan", "amazon.titan-text-express-v1", `{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":9}}`},
	{"nova", "us.amazon.nova-lite-v1:0", `{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"max_new_tokens":9}}`},
	{"llama", "meta.llama3-8b-instruct-v1:0", `{"prompt":"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":9}`},
	{"mistral", "mistral.mistral-7b-instruct-v0:2", `{"prompt":"<s>[INST] Hi [/INST]","max_tokens":9}`},
	{"command", "cohere.command-text-v14", `{"prompt":"Hi","max_tokens":9,"stream":true}`},
	{"command-r", "cohere.command-r-plus-v1:0", `{"message":"Hi","max_tokens":9}`},
	{"chat", "openai.gpt-oss-20b-1:0", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":9}`},
}

const hello = `{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"maxTokens":9}}`

var changing = regexp.MustCompile(`("(?:latencyMs|invocationLatency|firstByteLatency)":)\d+|(msg_bdrk_)[0-9a-z]+`)

// messages returns an event stream in words, a line each.
func messages(t testing.TB, body io.Reader) string {
	t.Helper()
	var b strings.Builder
	for in := eventstream.NewReader(body); ; {
		m, err := in.Read()
		if errors.Is(err, io.EOF) {
			return changing.ReplaceAllString(b.String(), "$1$2*")
		}
		if err != nil {
			t.Fatal(err)
		}
		payload := m.Payload
		if string(m.Header(":event-type")) == "chunk" {
			var chunk struct{ Bytes []byte }
			if err := json.Unmarshal(payload, &chunk); err != nil {
				t.Fatal(err)
			}
			payload = chunk.Bytes
		}
		for _, name := range []string{":message-type", ":event-type", ":exception-type", ":error-code", ":error-message"} {
			if v := m.Header(name); v != nil && string(v) != "event" {
				fmt.Fprintf(&b, "%s ", v)
			}
		}
		fmt.Fprintf(&b, "%s\n", payload)
		if len(payload) > 0 && !json.Valid(payload) {
			t.Errorf("not JSON: %s", payload)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestWire writes down every form of an answer, whole and as a stream.
func TestWire(t *testing.T) {
	t.Parallel()
	forms := append(families[:len(families):len(families)], struct{ name, id, body string }{"converse", "", hello})
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, bedrock.Config{})
			whole, stream := f.id+"/invoke", f.id+"/invoke-with-response-stream"
			if f.id == "" {
				whole, stream = "test/converse", "test/converse-stream"
			}
			r.says(all()...)
			resp := r.post(t, stream, f.body)
			if got := resp.Header.Get("Content-Type"); got != eventstream.ContentType || resp.StatusCode != 200 {
				t.Fatalf("got %d, %s", resp.StatusCode, got)
			}
			if got := resp.Header.Get("X-Amzn-Bedrock-Content-Type"); (got == "application/json") != (f.id != "") {
				t.Errorf("the model's content type is %q", got)
			}
			got := messages(t, resp.Body)
			p := <-r.asked
			if p.MaxTokens != 9 || p.Text() != "Hi" || len(p.Messages) != 1 || p.System != "" {
				t.Errorf("the model was asked %+v", p)
			}
			r.says(all()...)
			resp = r.post(t, whole, f.body)
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp.StatusCode, err)
			}
			if in, out := resp.Header.Get("X-Amzn-Bedrock-Input-Token-Count"), resp.Header.Get("X-Amzn-Bedrock-Output-Token-Count"); f.id != "" && (in != "3" || out != "5") {
				t.Errorf("the header counts %s and %s tokens", in, out)
			}
			golden(t, f.name+".txt", got+"\n"+changing.ReplaceAllString(string(body), "$1$2*"))
		})
	}
}

// Frames begin with the headers in the order of Amazon's.
func TestHeaderOrder(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	r.says(text("x"), ends(runnel.EndTurn))
	body, err := io.ReadAll(r.post(t, "test/converse-stream", hello).Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = "\x0b:event-type\x07\x00\x0cmessageStart\x0d:content-type\x07\x00\x10application/json\x0d:message-type\x07\x00\x05event" + `{"role":"assistant"}`
	if got := string(body[12:min(len(body), 12+len(want))]); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
