package bedrock_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
)

// plainPrompt is what every family can be asked.
func plainPrompt() runnel.Prompt {
	temperature, topP := 0.5, 0.9
	return runnel.Prompt{
		System: "Be brief.",
		Messages: []runnel.Message{
			runnel.TextMessage(runnel.User, "Hello"),
			runnel.TextMessage(runnel.Assistant, "Good morning"),
			{Role: runnel.User, Parts: []runnel.Part{{Text: "Why "}, {}, {Text: "<that>?"}}},
		},
		MaxTokens: 100, Temperature: &temperature, TopP: &topP, Stop: []string{"END"},
	}
}

// richPrompt has all that a prompt may have.
func richPrompt() runnel.Prompt {
	p := plainPrompt()
	p.Messages = []runnel.Message{
		{Role: runnel.User, Parts: []runnel.Part{
			{Text: "What is this?"},
			{Image: &runnel.Image{MediaType: "image/png", Data: []byte("\x89PNG")}},
		}},
		{Role: runnel.Assistant, Parts: []runnel.Part{
			{Text: "Let me look."},
			{ToolCall: &runnel.ToolCall{ID: "t1", Name: "look", Input: json.RawMessage(`{"n":12345678901234567890}`)}},
			{ToolCall: &runnel.ToolCall{ID: "t2", Name: "now"}},
		}},
		{Role: runnel.User, Parts: []runnel.Part{
			{ToolResult: &runnel.ToolResult{ID: "t1", Content: "a cat"}},
			{ToolResult: &runnel.ToolResult{ID: "t2", Failed: true}},
			{Text: "Well?"},
		}},
		{Role: runnel.Assistant}, // a turn that failed before it said anything
	}
	p.Tools = []runnel.Tool{
		{Name: "look", Description: "looks", Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`)},
		{Name: "now"},
	}
	p.ToolChoice = runnel.ToolChoice{Mode: "tool", Name: "look"}
	return p
}

// sent returns the body that a prompt makes, indented.
func sent(t *testing.T, family string, prompt runnel.Prompt) (string, error) {
	t.Helper()
	c := &canned{}
	err := generate(t.Context(), open(t, "", family, c), prompt).Err
	if c.request == nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, c.sent, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n", nil
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for _, family := range apis() {
		prompts := map[string]runnel.Prompt{"plain": plainPrompt(), "rich": richPrompt()}
		if family != "chat" && family != "command-r" { // which cannot
			p := plainPrompt()
			p.Messages, p.Continue = append(p.Messages, runnel.TextMessage(runnel.Assistant, "Because")), true
			prompts["continue"] = p
		}
		for name, prompt := range prompts {
			t.Run(family+" "+name, func(t *testing.T) {
				t.Parallel()
				if family == "llama" {
					prompt.Stop = nil // which it refuses
				}
				got, err := sent(t, family, prompt)
				if able := family == "" || family == "claude" || family == "nova" || family == "chat"; name == "rich" && !able {
					checkError(t, err, runnel.Invalid)
					return
				} else if err != nil {
					t.Fatal(err)
				}
				compare(t, filepath.Join("testdata", strings.Trim(family+"-"+name, "-")+".json"), got)
			})
		}
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	if updating() {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	t.Parallel()
	image := func(i runnel.Image) runnel.Prompt {
		return runnel.Prompt{Messages: []runnel.Message{{Role: runnel.User, Parts: []runnel.Part{{Image: &i}}}}}
	}
	badTool := richPrompt()
	badTool.Tools[0].Schema = json.RawMessage(`{`)
	cases := []struct {
		name, family string
		prompt       runnel.Prompt
	}{
		{"image on the web", "", image(runnel.Image{MediaType: "image/png", URL: "https://example.com/a.png"})},
		{"image on the web", "claude", image(runnel.Image{MediaType: "image/png", URL: "https://example.com/a.png"})},
		{"image on the web", "chat", image(runnel.Image{MediaType: "image/png", URL: "https://example.com/a.png"})},
		{"no image", "", image(runnel.Image{MediaType: "text/plain", Data: []byte("x")})},
		{"schema that is not JSON", "", badTool},
		{"stop sequences", "llama", plainPrompt()},
	}
	for _, c := range cases {
		_, err := sent(t, c.family, c.prompt)
		if checkError(t, err, runnel.Invalid); t.Failed() {
			t.Fatalf("%s with %q", c.name, c.family)
		}
	}
}

func TestToolChoice(t *testing.T) {
	t.Parallel()
	prompt := plainPrompt()
	prompt.Tools = []runnel.Tool{{Name: "look"}}
	for mode, want := range map[string][4]string{ // converse, claude, chat, mistral
		"":     {`"toolConfig"`, `"tools"`, `"tools"`, ""},
		"auto": {`"auto": {}`, `"type": "auto"`, `"tool_choice": "auto"`, ""},
		"any":  {`"any": {}`, `"type": "any"`, `"tool_choice": "required"`, ""},
		"none": {`"messages"`, `"type": "none"`, `"tool_choice": "none"`, `"prompt"`},
	} {
		prompt.ToolChoice.Mode = mode
		for i, family := range []string{"", "claude", "chat", "mistral"} {
			got, err := sent(t, family, prompt)
			if want[i] == "" {
				checkError(t, err, runnel.Invalid)
			} else if err != nil || !strings.Contains(got, want[i]) {
				t.Errorf("%q with %q: %v\n%s", mode, family, err, got)
			}
			if mode == "none" && family == "" && strings.Contains(got, "toolConfig") {
				t.Errorf("tools that the model must not use: %s", got)
			}
		}
	}
}

func TestImageInS3(t *testing.T) {
	t.Parallel()
	got, err := sent(t, "", runnel.Prompt{Messages: []runnel.Message{{Role: runnel.User, Parts: []runnel.Part{
		{Image: &runnel.Image{MediaType: "image/jpeg", URL: "s3://bucket/key"}},
	}}}})
	if err != nil || !strings.Contains(got, `"uri": "s3://bucket/key"`) {
		t.Errorf("%v: %s", err, got)
	}
}

// TestRequestLine holds path, host and headers to those of the SDK.
func TestRequestLine(t *testing.T) {
	t.Parallel()
	for _, model := range modelIDs {
		for _, base := range []string{"", "http://127.0.0.1:9/base/"} {
			ours, theirs := &canned{}, &canned{}
			p, err := bedrock.New(bedrock.Config{Model: model, Endpoint: base, AWS: awsConfig(ours)})
			if err != nil {
				t.Fatal(err)
			}
			generate(t.Context(), p, ask("hi"))
			client := bedrockruntime.NewFromConfig(awsConfig(theirs), func(o *bedrockruntime.Options) {
				if base != "" {
					o.BaseEndpoint = &base
				}
			})
			out, err := client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: &model})
			if err != nil {
				t.Fatal(err)
			}
			_ = out.GetStream().Close()
			if got, want := ours.request.URL.String(), theirs.request.URL.String(); got != want {
				t.Errorf("URL %s, the SDK's is %s", got, want)
			}
			for _, r := range []*canned{ours, theirs} {
				checkSignature(t, r.request, r.sent)
			}
		}
	}
}

// checkSignature computes a request's signature as a server does, from what is
// on the wire.
func checkSignature(t *testing.T, r *http.Request, body []byte) {
	t.Helper()
	authorization := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(authorization, "SignedHeaders=")
	signed, got, ok := strings.Cut(rest, ", Signature=")
	if !ok || !strings.Contains(authorization, "/us-east-1/bedrock/aws4_request") {
		t.Fatalf("authorization: %s", authorization)
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(signed, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.URL.Host
		case "content-length":
			value = strconv.Itoa(len(body))
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	hash := func(b string) string { s := sha256.Sum256([]byte(b)); return hex.EncodeToString(s[:]) }
	mac := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	path := strings.ReplaceAll(r.URL.EscapedPath(), "%", "%25") // each segment is escaped again
	canonical := strings.Join([]string{r.Method, path, "", headers.String(), signed, hash(string(body))}, "\n")
	date := r.Header.Get("X-Amz-Date")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, date[:8] + "/us-east-1/bedrock/aws4_request", hash(canonical)}, "\n")
	key := []byte("AWS4SECRET")
	for _, s := range []string{date[:8], "us-east-1", "bedrock", "aws4_request"} {
		key = mac(key, s)
	}
	if want := hex.EncodeToString(mac(key, toSign)); got != want {
		t.Errorf("signature %s, want %s for\n%s", got, want, canonical)
	}
}
