package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// A webhook whose URL is a function's is that function.
func TestFunctionDecides(t *testing.T) {
	t.Parallel()
	authorizer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "let-me-in") {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, `{"errorMessage":"Unauthorized","errorType":"Error"}`)
			return
		}
		fmt.Fprint(w, `{"isAuthorized":true,"context":{"principalId":"ada"}}`)
	}))
	t.Cleanup(authorizer.Close)
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.Functions = []function.Config{{Name: "decides", HTTP: authorizer.URL}}
	cfg.Webhook = &auth.Webhook{URL: "function://decides", Form: auth.FormAPIGateway, IdentitySources: []string{"route.request.header.Authorization"}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	for token, want := range map[string]int{"let-me-in": 200, "or not": 401} {
		if got := c.status(t, "GET", "/v1/sessions/s", "", with("Authorization", token)); got != want {
			t.Errorf("%q: got %d, want %d", token, got, want)
		}
	}
}

// A WebSocket route whose URL is a function's is that function.
func TestFunctionServesARoute(t *testing.T) {
	t.Parallel()
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Body           string
			RequestContext struct{ RouteKey string }
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		answer, _ := json.Marshal(map[string]any{"statusCode": 200, "body": event.RequestContext.RouteKey + " " + event.Body})
		_, _ = w.Write(answer)
	}))
	t.Cleanup(handler.Close)
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.Functions = []function.Config{{Name: "f", HTTP: handler.URL}}
	cfg.WebSocketAPIs = []wsapi.API{{Name: "a", Routes: []wsapi.Route{{Key: "say", Integration: wsapi.HTTP, URL: "function://f", Response: true}}}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	ws, _, err := websocket.Dial(t.Context(), "ws://"+node.Addr().String()+"/dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	const message = `{"action":"say"}`
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(t.Context()); err != nil || string(got) != "say "+message {
		t.Errorf("got %s, %v", got, err)
	}
}

// A GraphQL field can be a function, which is told of it as AppSync tells its own.
func TestFunctionResolvesAField(t *testing.T) {
	t.Parallel()
	noted := make(chan string, 1)
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Arguments struct{ Q string }
			Info      struct{ ParentTypeName, FieldName string }
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		field := event.Info.ParentTypeName + "." + event.Info.FieldName
		switch {
		case field == "Mutation.note":
			noted <- event.Arguments.Q
		case event.Arguments.Q == "bad":
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, `{"errorMessage":"no idea","errorType":"Error"}`)
		default:
			fmt.Fprintf(w, `{"text":"%s of %s"}`, event.Arguments.Q, field)
		}
	}))
	t.Cleanup(handler.Close)
	schema := filepath.Join(t.TempDir(), "schema.graphql")
	const sdl = `type Query { ask(q: String!): Answer } type Mutation { note(q: String!): String } type Answer { text: String }`
	if err := os.WriteFile(schema, []byte(sdl), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.Functions = []function.Config{{Name: "f", HTTP: handler.URL}}
	cfg.GraphQL = gqlapi.API{Schema: []string{schema}, Fields: []gqlapi.Binding{
		{Field: "Query.ask", Do: gqlapi.Function, Function: "f"},
		{Field: "Mutation.note", Do: gqlapi.Function, Function: "f", Async: true, Result: "noted $args.q"},
	}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for query, want := range map[string]string{
		`{ask(q:\"why\"){text}}`:         `{"data":{"ask":{"text":"why of Query.ask"}}}`,
		`{ask(q:\"bad\"){text}}`:         `"errorType":"Lambda:Unhandled"`,
		`mutation{note(q:\"remember\")}`: `{"data":{"note":`,
	} {
		resp, err := http.Post("http://"+node.Addr().String()+"/graphql", "application/json", strings.NewReader(`{"query":"`+query+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %s, %v", query, got, err)
		}
	}
	if got := <-noted; got != "remember" {
		t.Errorf("the function was told of %q", got)
	}
}
