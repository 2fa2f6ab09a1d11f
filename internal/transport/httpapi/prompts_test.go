package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

func TestSubmit(t *testing.T) {
	t.Parallel()
	r := start(t, says("Hel", "lo"), nil)
	resp := r.do(t, "POST", "/v1/sessions/s/prompts",
		`{"prompt":"why?","model":"test","system":"be brief","max_tokens":7,"temperature":0.5,"metadata":{"a":"b"}}`,
		"Content-Type: application/json; charset=UTF-8", "Idempotency-Key: k")
	receipt := decode[runnel.Receipt](t, resp)
	if resp.StatusCode != http.StatusAccepted || receipt.Session != "s" || receipt.Generation == "" {
		t.Fatalf("%s: %+v", resp.Status, receipt)
	}
	if got, want := resp.Header.Get("Location"), "/v1/generations/"+string(receipt.Generation); got != want {
		t.Errorf("Location is %q, want %q", got, want)
	}
	g := r.await(t, receipt.Generation)
	if g.State != runnel.Done || g.StopReason != runnel.EndTurn || g.Usage == nil {
		t.Errorf("the generation: %+v", g)
	}

	again := decode[runnel.Receipt](t, r.do(t, "POST", "/v1/sessions/s/prompts",
		`{"temperature":0.5,"max_tokens":7,"system":"be brief","prompt":"why?","model":"test","metadata":{"a":"b"}}`, "Idempotency-Key: k"))
	receipt.Repeated = true
	if diff := cmp.Diff(receipt, again); diff != "" {
		t.Errorf("the same key gave another receipt (-first +second):\n%s", diff)
	}
	if resp := r.do(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"what?"}`, "Idempotency-Key: k"); resp.StatusCode != http.StatusConflict {
		t.Errorf("the same key with another prompt: %s", resp.Status)
	}

	tr := decode[runnel.Transcript](t, r.do(t, "GET", "/v1/sessions/s", ""))
	if len(tr.Turns) != 1 || tr.Turns[0].Text != "Hello" || tr.Turns[0].Prompt[0].Text() != "why?" || tr.Active == nil {
		t.Errorf("the transcript: %+v", tr)
	}
}

func TestSubmitAndStream(t *testing.T) {
	t.Parallel()
	r := start(t, says("Hel", "lo"), nil)
	resp := r.do(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"why?"}`, "Accept: text/event-stream", "Idempotency-Key: k")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Runnel-Generation") == "" || resp.Header.Get("Location") == "" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	stream := frames(resp)
	var types, data []string
	for {
		f, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, string(f.Type))
		data = append(data, string(f.Data))
	}
	if got := strings.Join(types, " "); !strings.HasPrefix(got, "generation.queued generation.started delta") || !strings.HasSuffix(got, " generation.done") {
		t.Errorf("got %s", got)
	}

	// The same again, from the log.
	again := frames(r.do(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"why?"}`, "Accept: text/event-stream", "Idempotency-Key: k"))
	for i := range data {
		if ev := next(t, again); ev.Data != data[i] {
			t.Errorf("event %d is %s, want %s", i, ev.Data, data[i])
		}
	}
	if _, err := again.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the repeated stream ends with %v", err)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	r := start(t, says("x"), nil)
	for accept, want := range map[string]int{
		"":                                     202,
		"*/*":                                  202,
		"application/json, text/event-stream":  202,
		"text/event-stream;q=0":                202,
		"text/event-stream":                    200,
		"text/event-stream, application/json":  200,
		"text/html, text/event-stream; q=0.9 ": 200,
	} {
		if got := r.do(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"why?"}`, "Accept: "+accept).StatusCode; got != want {
			t.Errorf("Accept %q: got %d, want %d", accept, got, want)
		}
	}
}

func TestDisconnectStopsNothing(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/v1/sessions/s/prompts", strings.NewReader(`{"prompt":"why?"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	m <- "Hel"
	cancel()
	_ = resp.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); r.door.Viewers() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the viewer stays")
		}
	}
	m <- "lo"
	close(m)
	if g := r.await(t, runnel.GenerationID(resp.Header.Get("Runnel-Generation"))); g.State != runnel.Done {
		t.Errorf("the generation is %s", g.State)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, nil)
	receipt := r.submit(t, "s", "why?")
	m <- "Hel" // it runs
	path := "/v1/generations/" + string(receipt.Generation) + "/cancel"
	resp := r.do(t, "POST", path, "")
	if g := decode[runnel.Generation](t, resp); resp.StatusCode != http.StatusAccepted || !g.Cancelling {
		t.Errorf("%s: %+v", resp.Status, g)
	}
	if g := r.await(t, receipt.Generation); g.State != runnel.Stopped {
		t.Errorf("the generation is %s", g.State)
	}
	if resp := r.do(t, "POST", path, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("stopping it again: %s", resp.Status)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, says(), nil)
	const prompts = "/v1/sessions/s/prompts"
	for _, tt := range []struct {
		name, method, path, body, header string
		status                           int
		kind, message                    string
	}{
		{"no body", "POST", prompts, "", "", 400, "invalid", "not a JSON object"},
		{"not an object", "POST", prompts, `["why?"]`, "", 400, "invalid", "not a JSON object"},
		{"cut short", "POST", prompts, `{"prompt":"why`, "", 400, "invalid", "not valid JSON"},
		{"no colon", "POST", prompts, `{"prompt"}`, "", 400, "invalid", "not valid JSON"},
		{"no brace", "POST", prompts, `{"prompt":"why?"`, "", 400, "invalid", "not valid JSON"},
		{"something behind", "POST", prompts, `{"prompt":"why?"} {}`, "", 400, "invalid", "something follows"},
		{"not UTF-8", "POST", prompts, "{\"prompt\":\"\xff\"}", "", 400, "invalid", "not UTF-8"},
		{"misspelt", "POST", prompts, `{"promt":"why?"}`, "", 400, "invalid", `unknown member "promt"; did you mean "prompt"?`},
		{"other case", "POST", prompts, `{"maxTokens":1}`, "", 400, "invalid", `did you mean "max_tokens"?`},
		{"unknown", "POST", prompts, `{"stream":true}`, "", 400, "invalid", `unknown member "stream"; known are prompt, model`},
		{"twice", "POST", prompts, `{"prompt":"a","prompt":"b"}`, "", 400, "invalid", `"prompt" is there twice`},
		{"wrong type", "POST", prompts, `{"prompt":5}`, "", 400, "invalid", `"prompt" must be a string`},
		{"fraction", "POST", prompts, `{"prompt":"a","max_tokens":1.5}`, "", 400, "invalid", `"max_tokens" must be a whole number`},
		{"too small", "POST", prompts, `{"prompt":"a","max_tokens":0}`, "", 400, "invalid", `"max_tokens" must be at least 1`},
		{"deep wrong type", "POST", prompts, `{"prompt":"a","metadata":{"b":1}}`, "", 400, "invalid", `"metadata" must be an object of strings`},
		{"hot", "POST", prompts, `{"prompt":"a","temperature":3}`, "", 400, "invalid", "temperature"},
		{"no prompt", "POST", prompts, `{"model":"test","prompt":null}`, "", 400, "invalid", `"prompt" is missing`},
		{"empty prompt", "POST", prompts, `{"prompt":" \n"}`, "", 400, "invalid", "the prompt is empty"},
		{"unknown model", "POST", prompts, `{"prompt":"a","model":"b"}`, "", 400, "invalid", `unknown model "b"`},
		{"long prompt", "POST", prompts, `{"prompt":"` + strings.Repeat("a", 1001) + `"}`, "", 413, "invalid", "1001 bytes; the limit is 1000"},
		{"long body", "POST", prompts, strings.Repeat(" ", 80<<10), "", 413, "invalid", "the body has more than"},
		{"form", "POST", prompts, `prompt=a`, "Content-Type: application/x-www-form-urlencoded", 415, "invalid", "must be application/json"},
		{"charset", "POST", prompts, `{"prompt":"a"}`, "Content-Type: application/json; charset=latin1", 415, "invalid", "latin1"},
		{"odd type", "POST", prompts, `{"prompt":"a"}`, "Content-Type: ;;", 415, "invalid", "application/json"},
		{"long key", "POST", prompts, `{"prompt":"a"}`, "Idempotency-Key: " + strings.Repeat("k", 300), 400, "invalid", "idempotency key"},
		{"long session", "POST", "/v1/sessions/" + strings.Repeat("s", 257) + "/prompts", `{}`, "", 400, "invalid", "257 bytes"},
		{"control character", "GET", "/v1/sessions/a%0Ab", "", "", 400, "invalid", "control character"},
		{"session not UTF-8", "GET", "/v1/sessions/%ff/events", "", "", 400, "invalid", "not UTF-8"},
		{"odd cursor", "GET", "/v1/sessions/s/events?after=x", "", "", 400, "invalid", `not a cursor: "x"`},
		{"odd header", "GET", "/v1/sessions/s/events?after=latest", "", "Last-Event-ID: é", 400, "invalid", "not a cursor"},
		{"no generation", "GET", "/v1/generations/nope", "", "", 404, "not_found", ""},
		{"nothing to stop", "POST", "/v1/generations/nope/cancel", "", "", 404, "not_found", ""},
		{"no id", "GET", "/v1/generations/a%2F*", "", "", 404, "not_found", "no such generation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := r.do(t, tt.method, tt.path, tt.body, tt.header)
			body := decode[struct{ Error runnel.Failure }](t, resp)
			if resp.StatusCode != tt.status || body.Error.Kind != tt.kind || !strings.Contains(body.Error.Message, tt.message) {
				t.Errorf("got %d %+v, want %d %s with %q", resp.StatusCode, body.Error, tt.status, tt.kind, tt.message)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("the content type is %s", got)
			}
		})
	}
}

// A failing core fails as it is told to.
type failing struct {
	runnel.Sessions
	err error
}

func (f failing) Submit(context.Context, runnel.Submission) (runnel.Receipt, error) {
	return runnel.Receipt{}, f.err
}

func (f failing) End(context.Context, runnel.SessionID) (runnel.Cursor, error) {
	return runnel.Cursor{}, f.err
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		retry  string
		body   string
	}{
		{runnel.Errorf(runnel.Invalid, "m"), 400, "", `{"error":{"kind":"invalid","message":"m"}}`},
		{runnel.Errorf(runnel.Unauthenticated, "m"), 401, "", `{"error":{"kind":"unauthenticated","message":"m"}}`},
		{runnel.Errorf(runnel.Denied, "m"), 403, "", `{"error":{"kind":"denied","message":"m"}}`},
		{runnel.Errorf(runnel.NotFound, "m"), 404, "", `{"error":{"kind":"not_found","message":"m"}}`},
		{runnel.Errorf(runnel.Conflict, "m"), 409, "", `{"error":{"kind":"conflict","message":"m"}}`},
		{runnel.Errorf(runnel.Gone, "<m>"), 410, "", `{"error":{"kind":"gone","message":"<m>"}}`},
		{runnel.Errorf(runnel.Limited, "m"), 429, "1", `{"error":{"kind":"limited","message":"m"}}`},
		{&runnel.Error{Kind: runnel.Unavailable, Msg: "m", RetryAfter: 2100 * time.Millisecond}, 503, "3", `{"error":{"kind":"unavailable","message":"m"}}`},
		{runnel.Errorf(runnel.Cancelled, "m"), 499, "", `{"error":{"kind":"cancelled","message":"m"}}`},
		{runnel.Errorf(runnel.Internal, "secret"), 500, "", `{"error":{"kind":"internal","message":"internal error"}}`},
		{errors.New("secret"), 500, "", `{"error":{"kind":"internal","message":"internal error"}}`},
	} {
		r := start(t, says(), func(s runnel.Sessions) runnel.Sessions { return failing{s, tt.err} })
		resp := r.do(t, "POST", "/v1/sessions/s/prompts", `{"prompt":"a"}`)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(body)); resp.StatusCode != tt.status || resp.Header.Get("Retry-After") != tt.retry || got != tt.body {
			t.Errorf("%v: got %d, Retry-After %q, %s; want %d, %q, %s", tt.err, resp.StatusCode, resp.Header.Get("Retry-After"), got, tt.status, tt.retry, tt.body)
		}
	}
}
