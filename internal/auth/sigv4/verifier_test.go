package sigv4_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, signed, received string
		aliases                []string
		want                   sigv4.Code
	}{
		{"same", "h.example.com", "h.example.com", nil, ""},
		{"same port", "h.example.com:8443", "h.example.com:8443", nil, ""},
		{"signed without the port", "h.example.com", "h.example.com:8443", nil, ""},
		{"address without the port", "[::1]", "[::1]:8443", nil, ""},
		{"address", "[::1]", "[::1]", nil, ""},
		{"another port", "h.example.com:8444", "h.example.com:8443", nil, sigv4.InvalidSignature},
		{"behind a proxy", "public.example.com", "10.0.0.1:8080", []string{"x", "public.example.com"}, ""},
		{"another name", "other.example.com", "10.0.0.1:8080", []string{"public.example.com"}, sigv4.InvalidSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, noon(), sigv4.Config{Hosts: tt.aliases})
			r := call{url: "https://" + tt.signed + "/x"}.sign(t)
			r.Host = tt.received
			if _, err := verify(v, r, ""); tt.want != "" || err != nil {
				wantCode(t, err, tt.want)
			}
		})
	}
}

// TestSlashes accepts what the JavaScript SDK signs for an endpoint that ends in
// a slash: it sends both slashes and signs one.
func TestSlashes(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, noon(), sigv4.Config{})
	for _, sent := range []string{"/dev/@connections/a%3D", "/dev//@connections/a%3D", "//dev///@connections/a%3D"} {
		r := call{url: "https://h/dev/@connections/a%3D"}.sign(t)
		r.RequestURI = sent
		if _, err := verify(v, r, ""); err != nil {
			t.Errorf("%s: %v", sent, err)
		}
	}
	// The Go SDK signs them as they are.
	r := call{url: "https://h/dev//@connections/a%3D"}.sign(t)
	if _, err := verify(v, r, ""); err != nil {
		t.Errorf("signed with two: %v", err)
	}
	r = call{url: "https://h/dev//@connections/a%3D"}.sign(t)
	r.RequestURI = "/dev/@connections/a%3D"
	_, err := verify(v, r, "")
	wantCode(t, err, sigv4.InvalidSignature)
}

func TestTarget(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, noon(), sigv4.Config{})
	for url, target := range map[string]string{
		"http://h/a?b=c": "http://h/a?b=c", "http://h": "http://h", "http://h/?b=c": "http://h?b=c",
		"http://h/a?u=x://y": "/a?u=x://y", "http://h/a": "",
	} {
		r := call{url: url}.sign(t)
		r.RequestURI = target
		if _, err := verify(v, r, ""); err != nil {
			t.Errorf("%s as %q: %v", url, target, err)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	r := call{url: "https://h/x", service: "lambda"}.sign(t)
	req := sigv4.FromHTTP(r, nil)
	here := newVerifier(t, noon(), sigv4.Config{Regions: []string{"eu-west-1", "us-east-1"}})
	if id, err := here.Verify(req, "lambda"); err != nil || id.Region != "us-east-1" || id.Service != "lambda" {
		t.Errorf("got %+v, %v", id, err)
	}
	_, err := here.Verify(req, "execute-api")
	wantCode(t, err, sigv4.InvalidSignature)
	if !strings.Contains(err.Error(), "'execute-api'") {
		t.Errorf("%v does not say what the service is", err)
	}
	_, err = newVerifier(t, noon(), sigv4.Config{Regions: []string{"eu-west-1"}}).Verify(req, "lambda")
	wantCode(t, err, sigv4.InvalidSignature)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	temporary := exampleKey()
	temporary.SessionToken, temporary.Expires = "ours", noon().Add(time.Minute)
	tests := []struct {
		name, token string
		key         sigv4.Key
		now         time.Duration
		want        sigv4.Code
	}{
		{"foreign", "whatever", exampleKey(), 0, ""},
		{"ours", "ours", temporary, 0, ""},
		{"another's", "theirs", temporary, 0, sigv4.UnknownClient},
		{"missing", "", temporary, 0, sigv4.UnknownClient},
		{"ended", "ours", temporary, time.Minute, sigv4.ExpiredToken},
	}
	for _, tt := range tests {
		for _, expires := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s, presigned for %s", tt.name, expires), func(t *testing.T) {
				t.Parallel()
				v := newVerifier(t, noon().Add(tt.now), sigv4.Config{Keys: []sigv4.Key{tt.key}})
				r := call{url: "https://h/x", token: tt.token, expires: expires}.sign(t)
				if _, err := verify(v, r, ""); tt.want != "" || err != nil {
					wantCode(t, err, tt.want)
				}
			})
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		actions []string
		action  string
		want    bool
	}{
		{nil, "bedrock:InvokeModel", true},
		{[]string{"*"}, "bedrock:InvokeModel", true},
		{[]string{"bedrock:InvokeModel*"}, "bedrock:InvokeModelWithResponseStream", true},
		{[]string{"Bedrock:invokemodel"}, "bedrock:InvokeModel", true},
		{[]string{"bedrock:InvokeModel"}, "bedrock:InvokeModelWithResponseStream", false},
		{[]string{"lambda:*", "execute-api:ManageConnections"}, "execute-api:ManageConnections", true},
		{[]string{"lambda:*"}, "execute-api:ManageConnections", false},
	}
	for _, tt := range tests {
		k := exampleKey()
		k.Actions = tt.actions
		service, _, _ := strings.Cut(tt.action, ":")
		id, err := verify(newVerifier(t, noon(), sigv4.Config{Keys: []sigv4.Key{k}}), call{url: "https://h/x", service: service}.sign(t), "")
		if elsewhere := slices.Contains(tt.actions, "lambda:*") && len(tt.actions) == 1; elsewhere != (err != nil) {
			t.Errorf("%v with %s: got %v", tt.actions, service, err)
		}
		if err == nil {
			err = id.Allow(tt.action)
		}
		if got := err == nil; got != tt.want {
			t.Errorf("%v on %s: got %v", tt.actions, tt.action, err)
		}
		if err != nil {
			wantCode(t, err, sigv4.AccessDenied)
			if runnel.KindOf(err) != runnel.Denied {
				t.Errorf("got kind %s", runnel.KindOf(err))
			}
		}
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	k := exampleKey()
	k.Groups, k.Grants = []string{"ops"}, []runnel.Grant{{Actions: []runnel.Action{runnel.Read}}}
	k.Expires = noon().Add(time.Hour)
	v := newVerifier(t, noon(), sigv4.Config{Keys: []sigv4.Key{k}})
	id, err := verify(v, call{url: "https://h/x"}.sign(t), "")
	if err != nil {
		t.Fatal(err)
	}
	got := id.Principal()
	revoked := got.Revoked
	got.Revoked = nil
	want := &runnel.Principal{ID: "iam:AKIDEXAMPLE", Service: true, Scheme: "sigv4", Groups: k.Groups, Grants: k.Grants, Expires: k.Expires}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	closed := func() bool {
		select {
		case <-revoked:
			return true
		default:
			return false
		}
	}

	if err := v.Reload(sigv4.Config{Keys: []sigv4.Key{k}, Hosts: []string{"new"}}); err != nil || closed() {
		t.Errorf("a reload that leaves the key alone: %v, revoked %t", err, closed())
	}
	if err := v.Reload(sigv4.Config{Keys: []sigv4.Key{{AccessKey: "no secret"}}}); err == nil || closed() {
		t.Errorf("a bad configuration: %v, revoked %t", err, closed())
	}
	if _, err := verify(v, call{url: "https://h/x"}.sign(t), ""); err != nil {
		t.Errorf("after a bad configuration: %v", err)
	}
	changed := k
	changed.Secret += "x"
	if err := v.Reload(sigv4.Config{Keys: []sigv4.Key{changed}}); err != nil || !closed() {
		t.Errorf("another secret: %v, revoked %t", err, closed())
	}
	_, err = verify(v, call{url: "https://h/x"}.sign(t), "")
	wantCode(t, err, sigv4.InvalidSignature)
	if err := v.Reload(sigv4.Config{}); err != nil {
		t.Error(err)
	}
	_, err = verify(v, call{url: "https://h/x"}.sign(t), "")
	wantCode(t, err, sigv4.UnknownClient)
}

// TestConcurrently verifies in more regions than derived keys are kept for,
// while the configuration is replaced.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, noon(), sigv4.Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 400 {
				r := call{url: "https://h/x", region: fmt.Sprintf("r%d-%d", i, n)}.sign(t)
				for range 2 {
					if _, err := verify(v, r, ""); err != nil {
						t.Error(err)
						return
					}
				}
				if i == 0 && n == 350 {
					if err := v.Reload(sigv4.Config{Keys: []sigv4.Key{exampleKey()}, Hosts: []string{"new"}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestErrors(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, noon(), sigv4.Config{})
	_, err := verify(v, httptest.NewRequest("GET", "/", nil), "")
	if runnel.KindOf(err) != runnel.Unauthenticated || runnel.PublicMessage(err) != "Missing Authentication Token" {
		t.Errorf("got %v", err)
	}
	broken := runnel.Errorf(runnel.Invalid, "too large")
	_, err = v.Verify(sigv4.FromHTTP(call{url: "https://h/x"}.sign(t), func() ([]byte, error) { return nil, broken }), "")
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want what reading said", err)
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	bearer := httptest.NewRequest("GET", "/?X-Amz-Date=1", nil)
	bearer.Header.Set("Authorization", "Bearer x")
	for want, requests := range map[bool][]*http.Request{
		true: {
			call{url: "https://h/x"}.sign(t), call{url: "https://h/x", expires: time.Hour}.sign(t),
		},
		false: {bearer, httptest.NewRequest("GET", "/", nil)},
	} {
		for _, r := range requests {
			if got := sigv4.Signed(r); got != want {
				t.Errorf("%s %v: got %t", r.RequestURI, r.Header, got)
			}
		}
	}
}

func TestApollo(t *testing.T) {
	t.Parallel()
	const (
		signed = `{"operationName":"S","variables":{"a":[1,"<é>"]},"query":"mutation S { a }"}`
		sent   = `{"operationName":"S","variables":{"a":[1,"<é>"]},"extensions":{"clientLibrary":{"name":"x"}},"query":"mutation S { a }"}`
	)
	v := newVerifier(t, noon(), sigv4.Config{})
	for _, tt := range []struct {
		name, service, body string
		ok                  bool
	}{
		{"as signed", "appsync", signed, true},
		{"as sent", "appsync", sent, true},
		{"in another order", "appsync", `{"query":"mutation S { a }","variables":{"a":[1,"<é>"]},"operationName":"S"}`, true},
		{"elsewhere", "bedrock", sent, false},
		{"another query", "appsync", strings.Replace(sent, "{ a }", "{ b }", 1), false},
		{"another name", "appsync", strings.Replace(sent, `"S"`, `"T"`, 1), false},
		{"query twice", "appsync", sent[:len(sent)-1] + `,"query":"mutation S { evil }"}`, false},
		{"query in capitals", "appsync", sent[:len(sent)-1] + `,"Query":"mutation S { evil }"}`, false},
		{"escaped name", "appsync", sent[:len(sent)-1] + `,"\u0071uery":"mutation S { evil }"}`, false},
		{"one more member", "appsync", sent[:len(sent)-1] + `,"x":1}`, false},
		{"more after the end", "appsync", sent + `{}`, false},
		{"white space after the end", "appsync", sent + "\n", true},
		{"not closed", "appsync", sent[:len(sent)-1], false},
		{"a list", "appsync", "[" + sent + "]", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := call{url: "https://h/graphql", service: tt.service, body: signed}.sign(t)
			_, err := verify(v, r, tt.body)
			if tt.ok && err != nil {
				t.Error(err)
			}
			if !tt.ok {
				wantCode(t, err, sigv4.InvalidSignature)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	k := exampleKey()
	k.SessionToken = secret
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(text), fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), k.Secret.LogValue().String()} {
		if strings.Contains(shown, secret) || !strings.Contains(shown, "****") {
			t.Errorf("got %s", shown)
		}
	}
	if got := sigv4.Secret("").String(); got != "" {
		t.Errorf("no secret: got %q", got)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	change := func(f func(*sigv4.Key)) sigv4.Config {
		k := exampleKey()
		f(&k)
		return sigv4.Config{Keys: []sigv4.Key{k}}
	}
	for want, cfg := range map[string]sigv4.Config{
		"access_key must be":           change(func(k *sigv4.Key) { k.AccessKey = "a/b" }),
		"keys[0]: access_key must be":  change(func(k *sigv4.Key) { k.AccessKey = "" }),
		"secret must have at least 16": change(func(k *sigv4.Key) { k.Secret = "short" }),
		`action "bedrock"`:             change(func(k *sigv4.Key) { k.Actions = []string{"bedrock"} }),
		`action "a:["`:                 change(func(k *sigv4.Key) { k.Actions = []string{"a:["} }),
		"pattern of session ids":       change(func(k *sigv4.Key) { k.Grants = []runnel.Grant{{Sessions: []string{"["}}} }),
		"is there twice":               {Keys: []sigv4.Key{exampleKey(), exampleKey()}},
		"hosts[0]":                     {Hosts: []string{"https://h"}},
		"regions[1]":                   {Regions: []string{"us-east-1", "a/b"}},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one that says %q", err, want)
		}
	}
	if err := change(func(k *sigv4.Key) { k.Actions = []string{"*", "lambda:*"} }).Validate(); err != nil {
		t.Error(err)
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	const text = `
keys:
  - access_key: AKIDEXAMPLE
    secret: wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
    session_token: t
    expires: 2025-01-02T12:00:00Z
    user: true
    groups: [ops]
    actions: ["bedrock:InvokeModel*"]
    grants: [{actions: [read, submit], sessions: ["team-*"]}]
hosts: [public.example.com]
regions: [us-east-1]
`
	var got sigv4.Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	k := exampleKey()
	k.SessionToken, k.Expires, k.User, k.Groups, k.Actions = "t", noon(), true, []string{"ops"}, []string{"bedrock:InvokeModel*"}
	k.Grants = []runnel.Grant{{Actions: []runnel.Action{runnel.Read, runnel.Submit}, Sessions: []string{"team-*"}}}
	want := sigv4.Config{Keys: []sigv4.Key{k}, Hosts: []string{"public.example.com"}, Regions: []string{"us-east-1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	shown, err := yaml.Marshal(got)
	if err != nil || strings.Contains(string(shown), secret) {
		t.Errorf("got %s, %v", shown, err)
	}
}
