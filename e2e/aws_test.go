package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/modelserver"
)

// The functions under deploy/aws run here as they run on Lambda: the same programs,
// behind Runnel's Runtime API, with Runnel as their AppSync, API Gateway, DynamoDB,
// Lambda and Bedrock. Only SNS and SQS are stood in for.

// buildFunctions returns the folder with the programs.
var buildFunctions = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "functions")
	out, err := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", dir+"/", "../deploy/aws/functions/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, nil
})

// A cloud is a gateway with the functions, in place of AWS.
type cloud struct {
	*gateway
	model *modelserver.Server
	key   string // a service's API key
	token string // of a user, whom the authorizer knows
}

// cloudOptions say what is different in one test.
type cloudOptions struct {
	model   string // settings of the model's stand-in
	queue   string // the variable that tells the data source where prompts go
	repeat  int    // how often each prompt is delivered; 0: once
	flaws   []flaw // what the orchestrator meets with on its way to AppSync
	timeout string // of the orchestrator; empty: a minute
	apiKey  bool   // mutations carry one, and no signature
}

func startCloud(t *testing.T, o cloudOptions) *cloud {
	t.Helper()
	dir, err := buildFunctions()
	if err != nil {
		t.Fatal(err)
	}
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{key: key}
	var model string
	c.model, model = startModel(t, o.model)
	issuer, token := startIssuer(t)
	c.token = token

	addr := freePort(t)
	q := startQueues(t, func(event any) ([]byte, error) { return c.invoker(context.Background(), "orchestrator", key)(event) })
	q.repeat = max(o.repeat, 1)

	environments := map[string][]string{
		"datasource": {o.queue, "AWS_ENDPOINT_URL_SNS=" + q.server.URL, "AWS_ENDPOINT_URL_SQS=" + q.server.URL},
		"orchestrator": {
			"APPSYNC_GRAPHQL_ENDPOINT=" + startFlawed(t, addr, o.flaws...) + "/graphql", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://" + addr,
		},
		"websocket": {
			"DETACH=true", "CONNECTIONS_TABLE=runnel-streaming", "AWS_ENDPOINT_URL=http://" + addr,
			"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI=http://" + addr + "/prod",
		},
		"authorizer": {"ISSUER=" + issuer, "CLIENT_IDS=web"},
		"url":        {"ISSUER=" + issuer, "CLIENT_IDS=web", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://" + addr},
		"lex": {
			"CONNECTIONS_TABLE=runnel-streaming", "STREAMING_ENDPOINT=http://" + addr + "/prod", "AWS_ENDPOINT_URL_DYNAMODB=http://" + addr,
			"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://" + addr,
		},
	}
	if o.apiKey {
		environments["orchestrator"] = append(environments["orchestrator"], "APPSYNC_API_KEY="+key)
	}
	config := cloudConfig(t, dir, addr, cmp.Or(o.timeout, "1m"), environments)
	config["keys"] = []any{map[string]any{"name": "backend", "hash": hash}}
	config["models"] = map[string]any{"real": []string{model}}
	text, _ := json.Marshal(config) // JSON is YAML; plain values always encode
	file := filepath.Join(t.TempDir(), "runnel.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.gateway = newGatewayAt(t, addr, "--config", file)
	t.Cleanup(func() {
		q.handling.Wait() // what it calls is about to end
		if len(q.failed) > 0 {
			t.Errorf("the queue is to deliver again: %q", q.failed)
		}
	})
	return c
}

// cloudConfig is the gateway's configuration, but for keys and models, with the
// functions and their environments.
func cloudConfig(t *testing.T, dir, addr, timeout string, environments map[string][]string) map[string]any {
	type m = map[string]any
	var functions, keys []m
	for name, env := range environments {
		f := m{"name": name, "command": []string{filepath.Join(dir, name)}, "timeout": "1m"}
		if name == "orchestrator" {
			f["timeout"] = timeout
		}
		if name == "url" {
			f["url"] = m{"auth": "none", "mode": "stream"}
		}
		if actions := deployedActions(t, name); len(actions) > 0 {
			keys = append(keys, m{"access_key": cloudAccess(name), "secret": cloudSecret, "actions": actions})
			env = append(env, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+cloudAccess(name), "AWS_SECRET_ACCESS_KEY="+cloudSecret)
		}
		f["env"] = append(env, "MODEL=bedrock/anthropic.claude-3-sonnet-20240229-v1:0")
		functions = append(functions, f)
	}
	keys = append(keys, m{"access_key": cloudAccess("client"), "secret": cloudSecret, "actions": deployedActions(t, "client")})
	route := func(key string) m { return m{"key": key, "integration": "http", "url": "function://websocket"} }
	field := func(name string) m { return m{"field": name, "do": "function", "function": "datasource"} }
	return m{
		"iam":            m{"keys": keys},
		"model":          []string{"echo"},
		"bedrock_models": []m{{"id": "anthropic.*", "model": "real"}},
		"functions":      functions,
		"graphql":        m{"fields": []m{field("Query.getLlmResponse"), field("Mutation.startStream"), field("Mutation.ModelSet")}},
		"webhook":        m{"form": "apigateway", "url": "function://authorizer", "identity_sources": []string{"route.request.querystring.token"}},
		"websocket_apis": []m{{"name": "chat", "stages": []string{"prod"}, "routes": []m{
			route("$connect"), route("$disconnect"), route("$default"), route("sendtext"), route("sendMessage"),
		}}},
		"lex": m{"function": "lex"},
	}
}

const cloudSecret = "a secret of sixteen letters and more"

// cloudAccess returns the access key of a function.
func cloudAccess(function string) string { return "AKIDE2E" + strings.ToUpper(function) }

var actionsOf = regexp.MustCompile(`"([a-z-]+:[A-Za-z]+)"`)

// deployedActions returns what the function may do where Terraform deploys it: it
// may do no more here. Which resources it may do it to, only AWS tells.
func deployedActions(t *testing.T, function string) (actions []string) {
	t.Helper()
	place, ok := map[string][2]string{
		"datasource": {"appsync/functions.tf", "datasource"}, "orchestrator": {"appsync/functions.tf", "orchestrator"},
		"websocket": {"websocket/main.tf", "function"}, "url": {"function-url/main.tf", "function"},
		"lex": {"lex/main.tf", "fulfillment"}, "client": {"lex/main.tf", "client"},
	}[function]
	if !ok {
		return nil
	}
	text, err := os.ReadFile("../deploy/aws/terraform/modules/" + place[0])
	if err != nil {
		t.Fatal(err)
	}
	_, document, _ := strings.Cut(string(text), `data "aws_iam_policy_document" "`+place[1]+`" {`)
	document, _, _ = strings.Cut(document, "\n}\n")
	for _, match := range actionsOf.FindAllStringSubmatch(document, -1) {
		actions = append(actions, match[1])
	}
	if len(actions) == 0 {
		t.Fatalf("%s has no policy %s", place[0], place[1])
	}
	return actions
}

// startIssuer serves the keys of an OIDC provider and returns a token of its.
func startIssuer(t *testing.T) (issuer, token string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}}
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			answer = map[string]string{"issuer": server.URL, "jwks_uri": server.URL + "/jwks.json"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err = jwt.Signed(signer).Claims(map[string]any{
		"iss": server.URL, "sub": "ada", "client_id": "web", "aud": "web", "azp": "web", "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, token
}

// An appsyncClient has one subscription.
type appsyncClient struct {
	t  *testing.T
	ws *websocket.Conn
}

// subscribe returns when the subscription stands.
func (c *cloud) subscribe(t *testing.T, query string, variables map[string]any) *appsyncClient {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), "ws://"+c.addr+"/graphql/realtime", &websocket.DialOptions{
		Subprotocols: []string{"graphql-ws"}, HTTPHeader: http.Header{"X-Api-Key": {c.key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	s := &appsyncClient{t, ws}
	data, _ := json.Marshal(map[string]any{"query": query, "variables": variables}) // plain values always encode
	start, _ := json.Marshal(map[string]any{"id": "1", "type": "start", "payload": map[string]any{
		"data": string(data), "extensions": map[string]any{"authorization": map[string]string{"host": c.addr, "x-api-key": c.key}},
	}})
	for _, frame := range []string{`{"type":"connection_init"}`, string(start)} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if kind, payload := s.frame(); kind == "start_ack" {
			return s
		} else if kind == "error" {
			t.Fatalf("the subscription is refused: %s", payload)
		}
	}
}

func (s *appsyncClient) frame() (kind string, payload json.RawMessage) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	_, frame, err := s.ws.Read(ctx)
	var f struct {
		Type    string
		Payload json.RawMessage
	}
	if err == nil {
		err = json.Unmarshal(frame, &f)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", frame, err)
	}
	return f.Type, f.Payload
}

// next reads the next event of the field into v.
func (s *appsyncClient) next(field string, v any) {
	s.t.Helper()
	for {
		kind, payload := s.frame()
		if kind != "data" {
			continue
		}
		var p struct {
			Data   map[string]json.RawMessage
			Errors json.RawMessage
		}
		if err := json.Unmarshal(payload, &p); err != nil || p.Errors != nil || json.Unmarshal(p.Data[field], v) != nil {
			s.t.Fatalf("an event of %s is %s: %v", field, payload, err)
		}
		return
	}
}

// ask executes a query or mutation and returns its data.
func (c *cloud) ask(t *testing.T, query string, variables map[string]any) map[string]json.RawMessage {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables}) // plain values always encode
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url("/graphql"), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []any
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%s: %v, %v", query, answer.Errors, err)
	}
	return answer.Data
}

const (
	askLlm       = `query($s: String!, $m: String!, $l: String!) { getLlmResponse(input: {sessionId: $s, message: $m, locale: $l}) { messages { content contentType } locale sessionId } }`
	watchLlm     = `subscription($s: String!) { onSendMessage(sessionId: $s) { locale message sessionId timeStamp } }`
	askToken     = `mutation($p: String!) { startStream(prompt: $p) { sessionId status timestamp } }`
	watchToken   = `subscription($s: String!) { onTokenReceived(sessionId: $s) { sessionId token isComplete timestamp } }`
	askChunk     = `mutation($p: String) { ModelSet(prompt: $p) }`
	watchChunk   = `subscription { chat }`
	snsTopic     = "TOPIC_ARN=arn:aws:sns:us-east-1:123456789012:prompts"
	sqsQueue     = "QUEUE_URL=https://sqs.us-east-1.amazonaws.com/123456789012/prompts"
	markerStart  = "#START_STREAM#"
	markerEnd    = "#END_STREAM#"
	markerFailed = "#STREAM_ERROR#"
)

// messages reads those of onSendMessage until the one that ends the answer.
func (s *appsyncClient) messages() (all []string) {
	s.t.Helper()
	for {
		var m struct{ Message string }
		s.next("onSendMessage", &m)
		if all = append(all, m.Message); m.Message == markerEnd || m.Message == markerFailed {
			return all
		}
	}
}

// TestAWSMarkers is the design with SNS, whose answers stand between markers.
func TestAWSMarkers(t *testing.T) {
	t.Parallel()
	const tokens = 60
	for _, tt := range []struct {
		name  string
		flaws []flaw
	}{
		{"all well", nil},
		// There are three mutations at least, however slow it all is.
		{"throttled and broken", []flaw{throttled, broken, whole, refusing, failing, deaf, whole, deaf, failing, throttled, whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: snsTopic, flaws: tt.flaws})
			const question = "What is a log?"
			s := c.subscribe(t, watchLlm, map[string]any{"s": "x1"})
			got := c.ask(t, askLlm, map[string]any{"s": "x1", "m": question, "l": "en_US"})
			const want = `{"messages":[{"content":"success","contentType":"PlainText"}],"locale":"en_US","sessionId":"x1"}`
			if string(got["getLlmResponse"]) != want {
				t.Errorf("the query is answered with %s, want %s", got["getLlmResponse"], want)
			}
			all := s.messages()
			if all[0] != markerStart || all[len(all)-1] != markerEnd {
				t.Errorf("it begins with %q and ends with %q", all[0], all[len(all)-1])
			}
			if text := strings.Join(all[1:len(all)-1], ""); text != modelserver.Text(question, tokens) {
				t.Errorf("got %q, want %q", text, modelserver.Text(question, tokens))
			}
		})
	}
}

// TestAWSMarkersFailure: what came before the model failed, a sentence in the reader's
// language, and the marker.
func TestAWSMarkersFailure(t *testing.T) {
	t.Parallel()
	c := startCloud(t, cloudOptions{model: "tokens=30 tps=100", queue: snsTopic})
	for _, tt := range []struct{ name, question, locale, sentence string }{
		{"in the middle", "Why? [[fault:error-after=10]]", "fr_CA", "Désolé, je n'ai pas pu répondre à votre question."},
		{"at once", "Why? [[fault:status=400]]", "en_US", "Sorry, I was not able to answer your question."},
	} {
		s := c.subscribe(t, watchLlm, map[string]any{"s": tt.name})
		c.ask(t, askLlm, map[string]any{"s": tt.name, "m": tt.question, "l": tt.locale})
		all := s.messages()
		text := ""
		if tt.name == "in the middle" {
			text = modelserver.Text(tt.question, 10)
		}
		if n := len(all); n < 3 || all[0] != markerStart || strings.Join(all[1:n-2], "") != text || all[n-2] != tt.sentence || all[n-1] != markerFailed {
			t.Errorf("%s: got %q", tt.name, all)
		}
	}
}

// TestAWSTimeIsOver: a model that falls silent does not take the function with it.
func TestAWSTimeIsOver(t *testing.T) {
	t.Parallel()
	c := startCloud(t, cloudOptions{model: "tokens=30", queue: snsTopic, timeout: "30s"})
	s := c.subscribe(t, watchLlm, map[string]any{"s": "x"})
	const question = "Why? [[fault:stall-after=10]]"
	c.ask(t, askLlm, map[string]any{"s": "x", "m": question, "l": "en_US"})
	all := s.messages()
	if n := len(all); n < 4 || strings.Join(all[1:n-2], "") != modelserver.Text(question, 10) || all[n-1] != markerFailed {
		t.Errorf("got %q", all)
	}
}

// TestAWSTokens is the design with SQS: the session's id comes with the answer, and
// the subscription after it.
func TestAWSTokens(t *testing.T) {
	t.Parallel()
	const tokens = 40
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: sqsQueue, flaws: []flaw{throttled, whole, deaf, broken, failing}})
	for _, tt := range []struct {
		question string
		tokens   int
	}{{"Why?", tokens}, {"Why not? [[fault:error-after=7]]", 7}} {
		var started struct{ SessionID, Status, Timestamp string }
		if err := json.Unmarshal(c.ask(t, askToken, map[string]any{"p": tt.question})["startStream"], &started); err != nil || started.Status != "streaming_started" {
			t.Fatalf("%+v, %v", started, err)
		}
		s := c.subscribe(t, watchToken, map[string]any{"s": started.SessionID})
		text := ""
		for complete := false; !complete; {
			var ev struct {
				SessionID, Token, Timestamp string
				IsComplete                  bool
			}
			s.next("onTokenReceived", &ev)
			text += ev.Token
			if complete = ev.IsComplete; ev.SessionID != started.SessionID || ev.Timestamp == "" || complete && ev.Token != "" {
				t.Errorf("got %+v", ev)
			}
		}
		if text != modelserver.Text(tt.question, tt.tokens) {
			t.Errorf("got %q, want %q", text, modelserver.Text(tt.question, tt.tokens))
		}
	}
}

// TestAWSChunks is the design whose schema has nothing but chunks.
func TestAWSChunks(t *testing.T) {
	t.Parallel()
	const tokens, question = 40, "Why?"
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: sqsQueue, apiKey: true, flaws: []flaw{failing, broken, deaf, throttled}})
	s := c.subscribe(t, watchChunk, nil)
	if got := c.ask(t, askChunk, map[string]any{"p": question})["ModelSet"]; string(got) != "true" {
		t.Errorf("ModelSet is %s", got)
	}
	text, want := "", modelserver.Text(question, tokens)
	for len(text) < len(want) {
		var chunk string
		s.next("chat", &chunk)
		text += chunk
	}
	if text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// TestAWSDeliveredAgain: without a ledger, which needs a table that Runnel has not,
// a message that is delivered twice is answered twice, and each answer is whole.
func TestAWSDeliveredAgain(t *testing.T) {
	t.Parallel()
	const tokens, question = 12, "Why?"
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=200", tokens), queue: sqsQueue, repeat: 2})
	s := c.subscribe(t, watchLlm, map[string]any{"s": "x"})
	c.ask(t, askLlm, map[string]any{"s": "x", "m": question, "l": "en_US"})
	for range 2 {
		all := s.messages()
		if n := len(all); all[0] != markerStart || strings.Join(all[1:n-1], "") != modelserver.Text(question, tokens) || all[n-1] != markerEnd {
			t.Errorf("got %q", all)
		}
	}
}

// dial opens a WebSocket and returns the handshake's status if it is refused.
func (c *cloud) dial(t *testing.T, target string) (*websocket.Conn, int) {
	t.Helper()
	ws, resp, err := websocket.Dial(t.Context(), "ws://"+c.addr+target, nil)
	if err != nil {
		if resp == nil {
			t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws, http.StatusSwitchingProtocols
}

func say(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, frame, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(frame)
}

// TestAWSWebSocket is the design with API Gateway: an authorizer, routes, and posts.
func TestAWSWebSocket(t *testing.T) {
	t.Parallel()
	const tokens = 30
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: sqsQueue})
	for target, want := range map[string]int{"/prod": 401, "/prod?token=nonsense": 403, "/prod?token=" + c.token: 101} {
		if _, got := c.dial(t, target); got != want {
			t.Errorf("%.30s: the handshake is answered with %d, want %d", target, got, want)
		}
	}
	ws, _ := c.dial(t, "/prod?token="+c.token)
	ws.SetReadLimit(1 << 20)
	for _, tt := range []struct {
		question string
		tokens   int
		failed   bool
	}{{"Why?", tokens, false}, {"Why not? [[fault:error-after=5]]", 5, true}} {
		message, _ := json.Marshal(map[string]string{"action": "sendMessage", "prompt": tt.question}) // strings always encode
		say(t, ws, string(message))
		text := ""
		for {
			var f struct {
				Token, Error string
				IsComplete   bool
			}
			if err := json.Unmarshal([]byte(hear(t, ws)), &f); err != nil {
				t.Fatal(err)
			}
			if text += f.Token; f.IsComplete {
				if tt.failed != (f.Error != "") {
					t.Errorf("%s: it ends with the error %q", tt.question, f.Error)
				}
				break
			}
		}
		if text != modelserver.Text(tt.question, tt.tokens) {
			t.Errorf("got %q, want %q", text, modelserver.Text(tt.question, tt.tokens))
		}
	}

	const question = "What can you do?"
	say(t, ws, `{"action": "sendtext", "text": "`+question+`"}`)
	for text, want := "", modelserver.Text(question, tokens); text != want; {
		var piece string
		if err := json.Unmarshal([]byte(hear(t, ws)), &piece); err != nil || !strings.HasPrefix(want, text+piece) {
			t.Fatalf("behind %q came %q: %v", text, piece, err)
		}
		text += piece
	}
	say(t, ws, `{"action": "dance"}`)
	if got := hear(t, ws); !strings.Contains(got, "sendtext, stream or sendMessage") {
		t.Errorf("an unknown action is answered with %s", got)
	}
	if got := c.log.String(); strings.Contains(got, `"level":"ERROR"`) {
		t.Error("a function has logged an error")
	}
}

// TestAWSClientLeaves: posts to a client that has left end with 410, and the model is
// not asked for more.
func TestAWSClientLeaves(t *testing.T) {
	t.Parallel()
	c := startCloud(t, cloudOptions{model: "tokens=100000 tps=50", queue: sqsQueue})
	ws, _ := c.dial(t, "/prod?token="+c.token)
	say(t, ws, `{"action": "sendtext", "text": "Go on for ever."}`)
	hear(t, ws)
	hear(t, ws)
	_ = ws.Close(websocket.StatusNormalClosure, "")
	for deadline := time.Now().Add(time.Minute); c.model.Stats().Aborted == 0; retryPause() {
		if time.Now().After(deadline) {
			t.Fatalf("the model is still being asked: %+v", c.model.Stats())
		}
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(c.log.String(), "the client has left"); retryPause() {
		if time.Now().After(deadline) {
			t.Fatal("the function does not know why")
		}
	}
}

// TestAWSFunctionURL is the design with a function URL that streams.
func TestAWSFunctionURL(t *testing.T) {
	t.Parallel()
	const tokens = 30
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: sqsQueue})
	open := func(token, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url("/functions/url/"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	post := func(token, body string) (int, string, error) {
		t.Helper()
		resp := open(token, body)
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	status, text, err := post(c.token, `{"prompt":"Why?"}`)
	if status != 200 || err != nil || text != modelserver.Text("Why?", tokens) {
		t.Errorf("got %d %q, %v", status, text, err)
	}
	// What there is of an answer is there before the rest.
	const silent = "[[fault:stall-after=5]]"
	begin := make([]byte, len(modelserver.Text(silent, 5)))
	if _, err := io.ReadFull(open(c.token, `{"prompt":"`+silent+`"}`).Body, begin); err != nil || string(begin) != modelserver.Text(silent, 5) {
		t.Errorf("of a model that falls silent: %q, %v", begin, err)
	}
	for _, tt := range []struct {
		name, token, body string
		status            int
		text              string
	}{
		{"no token", "", `{"prompt":"Why?"}`, 401, `{"error":"credentials are required"}`},
		{"another's token", "nonsense", `{"prompt":"Why?"}`, 401, `{"error":"the credentials are not valid"}`},
		{"no prompt", c.token, `{}`, 400, `{"error":"the prompt is empty"}`},
		{"a model that refuses", c.token, `{"prompt":"[[fault:status=400]]"}`, 502, `{"error":"the model refused the prompt"}`},
	} {
		if status, text, err := post(tt.token, tt.body); status != tt.status || text != tt.text || err != nil {
			t.Errorf("%s: got %d %s, %v", tt.name, status, text, err)
		}
	}
	const broken = "[[fault:error-after=5]]"
	if status, text, err := post(c.token, `{"prompt":"`+broken+`"}`); status != 200 || text != modelserver.Text(broken, 5) || err == nil {
		t.Errorf("a model that fails: got %d %q, %v", status, text, err)
	}
}

// TestAWSLex is the design with Lex: the answer streams to the session's WebSocket,
// which is found in the table, and is the final message as well.
func TestAWSLex(t *testing.T) {
	t.Parallel()
	const tokens = 30
	c := startCloud(t, cloudOptions{model: fmt.Sprintf("tokens=%d tps=60", tokens), queue: sqsQueue})
	recognize := func(session, text string, attributes map[string]string) (answer struct {
		Messages     []struct{ ContentType, Content string }
		SessionState struct {
			SessionAttributes map[string]string
			DialogAction      struct{ Type string }
			Intent            struct{ State string }
		}
	}) {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"text": text, "sessionState": map[string]any{"sessionAttributes": attributes}}) // plain values always encode
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url("/bots/B/botAliases/A/botLocales/en_US/sessions/"+session+"/text"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		creds := aws.Credentials{AccessKeyID: cloudAccess("client"), SecretAccessKey: cloudSecret}
		if err := v4.NewSigner().SignHTTP(t.Context(), creds, req, hex.EncodeToString(sum[:]), "lex", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text2, err := io.ReadAll(resp.Body)
		if err == nil {
			err = json.Unmarshal(text2, &answer)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("RecognizeText is answered with %d %s, %v", resp.StatusCode, text2, err)
		}
		return answer
	}
	wants := map[string]string{"streamingEndpoint": "https://somewhere.else.example/Prod", "streamingDynamoDbTable": "some-table"}
	const session, question = "lex-web-ui-1a2b", "Why?"
	ws, _ := c.dial(t, "/prod?sessionId="+session+"&token="+c.token)
	got := recognize(session, question, wants)
	want := modelserver.Text(question, tokens)
	if len(got.Messages) != 1 || got.Messages[0].ContentType != "CustomPayload" || got.Messages[0].Content != want {
		t.Errorf("the final messages are %q", got.Messages)
	}
	if s := got.SessionState; s.DialogAction.Type != "Close" || s.Intent.State != "Fulfilled" || s.SessionAttributes["streamingDynamoDbTable"] != "some-table" {
		t.Errorf("the state is %+v", s)
	}
	for streamed := ""; streamed != want+" "; {
		piece := hear(t, ws)
		if !strings.HasPrefix(want+" ", streamed+piece) {
			t.Fatalf("behind %q came %q", streamed, piece)
		}
		streamed += piece
	}

	// The tab is closed: the row is stale, or gone, and the answer comes all the same.
	_ = ws.Close(websocket.StatusNormalClosure, "")
	for _, attributes := range []map[string]string{wants, nil} {
		if got := recognize(session, question, attributes); len(got.Messages) != 1 || got.Messages[0].Content != want || got.SessionState.SessionAttributes == nil {
			t.Errorf("without a socket: %+v", got)
		}
	}
	const failing = "[[fault:error-after=4]]"
	if got := recognize(session, failing, nil); len(got.Messages) != 2 || got.Messages[0].Content != modelserver.Text(failing, 4) || got.SessionState.Intent.State != "Failed" {
		t.Errorf("with a model that fails: %+v", got)
	}
}
