package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/api"
	"github.com/runnelhq/runnel/internal/obs"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/admin"
)

// A broken core fails at everything, or, with only, at reading.
type broken struct {
	runnel.Sessions
	err  error
	only bool
}

func (b broken) Submit(ctx context.Context, s runnel.Submission) (runnel.Receipt, error) {
	if b.only {
		return b.Sessions.Submit(ctx, s)
	}
	return runnel.Receipt{}, b.err
}

func (b broken) Publish(ctx context.Context, p runnel.Publication) (runnel.Receipt, error) {
	if b.only {
		return b.Sessions.Publish(ctx, p)
	}
	return runnel.Receipt{}, b.err
}

func (b broken) Read(context.Context, runnel.SessionID, runnel.Cursor) ([]runnel.Event, error) {
	return nil, b.err
}

func (b broken) End(ctx context.Context, id runnel.SessionID) (runnel.Cursor, error) {
	if b.only {
		return b.Sessions.End(ctx, id)
	}
	return runnel.Cursor{}, b.err
}

func (b broken) Cancel(context.Context, runnel.GenerationID) (runnel.Generation, error) {
	return runnel.Generation{}, b.err
}

func (b broken) Generation(context.Context, runnel.GenerationID) (runnel.Generation, error) {
	return runnel.Generation{}, b.err
}

func (b broken) Transcript(context.Context, runnel.SessionID) (runnel.Transcript, error) {
	return runnel.Transcript{}, b.err
}

func down(s runnel.Sessions) runnel.Sessions {
	return broken{Sessions: s, err: runnel.Errorf(runnel.Unavailable, "the log does not answer")}
}

func past(s runnel.Sessions) runnel.Sessions {
	return broken{Sessions: s, err: runnel.Errorf(runnel.Gone, "past retention"), only: true}
}

// An exchange is a request and what it is to be answered with. In its path,
// {id} and {cursor} stand for those of a prompt that was submitted before with
// the idempotency key "k".
type exchange struct {
	op     string // as in the description
	path   string // empty: that of op, with a session
	body   string
	header []string
	core   func(runnel.Sessions) runnel.Sessions // nil: as it is
	model  echo.Config
	ended  bool // the earlier generation is to have ended
	engine error
	closed bool // only those with a grant are let in, and the caller has none
	status int
}

const (
	submit   = "POST /v1/sessions/{session}/prompts"
	follow   = "GET /v1/sessions/{session}/events"
	publish  = "POST /v1/sessions/{session}/events"
	get      = "GET /v1/generations/{id}"
	stop     = "POST /v1/generations/{id}/cancel"
	overview = "GET /v1/admin/overview"
	stopAny  = "POST /v1/admin/generations/{id}/cancel"
	whyBody  = `{"prompt":"why?"}`
)

func exchanges() []exchange {
	stream := []string{"Accept", "text/event-stream"}
	withKey := []string{"Idempotency-Key", "k"}
	slow := echo.Config{TPS: 1}
	const piece = `{"type":"delta","text":"a","data":{"n":1}}`
	return []exchange{
		{op: submit, body: whyBody, status: 202},
		{op: submit, body: whyBody, header: withKey, status: 202},
		{op: submit, body: whyBody, header: stream, status: 200},
		{op: submit, body: whyBody, header: stream, model: echo.Config{Reasoning: 3, Tool: true}, status: 200},
		{op: submit, body: whyBody, header: stream, model: echo.Config{Fail: true, FailAfter: 2}, status: 200},
		{op: submit, body: `{}`, status: 400},
		{op: submit, body: `{"prompt":"what?"}`, header: withKey, status: 409},
		{op: submit, body: whyBody, header: append(stream, withKey...), core: past, status: 410},
		{op: submit, body: `{"prompt":"` + strings.Repeat("x", 1001) + `"}`, status: 413},
		{op: submit, body: whyBody, header: []string{"Content-Type", "text/plain"}, status: 415},
		{op: submit, body: whyBody, core: down, status: 503},
		{op: follow, status: 200},
		{op: follow, path: "/v1/sessions/s/events?after=x", status: 400},
		{op: follow, path: "/v1/sessions/s/events?after={cursor}", ended: true, core: past, status: 410},
		{op: follow, core: down, status: 503},
		{op: publish, body: piece, status: 202},
		{op: publish, body: `{"type":"generation.done"}`, status: 202},
		{op: publish, body: `{"type":"delta"}`, status: 400},
		{op: publish, body: `{"type":"delta","text":"a","generation":"nope"}`, status: 409},
		{op: publish, body: `{"type":"delta","text":"` + strings.Repeat("x", 100_000) + `"}`, status: 413},
		{op: publish, body: piece, header: []string{"Content-Type", "text/plain"}, status: 415},
		{op: publish, body: piece, core: down, status: 503},
		{op: "GET /v1/sessions/{session}", status: 200},
		{op: "GET /v1/sessions/{session}", ended: true, status: 200},
		{op: "GET /v1/sessions/{session}", model: slow, status: 200},
		{op: "GET /v1/sessions/{session}", path: "/v1/sessions/%00", status: 400},
		{op: "GET /v1/sessions/{session}", core: down, status: 503},
		{op: get, ended: true, status: 200},
		{op: get, path: "/v1/generations/nope", status: 404},
		{op: get, path: "/v1/generations/x", core: down, status: 503},
		{op: stop, ended: true, status: 200},
		{op: stop, model: slow, status: 202},
		{op: stop, path: "/v1/generations/nope/cancel", status: 404},
		{op: stop, path: "/v1/generations/x/cancel", core: down, status: 503},
		{op: overview, status: 200},
		{op: overview, closed: true, status: 403},
		{op: overview, engine: runnel.Errorf(runnel.Unavailable, "no disk"), status: 503},
		{op: stopAny, ended: true, status: 200},
		{op: stopAny, closed: true, status: 403},
		{op: stopAny, path: "/v1/admin/generations/nope/cancel", status: 404},
		{op: stopAny, core: down, status: 503},
		{op: "GET /", status: 200},
		{op: "POST /", body: whyBody, status: 200},
		{op: "POST /", body: whyBody, header: stream, status: 200},
		{op: "POST /", status: 400},
		{op: "POST /", body: `{"prompt":"` + strings.Repeat("x", 1001) + `"}`, status: 413},
		{op: "POST /", body: whyBody, core: func(s runnel.Sessions) runnel.Sessions { return refusing{s} }, status: 502},
		{op: "POST /", body: whyBody, core: down, status: 503},
		{op: "GET /healthz", status: 200},
		{op: "GET /readyz", status: 200},
		{op: "GET /readyz", engine: errors.New("no disk"), status: 503},
		{op: "GET /metrics", status: 200},
		{op: "GET /openapi.yaml", status: 200},
	}
}

// A refusing core has a model that refuses.
type refusing struct{ runnel.Sessions }

func (r refusing) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	evs, err := r.Sessions.Read(ctx, id, after)
	if err != nil {
		return nil, err
	}
	return []runnel.Event{{Generation: evs[0].Generation, Type: runnel.EventFailed, Failure: &runnel.Failure{Kind: "denied", Message: "no"}}}, nil
}

// Unheard is an audit log that nobody reads.
type unheard struct{}

func (unheard) Denied(*runnel.Principal, runnel.Action, runnel.SessionID, string, int) {}
func (unheard) Acted(context.Context, string, string, string)                          {}

// TestDescribed holds the server to the description and the description to the
// server: every operation and every status is seen, with a body as described,
// and no door serves what is not described.
func TestDescribed(t *testing.T) {
	t.Parallel()
	d := parseDocument(t)
	ops := d.operations()
	seen := make(map[string]bool)
	for _, x := range exchanges() {
		seen[fmt.Sprint(x.op, " ", x.status)] = true
		t.Run(fmt.Sprint(x.op, " ", x.status), func(t *testing.T) {
			t.Parallel()
			if ops[x.op] == nil {
				t.Fatal("not described")
			}
			x.run(t, d, ops[x.op])
		})
	}
	for name, op := range ops {
		for code := range op["responses"].(object) {
			if !seen[name+" "+code] {
				t.Errorf("%s %s is described, but nothing shows it", name, code)
			}
		}
	}
	for _, door := range open(t, echo.New(echo.Config{}), bare).doors {
		door.Register(func(pattern string, _ http.Handler) {
			if ops[strings.Replace(pattern, "{$}", "", 1)] == nil {
				t.Errorf("%s is served, but not described", pattern)
			}
		})
	}
}

func (x exchange) run(t *testing.T, d document, op object) {
	core := x.core
	if core == nil {
		core = bare
	}
	g := open(t, echo.New(x.model), core)
	administer := admin.New(core(g.core), admin.Config{
		Open: !x.closed, Core: g.core, Depth: func(context.Context) (int, error) { return 0, x.engine },
		Bus: g.engine, Node: "n", Figures: func() (any, error) { return object{}, nil },
		Audit: unheard{}, Logger: slog.New(slog.DiscardHandler),
	})
	doors := append(g.doors, server.Door{Name: "admin", Register: administer.Register, Error: admin.WriteError})
	r := run(t, server.Config{Doors: doors, Engine: engine{x.engine}, Metrics: obs.NewMetrics().Handler(), OpenAPI: api.OpenAPI})
	receipt, err := g.core.Submit(t.Context(), runnel.Submission{IdempotencyKey: "k", Prompt: runnel.Prompt{
		Session: "s", Messages: []runnel.Message{runnel.TextMessage(runnel.User, "why?")}, History: true}})
	if err != nil {
		t.Fatal(err)
	}
	for after := receipt.Cursor; x.ended; {
		evs, err := g.core.Read(t.Context(), "s", after)
		if err != nil {
			t.Fatal(err)
		}
		last := evs[len(evs)-1]
		after, x.ended = last.Cursor, !last.Type.Terminal()
	}
	method, path, _ := strings.Cut(x.op, " ")
	if x.path != "" {
		path = x.path
	}
	path = strings.NewReplacer("{session}", "s", "{id}", string(receipt.Generation), "{cursor}", receipt.Cursor.String()).Replace(path)
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(x.header); i += 2 {
		req.Header.Set(x.header[i], x.header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != x.status {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("got %s: %s", resp.Status, body)
	}
	checkResponse(t, d, op, resp)
}

func checkResponse(t *testing.T, d document, op object, resp *http.Response) {
	t.Helper()
	described, err := d.at(op, "responses", strconv.Itoa(resp.StatusCode))
	if err != nil {
		t.Fatal(err)
	}
	headers, _ := described["headers"].(object)
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	for name := range headers {
		if resp.Header.Get(name) == "" {
			t.Errorf("the header %s is described, but missing", name)
		}
	}
	content, err := d.at(described, "content", media)
	if err != nil {
		t.Fatalf("a body of type %s: %v", media, err)
	}
	switch media {
	case "application/json":
		var body any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if err := d.check(content["schema"], body, "the body"); err != nil {
			t.Error(err)
		}
	case "text/event-stream":
		checkEvents(t, d, content["schema"], resp.Body)
	}
}

// checkEvents holds the events of a stream to their schema, until one is terminal.
func checkEvents(t *testing.T, d document, schema any, body io.Reader) {
	t.Helper()
	for frames := sse.NewReader(body, 1<<20); ; {
		f, err := frames.Next()
		if err != nil {
			t.Fatal(err)
		}
		var ev any
		if err := json.Unmarshal(f.Data, &ev); err != nil {
			t.Fatal(err)
		}
		if err := d.check(schema, ev, "the event"); err != nil {
			t.Error(err)
		}
		if runnel.EventType(f.Type).Terminal() {
			return
		}
	}
}
