package lex_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/transport/lex"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// A model answers with what it was asked, or not at all.
type model struct{}

func (model) Generate(_ context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		if p.Text() == "fail" {
			yield(runnel.Delta{}, runnel.Errorf(runnel.Invalid, "no"))
			return
		}
		_ = yield(runnel.Delta{Text: "You said: "}, nil) && yield(runnel.Delta{Text: p.Text()}, nil) &&
			yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn}}, nil)
	}
}

func (model) Lookup(string) ([]runnel.Candidate, error) {
	return []runnel.Candidate{{Name: "test", Provider: model{}}}, nil
}

type rig struct {
	url      string
	sessions runnel.Sessions
	engine   *memlog.Engine
}

// as names the caller that the door is to believe in.
const as = "X-As"

func start(t *testing.T, cfg lex.Config) *rig {
	t.Helper()
	return startOn(t, memlog.New(), cfg)
}

func startOn(t *testing.T, engine *memlog.Engine, cfg lex.Config) *rig {
	t.Helper()
	core := session.New(engine, model{}, session.Config{FlushInterval: -1, Retries: -1, DrainTimeout: time.Millisecond})
	cfg.Authenticate = func(r *http.Request, _ string, _ func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
		p := &runnel.Principal{ID: r.Header.Get(as), Service: strings.HasPrefix(r.Header.Get(as), "service")}
		return runnel.WithPrincipal(r.Context(), p), func() {}, nil
	}
	cfg.Token = func(_ *http.Request, token string) (*runnel.Principal, error) {
		if token == "bad" {
			return nil, runnel.Errorf(runnel.Unauthenticated, "the credentials are not valid")
		}
		p := &runnel.Principal{ID: "user:" + token}
		if token == "reader" {
			p.Grants = []runnel.Grant{{Actions: []runnel.Action{runnel.Read}}}
		}
		return p, nil
	}
	cfg.Notes, cfg.Connections, cfg.Issuer = engine, engine, sigv4.NewIssuer("a secret that nodes share")
	cfg.NodeOf = func(id string) (string, bool) { return "here", strings.HasSuffix(id, "=") }
	door := lex.New(core, cfg)
	mux := http.NewServeMux()
	door.Register(mux.Handle)
	mux.Handle("POST /{$}", door)
	srv := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := core.Run(ctx); err != nil {
			t.Errorf("the core: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = door.End(context.Background())
		srv.CloseClientConnections()
		srv.Close()
		cancel()
		running.Wait()
	})
	return &rig{srv.URL, core, engine}
}

func (r *rig) send(t *testing.T, method, path, body string, header ...string) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
	}
	return resp.StatusCode, resp.Header, v
}

const bot = "/bots/B/botAliases/A/botLocales/en_US/sessions/us-east-1%3Aabc"

// at returns the value at a path of members in JSON.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// TestRecognizeText: an answer by a model, in the form that the UI counts on, and
// in the session of the same name.
func TestRecognizeText(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{})
	const ask = `{"text":"Größe?","sessionState":{"sessionAttributes":{"a":"1"}}}`
	code, _, got := r.send(t, "POST", bot+"/text", ask, "Amz-Sdk-Invocation-Id", "i1")
	if code != 200 {
		t.Fatal(code, got)
	}
	want := map[string]any{
		"messages": []any{map[string]any{"contentType": "CustomPayload", "content": "You said: Größe?"}},
		"sessionState": map[string]any{
			"dialogAction": map[string]any{"type": "Close"}, "sessionAttributes": map[string]any{"a": "1"},
			"intent": map[string]any{"name": "FallbackIntent", "slots": map[string]any{}, "state": "Fulfilled", "confirmationState": "None"},
		},
		"interpretations": []any{map[string]any{"interpretationSource": "Lex", "intent": map[string]any{
			"name": "FallbackIntent", "slots": map[string]any{}, "state": "Fulfilled", "confirmationState": "None",
		}}},
		"requestAttributes": map[string]any{}, "sessionId": "us-east-1:abc",
	}
	if diff := cmp.Diff(want, any(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The SDK asks again with the same id when it has heard nothing.
	r.send(t, "POST", bot+"/text", ask, "Amz-Sdk-Invocation-Id", "i1")
	// Attributes that are not sent are still there, null or not.
	for _, state := range []string{``, `,"sessionState":{"sessionAttributes":null}`} {
		_, _, got = r.send(t, "POST", bot+"/text", `{"text":"again"`+state+`}`)
		if at(got, "sessionState", "sessionAttributes", "a") != "1" {
			t.Errorf("the attributes are lost: %v", got)
		}
	}
	said, err := r.sessions.Transcript(t.Context(), "us-east-1:abc")
	if err != nil || len(said.Turns) != 3 {
		t.Errorf("%d turns, %v", len(said.Turns), err)
	}
	for body, want := range map[string]string{
		`{"text":"fail"}`: "DependencyFailedException", `{"text":" "}`: "ValidationException", `{`: "ValidationException", `{"text":1}`: "ValidationException",
	} {
		if _, head, got := r.send(t, "POST", bot+"/text", body); head.Get("X-Amzn-Errortype") != want || got["message"] == "" {
			t.Errorf("%s: got %s %v", body, head.Get("X-Amzn-Errortype"), got)
		}
	}
}

// Nobody sees what another has put into a session of the same name.
func TestAttributesAreTheCallers(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{})
	r.send(t, "POST", bot, `{"sessionState":{"sessionAttributes":{"secret":"1"}}}`, as, "ada")
	if code, _, got := r.send(t, "GET", bot, "", as, "ada"); code != 200 || at(got, "sessionState", "sessionAttributes", "secret") != "1" {
		t.Errorf("got %d, %v", code, got)
	}
	if code, _, got := r.send(t, "GET", bot, "", as, "bob"); code != 404 {
		t.Errorf("got %d, %v", code, got)
	}
	_, _, got := r.send(t, "DELETE", bot, "", as, "ada")
	if diff := cmp.Diff(map[string]any{"botId": "B", "botAliasId": "A", "localeId": "en_US", "sessionId": "us-east-1:abc"}, got); diff != "" {
		t.Error(diff)
	}
	if code, _, _ := r.send(t, "GET", bot, "", as, "ada"); code != 404 {
		t.Errorf("got %d after it was deleted", code)
	}
}

// Attributes are there whichever node serves the next text, within bounds.
func TestAttributesAreShared(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	one, other := startOn(t, engine, lex.Config{}), startOn(t, engine, lex.Config{})
	one.send(t, "POST", bot+"/text", `{"text":"Hi","sessionState":{"sessionAttributes":{"a":"1"}}}`, as, "ada")
	if _, _, got := other.send(t, "POST", bot+"/text", `{"text":"Hi"}`, as, "ada"); at(got, "sessionState", "sessionAttributes", "a") != "1" {
		t.Errorf("got %v", got)
	}
	long := `{"text":"Hi","sessionState":{"sessionAttributes":{"a":"` + strings.Repeat("x", 256<<10) + `"}}}`
	for _, path := range []string{"/text", ""} {
		if _, head, got := one.send(t, "POST", bot+path, long, as, "ada"); head.Get("X-Amzn-Errortype") != "ValidationException" {
			t.Errorf("%q: got %v", path, got)
		}
	}
	if _, _, got := other.send(t, "GET", bot, "", as, "ada"); at(got, "sessionState", "sessionAttributes", "a") != "1" {
		t.Errorf("got %v", got)
	}
}

// Two guests whose clients call their sessions the same have two.
func TestSessionsAreTheCallers(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{})
	const short, ada, bob = "/bots/B/botAliases/A/botLocales/en_US/sessions/lex-web-ui-1a2b", "runnel-1:a", "runnel-1:b"
	for _, who := range []string{ada, bob} {
		code, _, got := r.send(t, "POST", short+"/text", `{"text":"I am `+who+`"}`, as, sigv4.IssuedPrincipal+who)
		if code != 200 || got["sessionId"] != "lex-web-ui-1a2b" {
			t.Errorf("%s: got %d, %v", who, code, got)
		}
		said, err := r.sessions.Transcript(t.Context(), "lex-web-ui-1a2b."+runnel.SessionID(who))
		if err != nil || len(said.Turns) != 1 {
			t.Errorf("%s: %d turns, %v", who, len(said.Turns), err)
		}
	}
	// One that is called as its owner is stays what it is.
	r.send(t, "POST", strings.Replace(short, "lex-web-ui-1a2b", "runnel-1%3Aa", 1)+"/text", `{"text":"Hi"}`, as, sigv4.IssuedPrincipal+ada)
	if said, err := r.sessions.Transcript(t.Context(), ada); err != nil || len(said.Turns) != 1 {
		t.Errorf("%d turns, %v", len(said.Turns), err)
	}
}

// TestPostText: the first version's one operation, in its words.
func TestPostText(t *testing.T) {
	t.Parallel()
	answers := make(chan string, 3)
	r := start(t, lex.Config{Fulfill: fulfillment(t, func(map[string]any) string { return <-answers })})
	const path = "/bot/Runnel/alias/$LATEST/user/us-east-1:abc/text"
	for _, tt := range []struct {
		answer string
		want   map[string]any
	}{
		{
			`{"sessionState":{"dialogAction":{"type":"Close"},"intent":{"name":"Mine","state":"Fulfilled"}},"messages":[{"contentType":"CustomPayload","content":"**bold**"}]}`,
			map[string]any{"intentName": "Mine", "dialogState": "Fulfilled", "message": "**bold**", "messageFormat": "CustomPayload"},
		},
		{
			`{"sessionState":{"dialogAction":{"type":"ElicitIntent"}},"messages":[{"contentType":"PlainText","content":"a"},{"contentType":"PlainText","content":"b"}]}`,
			map[string]any{
				"intentName": "FallbackIntent", "dialogState": "ElicitIntent", "messageFormat": "Composite",
				"message": `{"messages":[{"type":"PlainText","group":0,"value":"a"},{"type":"PlainText","group":1,"value":"b"}]}`,
			},
		},
		{"", map[string]any{"intentName": "FallbackIntent", "dialogState": "Failed", "message": "Sorry, this could not be answered. Please try again.", "messageFormat": "PlainText"}},
	} {
		answers <- tt.answer
		tt.want["slots"], tt.want["sessionAttributes"] = map[string]any{}, map[string]any{"a": "1"}
		code, _, got := r.send(t, "POST", path, `{"inputText":"Hi","sessionAttributes":{"a":"1"}}`)
		if diff := cmp.Diff(tt.want, got); diff != "" || code != 200 {
			t.Errorf("got %d (-want +got):\n%s", code, diff)
		}
	}
	for _, body := range []string{`{"inputText":" "}`, `{`} {
		if code, head, got := r.send(t, "POST", path, body); code != 400 || head.Get("X-Amzn-Errortype") != "BadRequestException" || got["message"] == "" {
			t.Errorf("%s: got %d %s %v", body, code, head.Get("X-Amzn-Errortype"), got)
		}
	}
}

func pack(t *testing.T, v string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(v)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func unpack(t *testing.T, text string) (v any) {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		err = json.NewDecoder(z).Decode(&v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestUtterance(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{})
	_, head, _ := r.send(t, "POST", bot+"/utterance", "Hi", "Content-Type", "text/plain; charset=utf-8",
		"X-Amz-Lex-Session-State", pack(t, `{"sessionAttributes":{"a":"1"}}`))
	messages, _ := unpack(t, head.Get("X-Amz-Lex-Messages")).([]any)
	if len(messages) != 1 || at(messages[0], "content") != "You said: Hi" || unpack(t, head.Get("X-Amz-Lex-Input-Transcript")) != "Hi" ||
		at(unpack(t, head.Get("X-Amz-Lex-Session-State")), "sessionAttributes", "a") != "1" {
		t.Errorf("got %v", head)
	}
	bomb := pack(t, `{"sessionAttributes":{"a":"`+strings.Repeat("x", 2<<20)+`"}}`)
	for _, header := range [][]string{
		{"Content-Type", "audio/x-l16; sample-rate=16000"},
		{"Content-Type", "text/plain", "X-Amz-Lex-Session-State", "?"},
		{"Content-Type", "text/plain", "X-Amz-Lex-Session-State", base64.StdEncoding.EncodeToString([]byte("no gzip"))},
		{"Content-Type", "text/plain", "X-Amz-Lex-Session-State", bomb},
	} {
		if _, head, _ := r.send(t, "POST", bot+"/utterance", "Hi", header...); head.Get("X-Amzn-Errortype") != "ValidationException" {
			t.Errorf("%.60s: got %s", header, head.Get("X-Amzn-Errortype"))
		}
	}
}

// fulfillment is a function that returns what answer does; it raises for nothing.
func fulfillment(t *testing.T, answer func(event map[string]any) string) *function.Function {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event map[string]any
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		said := answer(event)
		if said == "" {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			said = `{"errorMessage":"it broke"}`
		}
		_, _ = io.WriteString(w, said)
	}))
	t.Cleanup(backend.Close)
	set, err := function.New([]function.Config{{Name: "f", Invoke: &function.Remote{Endpoint: backend.URL, Function: "f", Region: "us-east-1", Unsigned: true}}}, function.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := set.Run(ctx); err != nil {
			t.Errorf("the functions: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	f, _ := set.Lookup("f")
	return f
}

// TestFunction: what a fulfillment is told, and what becomes of its answer.
func TestFunction(t *testing.T) {
	t.Parallel()
	events := make(chan map[string]any, 1)
	answers := make(chan string, 1)
	f := fulfillment(t, func(event map[string]any) string {
		events <- event
		return <-answers
	})
	r := start(t, lex.Config{Fulfill: f})

	answers <- `{"sessionState":{"dialogAction":{"type":"Close"},"intent":{"name":"Mine","state":"Fulfilled"}},
		"messages":[{"contentType":"CustomPayload","content":"**bold**"}],"sessionId":"x","requestAttributes":null}`
	_, _, got := r.send(t, "POST", bot+"/text", `{"text":"Hi","sessionState":{"sessionAttributes":{"streamingEndpoint":"https://x"}}}`)
	event := <-events
	if event["inputTranscript"] != "Hi" || event["sessionId"] != "us-east-1:abc" || event["invocationSource"] != "FulfillmentCodeHook" ||
		at(event, "sessionState", "intent", "name") != "FallbackIntent" || at(event, "sessionState", "sessionAttributes", "streamingEndpoint") != "https://x" {
		t.Errorf("the function was told %v", event)
	}
	if at(got, "sessionState", "intent", "name") != "Mine" || at(got, "sessionState", "sessionAttributes", "streamingEndpoint") != "https://x" ||
		got["sessionId"] != "us-east-1:abc" || got["requestAttributes"] == nil || len(got["messages"].([]any)) != 1 {
		t.Errorf("got %v", got)
	}

	answers <- `{"sessionState":{"sessionAttributes":{"new":"2"}}}`
	_, _, got = r.send(t, "POST", bot+"/text", `{"text":"Hi"}`)
	<-events
	if at(got, "sessionState", "sessionAttributes", "new") != "2" || at(got, "sessionState", "sessionAttributes", "streamingEndpoint") != nil {
		t.Errorf("got %v", got)
	}

	answers <- ""
	_, _, got = r.send(t, "POST", bot+"/text", `{"text":"Hi"}`)
	<-events
	if at(got, "sessionState", "intent", "state") != "Failed" || len(got["messages"].([]any)) != 1 {
		t.Errorf("after a failure: got %v", got)
	}

	for _, unusable := range []string{`null`, `"text"`, `[]`} {
		answers <- unusable
		if _, head, _ := r.send(t, "POST", bot+"/text", `{"text":"Hi"}`); head.Get("X-Amzn-Errortype") != "DependencyFailedException" {
			t.Errorf("%s: got %s", unusable, head.Get("X-Amzn-Errortype"))
		}
		<-events
	}
}

// call makes a call of a service at the root.
func (r *rig) call(t *testing.T, target, body string, header ...string) (int, map[string]any) {
	t.Helper()
	code, _, got := r.send(t, "POST", "/", body, append(header, "X-Amz-Target", target)...)
	return code, got
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	const getID, get = "AWSCognitoIdentityService.GetId", "AWSCognitoIdentityService.GetCredentialsForIdentity"
	r := start(t, lex.Config{Guests: true})
	_, got := r.call(t, getID, `{"IdentityPoolId":"us-east-1:x"}`)
	guest, _ := got["IdentityId"].(string)
	_, got = r.call(t, get, `{"IdentityId":"`+guest+`"}`)
	if key, _ := at(got, "Credentials", "AccessKeyId").(string); !strings.HasPrefix(key, "ASIA") || at(got, "Credentials", "Expiration").(float64) < 1e9 {
		t.Errorf("got %v", got)
	}
	login := func(token string) string { return `"Logins":{"cognito-idp.x/y":"` + token + `"}` }
	_, got = r.call(t, getID, `{`+login("ada")+`}`)
	ada, _ := got["IdentityId"].(string)
	if _, got = r.call(t, getID, `{`+login("ada")+`}`); got["IdentityId"] != ada {
		t.Errorf("two identities of one person: %v and %s", got, ada)
	}
	closed := start(t, lex.Config{})
	for _, tt := range []struct {
		rig          *rig
		target, body string
		want         any
	}{
		{r, get, `{"IdentityId":"` + ada + `",` + login("ada") + `}`, nil},
		{r, get, `{"IdentityId":"` + ada + `"}`, "NotAuthorizedException"},
		{r, get, `{"IdentityId":"` + ada + `",` + login("bob") + `}`, "NotAuthorizedException"},
		{r, get, `{"IdentityId":"` + guest + `",` + login("bob") + `}`, "NotAuthorizedException"},
		{r, get, `{"IdentityId":"` + ada + `",` + login("bad") + `}`, "NotAuthorizedException"},
		{r, get, `{"IdentityId":"` + ada + `",` + login("reader") + `}`, "NotAuthorizedException"},
		{r, getID, `{` + login("reader") + `}`, "NotAuthorizedException"},
		{r, get, `{"IdentityId":"us-east-1:no"}`, "InvalidParameterException"},
		{r, get, `{"IdentityId":"a\nb:12345678-1234-4234-8234-123456789abc"}`, "InvalidParameterException"},
		{r, get, `{`, "InvalidParameterException"},
		{r, "AWSCognitoIdentityService.Else", `{}`, "InvalidParameterException"},
		{closed, getID, `{}`, "NotAuthorizedException"},
		{closed, get, `{"IdentityId":"` + guest + `"}`, "NotAuthorizedException"},
		{closed, get, `{"IdentityId":"` + ada + `",` + login("ada") + `}`, nil},
	} {
		if _, got := tt.rig.call(t, tt.target, tt.body); got["__type"] != tt.want {
			t.Errorf("%s %s: got %v", tt.target, tt.body, got)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{Table: "t"})
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	var answering sync.WaitGroup
	answering.Go(func() { // or the connections would be those of a node that has died
		_ = r.engine.Answer(ctx, "here", func() { close(ready) }, func(context.Context, []byte) []byte { return nil })
	})
	<-ready
	t.Cleanup(func() {
		cancel()
		answering.Wait()
	})
	const key = `{"TableName":"t","Key":{"sessionId":{"S":"us-east-1:abc"}}}`
	do := func(operation, body string, caller string) map[string]any {
		_, got := r.call(t, "DynamoDB_20120810."+operation, body, as, caller)
		return got
	}
	if diff := cmp.Diff(map[string]any{}, do("GetItem", key, "service")); diff != "" {
		t.Errorf("a session without connections: %s", diff)
	}
	now := time.Now()
	for i, id := range []string{"old=", "new="} {
		if err := r.engine.Connected(t.Context(), runnel.Connection{ID: id, Session: "us-east-1:abc", Node: "here", Opened: now.Add(time.Duration(i-2) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	got := do("GetItem", key, "service")
	if at(got, "Item", "connectionId", "S") != "new=" || at(got, "Item", "sessionId", "S") != "us-east-1:abc" || at(got, "Item", "ttl", "N") == "" {
		t.Errorf("got %v", got)
	}
	do("PutItem", `{"TableName":"t","Item":{"sessionId":{"S":"us-east-1:abc"},"connectionId":{"S":"put="},"ttl":{"N":"1.5"}}}`, "service")
	if got := do("GetItem", key, "service"); at(got, "Item", "connectionId", "S") != "put=" {
		t.Errorf("after PutItem: %v", got)
	}
	do("DeleteItem", key, "service")
	if got := do("GetItem", key, "service"); len(got) > 0 {
		t.Errorf("after DeleteItem: %v", got)
	}
	for _, tt := range []struct{ operation, body, caller, want string }{
		{"GetItem", strings.Replace(key, `"t"`, `"u"`, 1), "service", "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"},
		{"GetItem", key, "ada", "com.amazon.coral.service#AccessDeniedException"},
		{"GetItem", `{"TableName":"t","Key":{}}`, "service", "com.amazon.coral.validate#ValidationException"},
		{"PutItem", `{"TableName":"t","Item":{"sessionId":{"S":"a"},"connectionId":{"S":"no"}}}`, "service", "com.amazon.coral.validate#ValidationException"},
		{"Scan", `{}`, "service", "com.amazonaws.dynamodb.v20120810#UnknownOperationException"},
	} {
		if got := do(tt.operation, tt.body, tt.caller); got["__type"] != tt.want {
			t.Errorf("%s %s: got %v", tt.operation, tt.body, got)
		}
	}
}

// Guests are told from those who have shown a token, whose identities are stable.
func TestGuest(t *testing.T) {
	t.Parallel()
	r := start(t, lex.Config{Guests: true})
	for body, want := range map[string]bool{`{}`: true, `{"Logins":{"a":"ada"}}`: false} {
		_, got := r.call(t, "AWSCognitoIdentityService.GetId", body)
		id, _ := got["IdentityId"].(string)
		if got := lex.Guest(&runnel.Principal{ID: sigv4.IssuedPrincipal + id}); id == "" || got != want {
			t.Errorf("%s, %s: a guest: %t", body, id, got)
		}
		if lex.Guest(&runnel.Principal{ID: "key:" + id}) {
			t.Errorf("key:%s is a guest", id)
		}
	}
}
