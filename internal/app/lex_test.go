package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// What a guest gets is good for Lex and for what API Gateway's clients sign, as a
// user, and for nothing else.
func TestLexCredentials(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=0&tokens=5")
	keyed(t, &cfg, auth.Key{Name: "ada"})
	cfg.Lex.Guests = true
	cfg.WebSocketAPIs = []wsapi.API{{Name: "a", Stages: []string{"Prod", "dev"}}}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCaller(t, "http://"+node.Addr().String())
	send := func(path, body, target string, sign func(*http.Request)) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		if target != "" {
			req.Header.Set("X-Amz-Target", target)
		}
		if sign != nil {
			sign(req)
		}
		resp, err := c.web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var v map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, v
	}
	_, got := send("/", `{"IdentityPoolId":"x"}`, "AWSCognitoIdentityService.GetId", nil)
	id, _ := got["IdentityId"].(string)
	_, got = send("/", `{"IdentityId":"`+id+`"}`, "AWSCognitoIdentityService.GetCredentialsForIdentity", nil)
	given, ok := got["Credentials"].(map[string]any)
	if !ok {
		t.Fatal(got)
	}
	creds := aws.Credentials{
		AccessKeyID: given["AccessKeyId"].(string), SecretAccessKey: given["SecretKey"].(string), SessionToken: given["SessionToken"].(string),
	}
	signed := func(service, body string) func(*http.Request) {
		hash := sha256.Sum256([]byte(body))
		return func(r *http.Request) {
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hex.EncodeToString(hash[:]), service, "us-east-1", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	const text, question = "/bots/b/botAliases/a/botLocales/en_US/sessions/s/text", `{"text":"Hello"}`
	const converse, messages = "/model/echo/converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`
	for _, tt := range []struct {
		name, path, body string
		sign             func(*http.Request)
		want             int
	}{
		{"signed", text, question, signed("lex", question), 200},
		{"unsigned", text, question, nil, 403},
		{"for another service", text, question, signed("bedrock", question), 403},
		{"at another door", converse, messages, signed("bedrock", messages), 403},
		{"at a door for any signature", "/v1/sessions/s/prompts", `{"prompt":"Hi"}`, signed("execute-api", `{"prompt":"Hi"}`), 403},
		{"to manage connections", "/Prod/@connections/L0SM9cOFvHcCIhw=", `x`, signed("execute-api", `x`), 403},
		{"at the GraphQL door", "/graphql", `{"query":"{x}"}`, signed("appsync", `{"query":"{x}"}`), 403},
		{"to call a function", "/2015-03-31/functions/f/invocations", `{}`, signed("lambda", `{}`), 403},
		{"at another such door", "/v1/chat/completions", `{}`, signed("lex", `{}`), 403},
	} {
		if code, got := send(tt.path, tt.body, "", tt.sign); code != tt.want {
			t.Errorf("%s: got %d, %v", tt.name, code, got)
		}
	}
	for path, want := range map[string]int{"/Prod?sessionId=s": 101, "/dev?sessionId=s": 403} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		signed("execute-api", "")(req)
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			req.Header.Set(name, value)
		}
		resp, err := c.web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d", path, resp.StatusCode)
		}
		if want != http.StatusSwitchingProtocols {
			continue
		}
		// What is said to the session of a guest, whatever its client calls it, is the guest's.
		all, err := node.Engine().Connections(t.Context(), runnel.SessionID("s."+id))
		if err != nil || len(all) != 1 {
			t.Errorf("%d connections, %v", len(all), err)
		}
	}
}
