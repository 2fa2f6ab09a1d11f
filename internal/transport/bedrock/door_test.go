package bedrock_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

// TestModels: which ids are known, and as what.
func TestModels(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	for id, known := range map[string]bool{
		"test": true, "anthropic.claude-v2:1": true, "anthropic.claude-v2%3A1": true,
		"arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fanthropic.claude-v2": true,
		"us.nobody.x-v1:0": true, // the profile itself is mapped, before the model behind it is looked at
		"nobody.x":         false,
	} {
		r.says(ends(runnel.EndTurn))
		resp := r.post(t, id+"/converse", hello)
		if got := resp.StatusCode == 200; got != known {
			t.Errorf("%s: got %d", id, resp.StatusCode)
		}
		if !known {
			<-r.steps
		}
	}
}

func TestUnknownModel(t *testing.T) {
	t.Parallel()
	door := bedrock.New(nil, bedrock.Config{
		Models: func() []string { return []string{"fast"} },
		Authenticate: func(r *http.Request, _ string, _ func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
			return r.Context(), func() {}, nil
		},
	})
	mux := http.NewServeMux()
	door.Register(mux.Handle)
	r := serve(t, mux)
	resp := r.post(t, "anthropic.claude-v2/converse", hello)
	body, _ := io.ReadAll(resp.Body)
	if got := resp.Header.Get("X-Amzn-Errortype"); resp.StatusCode != 404 || got != "ResourceNotFoundException" ||
		!strings.Contains(string(body), "one of fast in the setting bedrock_models") {
		t.Errorf("got %d %s: %s", resp.StatusCode, got, body)
	}
}

// TestFailures: before the first token a failure is a status, after it an
// exception on the stream.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   runnel.Kind
		status int
		name   string
		stream string
	}{
		{runnel.Invalid, 400, "ValidationException", `exception validationException {"message":"no"}`},
		{runnel.Limited, 429, "ThrottlingException", `exception throttlingException {"message":"no"}`},
		{runnel.Unavailable, 503, "ServiceUnavailableException", `exception serviceUnavailableException {"message":"no"}`},
		{runnel.Denied, 424, "ModelErrorException", `exception modelStreamErrorException {"message":"no","originalMessage":"no","originalStatusCode":500}`},
	} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, bedrock.Config{})
			for _, path := range []string{"test/converse", "test/converse-stream"} {
				r.steps <- step{err: runnel.Errorf(tt.kind, "no")}
				resp := r.post(t, path, hello)
				body, _ := io.ReadAll(resp.Body)
				if got := resp.Header.Get("X-Amzn-Errortype"); resp.StatusCode != tt.status || got != tt.name || string(body) != `{"message":"no"}`+"\n" {
					t.Errorf("%s: got %d %s: %s", path, resp.StatusCode, got, body)
				}
			}
			r.says(text("half"))
			resp := r.post(t, "test/converse-stream", hello) // which returns with the first frame
			r.steps <- step{err: runnel.Errorf(tt.kind, "no")}
			got := messages(t, resp.Body)
			want := "messageStart {\"role\":\"assistant\"}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"half\"}}\n" + tt.stream + "\n"
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What cannot be obeyed is refused, by its name.
func TestRefusedMembers(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	message := func(block string) string { return `{"messages":[{"role":"user","content":[` + block + `]}]}` }
	for body, want := range map[string]string{
		`{"guardrailConfig":{"guardrailIdentifier":"g"},` + hello[1:]:                                  "guardrailConfig",
		`{"outputConfig":{"textFormat":{}},` + hello[1:]:                                               "outputConfig",
		`{"promptVariables":{"a":{"text":"b"}},` + hello[1:]:                                           "promptVariables",
		`{"additionalModelRequestFields":[1],` + hello[1:]:                                             "additionalModelRequestFields",
		message(`{"document":{"name":"d","format":"pdf"}}`):                                            "document",
		message(`{"video":{"format":"mp4"}}`):                                                          "video",
		message(`{"toolResult":{"toolUseId":"t","content":[{"image":{"format":"png","source":{}}}]}}`): "image",
	} {
		resp := r.post(t, "test/converse", body)
		said, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || resp.Header.Get("X-Amzn-Errortype") != "ValidationException" || !strings.Contains(string(said), `\"`+want+`\"`) {
			t.Errorf("%s: got %d, %s", body, resp.StatusCode, said)
		}
	}
}

// A model that thinks between its calls gets all of it back: what the door hands
// out and takes in again, in both forms that know of it.
func TestSealsComeBack(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	think := func(text, signature string) []runnel.Delta {
		return []runnel.Delta{{Reasoning: text}, {Seal: &runnel.Seal{Signature: signature}}}
	}
	said := append(append(think("one", "s1"), think("two", "s2")...), text("so"), runnel.Delta{Seal: &runnel.Seal{Signature: "s3"}}, ends(runnel.EndTurn))
	want := []runnel.Part{
		{Reasoning: &runnel.Reasoning{Text: "one", Seal: runnel.Seal{Signature: "s1"}}}, {Reasoning: &runnel.Reasoning{Text: "two", Seal: runnel.Seal{Signature: "s2"}}},
		{Text: "so"}, {Reasoning: &runnel.Reasoning{Seal: runnel.Seal{Signature: "s3"}}},
	}
	for path, content := range map[string]func(map[string]any) any{
		"test/converse": func(v map[string]any) any { return v["output"].(map[string]any)["message"].(map[string]any)["content"] },
		"anthropic.claude-sonnet-4-20250514-v1:0/invoke": func(v map[string]any) any { return v["content"] },
	} {
		r.says(said...)
		const first = `{"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}`
		resp := r.post(t, path, first+`],"max_tokens":9,"thinking":{"type":"enabled"},"top_k":5}`)
		var v map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: got %d, %v, %v", path, resp.StatusCode, v, err)
		}
		asked := <-r.asked
		if extra := string(asked.Extra); strings.HasPrefix(path, "anthropic") && extra != `{"thinking":{"type":"enabled"},"top_k":5}` {
			t.Errorf("%s: the model was asked with %s", path, extra)
		}
		back, err := json.Marshal(content(v))
		if err != nil {
			t.Fatal(err)
		}
		r.says(ends(runnel.EndTurn))
		r.post(t, path, first+`,{"role":"assistant","content":`+string(back)+`},{"role":"user","content":[{"type":"text","text":"Go on"}]}],"max_tokens":9}`)
		asked = <-r.asked
		if diff := cmp.Diff(want, asked.Messages[1].Parts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// A fragment of a call whose block has ended would be lost to clients.
func TestMixedCalls(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	call := func(index int, id, input string) runnel.Delta {
		return runnel.Delta{Tool: &runnel.ToolDelta{Index: index, ID: id, Name: id, Input: input}}
	}
	r.says(call(0, "a", `{"x"`), call(1, "b", `{}`), call(0, "", `:1}`), ends(runnel.ToolUse))
	got := messages(t, r.post(t, "test/converse-stream", hello).Body)
	if !strings.HasSuffix(got, `exception modelStreamErrorException {"message":"the model mixes the inputs of several tool calls","originalMessage":"the model mixes the inputs of several tool calls","originalStatusCode":500}`+"\n") {
		t.Errorf("got %s", got)
	}
	r.says(call(0, "a", `{"x"`), call(1, "b", `{}`), call(0, "", `:1}`), ends(runnel.ToolUse))
	body, _ := io.ReadAll(r.post(t, "test/converse", hello).Body)
	if !strings.Contains(string(body), `{"toolUse":{"toolUseId":"a","name":"a","input":{"x":1}}}`) {
		t.Errorf("got %s", body)
	}
}

// TestSession: a request may name its session, and is told which it was.
func TestSession(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	for _, tt := range []struct {
		path, body string
		header     []string
		want       string
	}{
		{"test/converse", `{"requestMetadata":{"session":"a b","tenant":"x"},` + hello[1:], nil, "a b"},
		{"anthropic.claude-3-haiku/invoke", families[0].body, []string{"X-Amzn-Bedrock-Request-Metadata", `{"session":"c/d"}`}, "c/d"},
		{"test/converse-stream", hello, []string{"Runnel-Session", "e%20f"}, "e f"},
		{"test/converse", hello, nil, ""},
	} {
		r.says(text("yes"), ends(runnel.EndTurn))
		resp := r.post(t, tt.path, tt.body, tt.header...)
		_, _ = io.Copy(io.Discard, resp.Body)
		id, err := url.PathUnescape(resp.Header.Get("Runnel-Session"))
		if err != nil || id == "" || tt.want != "" && id != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.path, id, err, tt.want)
		}
		said, err := r.sessions.Transcript(t.Context(), runnel.SessionID(id))
		if err != nil || len(said.Turns) != 1 || said.Turns[0].Text != "yes" || string(said.Turns[0].Generation) != resp.Header.Get("Runnel-Generation") {
			t.Errorf("%s: the session has %+v, %v", tt.path, said, err)
		}
	}
}

// TestIdempotency: the same key is the same answer.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	r.says(text("once"), ends(runnel.EndTurn))
	first := r.post(t, "test/converse", hello, "Idempotency-Key", "k")
	second := r.post(t, "test/converse", hello, "Idempotency-Key", "k")
	for _, resp := range []*http.Response{first, second} {
		body, _ := io.ReadAll(resp.Body)
		if !strings.Contains(string(body), `"text":"once"`) {
			t.Errorf("got %s", body)
		}
	}
	if a, b := first.Header.Get("Runnel-Generation"), second.Header.Get("Runnel-Generation"); a != b {
		t.Errorf("two generations, %s and %s", a, b)
	}
	if resp := r.post(t, "test/converse", strings.Replace(hello, "Hi", "Ho", 1), "Idempotency-Key", "k"); resp.StatusCode != 409 {
		t.Errorf("another prompt with the same key: got %d", resp.StatusCode)
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
		r := start(t, bedrock.Config{Disconnect: tt.policy})
		r.says(text("half"))
		resp := r.post(t, "test/converse-stream", hello, "Runnel-Session", tt.session)
		if _, err := resp.Body.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if tt.stops {
			_ = resp.Body.Close()
			<-r.freed
			continue
		}
		_ = resp.Body.Close()
		r.says(ends(runnel.EndTurn))
		end := wait(t, r, resp)
		if end.Type != runnel.EventDone {
			t.Errorf("%+v: the generation ended with %s", tt, end.Type)
		}
	}
}

// wait returns the terminal event of a response's generation.
func wait(t *testing.T, r *rig, resp *http.Response) *runnel.Event {
	t.Helper()
	var after runnel.Cursor
	for {
		events, err := r.sessions.Read(t.Context(), runnel.SessionID(resp.Header.Get("Runnel-Session")), after)
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			if after = events[i].Cursor; events[i].Type.Terminal() {
				return &events[i]
			}
		}
	}
}

// TestAuthentication: the door asks for the operation's action, and says no as
// Bedrock does.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	actions := make(chan string, 2)
	r := start(t, bedrock.Config{Authenticate: func(_ *http.Request, action string, _ func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
		actions <- action
		return nil, nil, runnel.Errorf(runnel.Denied, "you may not")
	}})
	for _, tt := range []struct{ path, want string }{
		{"test/converse", "bedrock:InvokeModel"}, {"test/invoke", "bedrock:InvokeModel"},
		{"test/converse-stream", "bedrock:InvokeModelWithResponseStream"}, {"test/invoke-with-response-stream", "bedrock:InvokeModelWithResponseStream"},
	} {
		resp := r.post(t, tt.path, hello)
		if got := <-actions; got != tt.want {
			t.Errorf("%s: asked for %s, want %s", tt.path, got, tt.want)
		}
		var said map[string]string
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || resp.StatusCode != 403 ||
			resp.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" || said["message"] != "you may not" {
			t.Errorf("%s: got %d, %v, %v", tt.path, resp.StatusCode, said, err)
		}
	}
}
