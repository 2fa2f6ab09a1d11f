package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/function"
)

// keyed adds an API key to cfg and returns it.
func keyed(t *testing.T, cfg *config.Config, k auth.Key) string {
	t.Helper()
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k.Hash = hash
	cfg.Keys = append(cfg.Keys, k)
	return key
}

// audited returns the lines of the audit log, in few words, each once, sorted.
func audited(t *testing.T, log string) []string {
	t.Helper()
	lines := map[string]bool{}
	for line := range strings.Lines(log) {
		var l struct {
			Component, Msg, Reason, Principal, Action, Target, Scheme, Remote string
			Session                                                           string `json:"session_id"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.Component != "audit" {
			continue
		}
		if known := l.Principal != "" || l.Msg == "acted"; !known && l.Remote == "" {
			t.Errorf("nobody knows who that was: %s", line)
		}
		lines[strings.Join(strings.Fields(strings.Join([]string{
			l.Msg, l.Scheme, l.Reason, l.Principal, l.Action, l.Session + l.Target,
		}, " ")), " ")] = true
	}
	return slices.Sorted(maps.Keys(lines))
}

// Every refusal, and whatever an administrator does, is in the audit log.
func TestAudit(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.LogLevel = "info"
	ada := keyed(t, &cfg, auth.Key{Name: "ada", User: true})
	bob := keyed(t, &cfg, auth.Key{Name: "bob", User: true})
	reader := keyed(t, &cfg, auth.Key{Name: "reader", Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"other"}}}})
	root := keyed(t, &cfg, auth.Key{Name: "root", User: true, Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Admin}}}})
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())
	const prompts, hello = "/v1/sessions/s/prompts", `{"prompt":"hello"}`
	generation := c.submit(t, prompts, hello, ada)
	for _, tt := range []struct {
		method, path, body, key string
		want                    int
	}{
		{"GET", "/v1/sessions/s", "", "", 401},
		{"GET", "/v1/sessions/s", "", "wrong", 401},
		{"POST", prompts, hello, bob, 404},
		{"GET", "/v1/sessions/s", "", bob, 200}, // as if there were nothing
		{"GET", "/v1/generations/" + generation, "", bob, 404},
		{"POST", "/v1/generations/" + generation + "/cancel", "", bob, 404},
		{"GET", "/v1/generations/01JZ0000000000000000000000", "", bob, 404}, // which is not there
		{"POST", prompts, hello, reader, 403},
		{"POST", "/", hello, reader, 403},
		{"GET", "/v1/generations/" + generation, "", reader, 404},
		{"GET", "/v1/generations/" + generation, "", root, 200},
		{"POST", "/v1/generations/" + generation + "/cancel", "", root, 200},
	} {
		var prepare func(*http.Request)
		if tt.key != "" {
			prepare = with("X-Api-Key", tt.key)
		}
		if got := c.status(t, tt.method, tt.path, tt.body, prepare); got != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	next := cfg
	next.Keys = cfg.Keys[1:]
	node.Reload(func() (*config.Config, error) { return &next, nil })
	if err := node.Stop(); err != nil { // which tells all that has not been told
		t.Error(err)
	}
	want := []string{
		"acted key:root cancel s",
		"acted key:root read s",
		"acted reload configuration",
		"acted withdraw key:ada",
		"refused api_key another_owner key:bob cancel s",
		"refused api_key another_owner key:bob read s",
		"refused api_key another_owner key:bob submit s",
		"refused api_key grants key:reader read s",
		"refused api_key grants key:reader submit ANY",
		"refused api_key grants key:reader submit s",
		"refused api_key unknown_credentials",
		"refused no_credentials",
	}
	got := audited(t, l.String())
	for i, line := range got { // the bare door makes up a session
		if rest, ok := strings.CutPrefix(line, "refused api_key grants key:reader submit "); ok && rest != "s" {
			got[i] = "refused api_key grants key:reader submit ANY"
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}

// submit hands in a prompt and returns the id of its generation, which has ended.
func (c caller) submit(t *testing.T, path, body, key string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	generation := resp.Header.Get("Runnel-Generation")
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || generation == "" {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return generation
}

// What is secret to the users of a node, and may not be in its log.
const (
	secretPrompt = "marker-of-a-prompt"
	secretAnswer = "marker-of-an-answer"
)

// tellingModel is a vendor that answers, or fails, and repeats the question
// in either, as some do.
func tellingModel(t *testing.T) *httptest.Server {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(body), "fail-at-once"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"message":"cannot answer %s %s","type":"invalid_request_error"}}`, secretPrompt, secretAnswer)
		case strings.Contains(string(body), "fail-later"):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", secretAnswer)
			fmt.Fprintf(w, "data: {\"error\":{\"message\":\"lost at %s %s\"}}\n\n", secretPrompt, secretAnswer)
		case strings.Contains(string(body), "garbage"):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: {\"choices\": %s %s\n\n", secretPrompt, secretAnswer)
		default:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", secretAnswer)
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		}
	}))
	t.Cleanup(model.Close)
	return model
}

// Prompts and answers are in no log above debug, whichever door they come
// through and whatever becomes of them.
func TestLogsTellNoSecrets(t *testing.T) {
	t.Parallel()
	model := tellingModel(t)
	cfg := settings(t, "openai/test?base_url="+model.URL)
	cfg.LogLevel, cfg.Retries = "info", 0
	key := keyed(t, &cfg, auth.Key{Name: "ada", User: true})
	service := keyed(t, &cfg, auth.Key{Name: "backend"})
	cfg.Functions = []function.Config{{Name: "f", HTTP: model.URL, URL: &function.URL{Auth: function.AuthGateway, Mode: function.ModeStream}}}
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())

	// How a door is asked: whoever adds one adds a line. The test is worth
	// nothing for a door that does not get as far as the model.
	doors := map[string]struct{ path, body string }{
		"http":        {"/v1/sessions/s/prompts", `{"prompt":%q}`},
		"functionurl": {"/", `{"prompt":%q}`},
		"admin":       {"/v1/admin/generations/x/cancel", `{"prompt":%q}`}, // which takes no prompts
		"functions":   {"/functions/f", `{"prompt":%q}`},
		"lambda":      {"/2015-03-31/functions/f/invocations", `{"prompt":%q}`},
		"openai":      {"/v1/chat/completions", `{"model":"openai/test","stream":true,"messages":[{"role":"user","content":%q}]}`},
		"appsync":     {"/graphql", `{"query":"mutation M($p: String!) { submitPrompt(input: {session: \"g\", prompt: $p}) { generation } }","variables":{"p":%q}}`},
		"bedrock":     {"/model/openai%2Ftest/converse-stream", `{"messages":[{"role":"user","content":[{"text":%q}]}]}`},
		"lex":         {"/bots/b/botAliases/a/botLocales/en_US/sessions/l/text", `{"text":%q}`},
		"aisdk":       {"/api/chat", `{"id":"a","messages":[{"role":"user","parts":[{"type":"text","text":%q}]}]}`},
	}
	for _, name := range node.DoorNames() {
		if name == "apigateway" {
			c.askSocket(t, key)
			continue
		}
		if name == "page" {
			continue // which asks the other doors
		}
		door, ok := doors[name]
		if !ok {
			t.Errorf("nobody asks at the door %q: add it to this test", name)
			continue
		}
		key := key
		if name == "lambda" { // which is not for users
			key = service
		}
		for _, what := range []string{"answer", "fail-at-once", "fail-later", "garbage"} {
			c.ask(t, door.path, fmt.Sprintf(door.body, secretPrompt+" "+what), key)
		}
		// What cannot be read, and what nobody may ask.
		c.status(t, "POST", door.path, `{"prompt": `+secretPrompt, with("X-Api-Key", key))
		c.ask(t, door.path+"?token="+secretPrompt, fmt.Sprintf(door.body, secretPrompt), "")
	}
	if err := node.Stop(); err != nil {
		t.Error(err)
	}
	log := l.String()
	if !strings.Contains(log, `"a generation failed"`) {
		t.Errorf("no generation has failed:\n%s", log)
	}
	for _, secret := range []string{secretPrompt, secretAnswer, key, service} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s:\n%s", secret, log)
		}
	}
}

// askSocket asks the same of the door of WebSockets.
func (c caller) askSocket(t *testing.T, key string) {
	t.Helper()
	url := "ws" + strings.TrimPrefix(c.url, "http") + "/dev?token="
	if ws, _, err := websocket.Dial(t.Context(), url+secretPrompt, nil); err == nil {
		_ = ws.CloseNow()
		t.Error("a token that nobody has made is accepted")
	}
	ws, _, err := websocket.Dial(t.Context(), url+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow() //nolint:errcheck // its end is the test's
	for _, what := range []string{"answer", "fail-at-once", "fail-later", "garbage"} {
		if err := ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"action":"stream","prompt":%q}`, secretPrompt+" "+what)); err != nil {
			t.Fatal(err)
		}
		for said := ""; !strings.Contains(said, `"isComplete": true`); {
			_, frame, err := ws.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			said = string(frame)
		}
	}
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"prompt": `+secretPrompt)); err != nil {
		t.Fatal(err)
	}
	if _, frame, err := ws.Read(t.Context()); err != nil || !strings.Contains(string(frame), "Forbidden") {
		t.Errorf("got %s, %v", frame, err)
	}
}

// ask posts a prompt and reads the answer, as a stream where there is one, to
// its end, which may be early.
func (c caller) ask(t *testing.T, path, body, key string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}
