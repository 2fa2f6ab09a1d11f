package appsync_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

const modelSet = `{"data":{"ModelSet":true}}`

func TestItem1(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.post(t, "/graphql", `{"query":"mutation { ModelSet }"}`).want(200, modelSet)
	r.post(t, "/graphql/", `{"query":"mutation { ModelSet }"}`).want(200, modelSet)
}

func TestItem2(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for _, kind := range []string{"application/json; charset=UTF-8", "application/x-amz-json-1.1", "application/graphql", "text/plain"} {
		r.post(t, "/graphql", `{"query":"mutation { ModelSet }"}`, "Content-Type", kind).want(200, modelSet)
	}
}

// Members and variables that nobody knows, and those that are missing.
func TestItem3(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.post(t, "/graphql", `{"query":"mutation { ModelSet }","extensions":{"clientLibrary":{"name":"x"}},"x":1}`).want(200, modelSet)
}

func TestItem4(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.post(t, "/graphql", `{"query":"mutation { ModelSet }","variables":{"history":[1]}}`).want(200, modelSet)
}

func TestItem5(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for _, variables := range []string{`,"variables":null`, ``, `,"variables":{}`} {
		r.post(t, "/graphql", `{"query":"mutation { ModelSet }"`+variables+`}`).want(200, modelSet)
	}
}

func TestItem6(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	const two = `"mutation A { ModelSet } mutation B { b: ModelSet }"`
	r.post(t, "/graphql", `{"query":`+two+`,"operationName":"B"}`).want(200, `{"data":{"b":true}}`)
	if got := r.post(t, "/graphql", `{"query":`+two+`}`); !strings.Contains(got.body, "Must provide operation name") {
		t.Errorf("got %s", got.body)
	}
}

func TestItem7(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	for _, name := range []string{"x-api-key", "X-Api-Key", "X-API-KEY"} {
		r.ask(t, "mutation { ModelSet }", "", name, g.apiKey).want(200, modelSet)
	}
}

func TestItem8(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	for _, header := range [][]string{nil, {"x-api-key", "da2-wrong"}, {"Authorization", "Bearer " + g.token("access", -time.Hour)}} {
		got := r.ask(t, "mutation { ModelSet }", "", header...)
		got.want(401, `{"errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call."}]}`)
		if kind := got.header.Get("x-amzn-ErrorType"); kind != "UnauthorizedException" {
			t.Errorf("x-amzn-ErrorType is %q", kind)
		}
	}
}

func TestItem9(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	for _, token := range []string{g.token("access", time.Hour), g.token("id", time.Hour)} {
		for _, prefix := range []string{"", "Bearer "} {
			r.ask(t, "mutation { ModelSet }", "", "Authorization", prefix+token).want(200, modelSet)
		}
	}
}

func TestItem10(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	const body = `{"query":"mutation { ModelSet }"}`
	host := strings.TrimPrefix(r.url, "http://")
	header := sign(host, "/graphql", body, "content-type", "application/x-amz-json-1.1")
	r.post(t, "/graphql", body, pairs(header)...).want(200, modelSet)
}

func TestItem11(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	host := strings.TrimPrefix(r.url, "http://")
	// As Apollo's link signs it, and as its client sends it.
	const signed, sent = `{"operationName":"M","variables":{},"query":"mutation M { ModelSet }"}`,
		`{"operationName":"M","variables":{},"extensions":{"clientLibrary":{}},"query":"mutation M { ModelSet }"}`
	r.post(t, "/graphql", sent, pairs(sign(host, "/graphql", signed))...).want(200, modelSet)
	for _, other := range []string{
		`{"operationName":"M","variables":{},"query":"mutation M { x: ModelSet }"}`,
		`{"operationName":"M","variables":{},"extensions":{},"query":"mutation M { x: ModelSet }"}`,
	} {
		if got := r.post(t, "/graphql", other, pairs(sign(host, "/graphql", signed))...); got.status != 401 {
			t.Errorf("%s is answered with %d %s", other, got.status, got.body)
		}
	}
}

func TestItem12(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.post(t, "/graphql", "").want(400, `{"errors":[{"errorType":"MalformedHttpRequestException","message":"Request body is empty."}]}`)
}

func TestItem13(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for _, body := range []string{"{}", "[]", "meow", `[{"query":"{ __typename }"}]`, `{"query":1}`} {
		r.post(t, "/graphql", body).want(400, `{"errors":[{"errorType":"MalformedHttpRequestException","message":"Unable to parse GraphQL query."}]}`)
	}
}

func TestItem14(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	got := r.ask(t, "{ x }", "")
	if got.status != 200 || !strings.HasPrefix(got.body, `{"data":null,"errors":[{"path":null,"locations":[{"line":1,"column":3,"sourceName":null}],"message":"Validation error of type FieldUndefined`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestItem15(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.ask(t, `mutation { startStream(prompt: " ") { sessionId } }`, "").want(200,
		`{"data":null,"errors":[{"path":["startStream"],"data":null,"errorType":"BadRequestException","errorInfo":null,`+
			`"locations":[{"line":1,"column":12,"sourceName":null}],"message":"the prompt is empty"}]}`)
}

func TestItem16(t *testing.T) {
	t.Parallel()
	g, cfg := secured(t)
	r := start(t, says(), cfg)
	for name, got := range map[string]response{
		"good":         r.ask(t, "mutation { ModelSet }", "", "x-api-key", g.apiKey, "Origin", "https://page.example"),
		"unauthorized": r.ask(t, "mutation { ModelSet }", "", "Origin", "https://page.example"),
		"malformed":    r.post(t, "/graphql", "meow", "x-api-key", g.apiKey, "Origin", "https://page.example"),
		"events":       r.post(t, "/event", "meow", "x-api-key", g.apiKey, "Origin", "https://page.example"),
	} {
		if got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "x-amzn-ErrorType") {
			t.Errorf("%s: %d with %v", name, got.status, got.header)
		}
	}
}

func TestItem17(t *testing.T) {
	t.Parallel()
	_, cfg := secured(t)
	r := start(t, says(), cfg)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://page.example")
	req.Header.Set("Access-Control-Request-Method", "POST")
	req.Header.Set("Access-Control-Request-Headers", "x-api-key,x-mine")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	allowed := resp.Header.Get("Access-Control-Allow-Headers")
	for _, name := range []string{"x-api-key", "authorization", "content-type", "x-amz-user-agent", "x-amz-date", "x-amz-security-token", "x-mine"} {
		if !strings.Contains(allowed, name) {
			t.Errorf("%s is not allowed: %s", name, allowed)
		}
	}
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %s with %v", resp.Status, resp.Header)
	}
}

// Where nobody is asked for credentials, the pages of other sites stay out.
func TestOtherOriginsStayOut(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	got := r.ask(t, "mutation { ModelSet }", "", "Origin", "https://evil.example")
	if got.status != 403 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %d %s with %v", got.status, got.body, got.header)
	}
}

// remoteAPI is a schema whose field asks an endpoint.
func remoteAPI(url string) appsync.Config {
	return appsync.Config{
		Mode: graphql.ModeUnchecked,
		API: gqlapi.API{Schema: []string{"x"}, Fields: []gqlapi.Binding{
			{Field: "Mutation.ask", Do: gqlapi.HTTP, URL: url}, {Field: "Query.ask", Do: gqlapi.HTTP, URL: url},
		}},
		Sources: []graphql.Source{{Name: "x", Text: `
			schema { query: Query mutation: Mutation subscription: Subscription }
			type Query { ask: String }
			type Mutation { ask(x: Int): Answer }
			type Subscription { onAsk(x: Int): Answer @aws_subscribe(mutations: ["ask"]) }
			type Answer { x: Int text: String need: String! }`}},
	}
}

func TestItem18(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(block) })
	cfg := remoteAPI(srv.URL)
	cfg.Timeout = 10 * time.Millisecond // in place of half a minute
	r := start(t, says(), cfg)
	got := r.ask(t, "{ ask }", "")
	if got.status != 200 || !strings.Contains(got.body, `"errorType":"ExecutionTimeout"`) || !strings.Contains(got.body, `"message":"Execution timed out."`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestItem19(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	t.Cleanup(srv.Close)
	r := start(t, says(), remoteAPI(srv.URL))
	got := r.ask(t, "mutation { ask { x } }", "")
	if got.status != 200 || !strings.Contains(got.body, `"data":{"ask":null}`) || !strings.Contains(got.body, `"errors":[`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestItem20(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	r.ask(t, "subscription { chat }", "").want(400,
		`{"errors":[{"errorType":"BadRequestException","message":"Subscriptions over MQTT is not supported."}]}`)
}

// What an endpoint gets to know is what AppSync's direct resolvers tell functions.
func TestResolverEvent(t *testing.T) {
	t.Parallel()
	events := make(chan map[string]any, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ev map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ev); err != nil {
			t.Error(err)
		}
		events <- ev
		_, _ = w.Write([]byte(`{"x":7,"text":"hi","need":"y"}`))
	}))
	t.Cleanup(srv.Close)
	r := start(t, says(), remoteAPI(srv.URL))
	r.ask(t, "mutation { ask(x: 7) { x text } }", "", "X-Mine", "yes").want(200, `{"data":{"ask":{"x":7,"text":"hi"}}}`)
	ev := <-events
	info, _ := ev["info"].(map[string]any)
	request, _ := ev["request"].(map[string]any)
	headers, _ := request["headers"].(map[string]any)
	arguments, _ := ev["arguments"].(map[string]any)
	if arguments["x"] != 7.0 || info["fieldName"] != "ask" || info["parentTypeName"] != "Mutation" || headers["x-mine"] != "yes" || ev["source"] != nil {
		t.Errorf("got the event %v", ev)
	}
}

// A mutation goes on without its client, and a GET cannot mutate.
func TestGet(t *testing.T) {
	t.Parallel()
	r := start(t, says(), appsync.Config{})
	for query, want := range map[string]int{"%7B__typename%7D": 200, "mutation%7BModelSet%7D": 405} {
		resp, err := http.Get(r.url + "/graphql?query=" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s is answered with %s", query, resp.Status)
		}
	}
}

// The same key hands a prompt in once.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := start(t, says("x"), appsync.Config{})
	const mutation = `mutation { startStream(prompt: "hi") { sessionId status } }`
	first := r.ask(t, mutation, "", "Idempotency-Key", "k")
	r.ask(t, mutation, "", "Idempotency-Key", "k").want(200, first.body)
	if other := r.ask(t, mutation, "", "Idempotency-Key", "other"); other.body == first.body || !strings.Contains(other.body, "streaming_started") {
		t.Errorf("got %s", other.body)
	}
}

func TestOwnOperations(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	got := r.ask(t, `mutation { submitPrompt(input: {session: "s", prompt: "hi"}) { session generation repeated } }`, "")
	var answer struct {
		Data struct{ SubmitPrompt struct{ Generation string } }
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || !strings.Contains(got.body, `"session":"s"`) || answer.Data.SubmitPrompt.Generation == "" {
		t.Fatalf("got %s", got.body)
	}
	r.tell(t, m, "s", "so")
	r.ask(t, `mutation($g: ID!) { cancelGeneration(generation: $g) { generation session } }`, `{"g":"`+answer.Data.SubmitPrompt.Generation+`"}`).
		want(200, `{"data":{"cancelGeneration":{"generation":"`+answer.Data.SubmitPrompt.Generation+`","session":"s"}}}`)
	r.await(t.Context(), t, "s", runnel.Cursor{}, func(ev *runnel.Event) bool { return ev.Type == runnel.EventCancelled })
	r.ask(t, `{ session(session: "s") { session turns { state text } } }`, "").
		want(200, `{"data":{"session":{"session":"s","turns":[{"state":"cancelled","text":"so"}]}}}`)
}
