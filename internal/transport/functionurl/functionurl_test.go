package functionurl_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/functionurl"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// A script stands in for the core: it accepts every prompt and gives its one
// generation the events that are pushed. The real core cannot be made to take
// back text at a chosen moment.
type script struct {
	runnel.Sessions
	mu      sync.Mutex
	prompt  runnel.Prompt
	key     string
	refusal error
	events  chan []runnel.Event
}

const gen runnel.GenerationID = "01G"

func (s *script) Submit(_ context.Context, sub runnel.Submission) (runnel.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt, s.key = sub.Prompt, sub.IdempotencyKey
	return runnel.Receipt{Session: sub.Prompt.Session, Generation: gen}, s.refusal
}

func (s *script) Read(ctx context.Context, _ runnel.SessionID, _ runnel.Cursor) ([]runnel.Event, error) {
	select {
	case evs, ok := <-s.events:
		if !ok {
			return nil, runnel.Errorf(runnel.Unavailable, "the log does not answer")
		}
		return evs, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// push gives the reader events of the generation, together.
func (s *script) push(evs ...runnel.Event) {
	for i := range evs {
		if evs[i].Generation == "" {
			evs[i].Generation = gen
		}
		evs[i].Attempt = max(evs[i].Attempt, 1)
		evs[i].Body = []byte("{}")
	}
	s.events <- evs
}

func delta(text string) runnel.Event {
	return runnel.Event{Type: runnel.EventDelta, Text: text}
}

func (s *script) submitted() (runnel.Prompt, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompt, s.key
}

// start serves the door until the end of the test.
func start(t *testing.T) (s *script, url string) {
	t.Helper()
	s = &script{events: make(chan []runnel.Event, 10)}
	mux := http.NewServeMux()
	functionurl.New(s, functionurl.Config{MaxPrompt: 1000}).Register(mux.Handle)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return s, srv.URL
}

func post(t *testing.T, url, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
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
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

const why = `{"prompt":"why?"}`

// TestSeedClient does what the client of the function URL does: it reads the
// body as it comes and shows it.
func TestSeedClient(t *testing.T) {
	t.Parallel()
	s, url := start(t)
	s.push(runnel.Event{Type: runnel.EventQueued}, runnel.Event{Type: runnel.EventStarted})
	s.push(delta("Hel"))
	resp := post(t, url, `{"prompt":"why?","timestamp":5,"options":{"max_tokens":7}}`,
		"Content-Type", "application/json", "Authorization", "Bearer x", "Idempotency-Key", "k")
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/plain; charset=utf-8" {
		t.Fatalf("%s, %s", resp.Status, got)
	}
	piece := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != "Hel" {
		t.Fatalf("got %q, %v before there was more", piece, err)
	}
	s.push(runnel.Event{Generation: "other", Type: runnel.EventDelta, Text: "!"}, runnel.Event{Type: runnel.EventReasoning, Text: "hm"},
		delta("lo "), delta("wörld"))
	s.push(runnel.Event{Type: runnel.EventDone})
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != "lo wörld" {
		t.Errorf("got %q, %v", rest, err)
	}
	p, key := s.submitted()
	if p.Text() != "why?" || !p.History || key != "k" || len(p.Session) != 26 || resp.Header.Get("Runnel-Session") != string(p.Session) {
		t.Errorf("submitted %+v with key %q; told %v", p, key, resp.Header)
	}
}

func TestSessionName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, body, want string }{
		{"", `{"prompt":"a","sessionId":"b/ä"}`, "b/ä"},
		{"?session=q", `{"prompt":"a"}`, "q"},
		{"?session=q", `{"prompt":"a","sessionId":"b"}`, "b"},
	} {
		s, url := start(t)
		s.push(runnel.Event{Type: runnel.EventDone})
		post(t, url+tt.query, tt.body)
		if p, _ := s.submitted(); string(p.Session) != tt.want {
			t.Errorf("%s %s: the session is %q, want %q", tt.query, tt.body, p.Session, tt.want)
		}
	}
}

// TestRepeated: a client that repeats a request with its key asks for the same
// prompt, though it never named a session.
func TestRepeated(t *testing.T) {
	t.Parallel()
	s, url := start(t)
	var ids []runnel.SessionID
	for _, key := range []string{"k", "k", "other", "", ""} {
		s.push(runnel.Event{Type: runnel.EventDone})
		post(t, url, why, "Idempotency-Key", key)
		p, _ := s.submitted()
		ids = append(ids, p.Session)
	}
	if ids[0] != ids[1] || ids[0] == ids[2] || ids[3] == ids[4] || ids[0] == ids[3] {
		t.Errorf("the sessions are %q", ids)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		refusal    error
		status     int
		want       string
	}{
		{"no JSON", "prompt=a", nil, 400, "must be a JSON object"},
		{"no prompt", "{}", nil, 400, "the prompt is empty"},
		{"wrong type", `{"prompt":1}`, nil, 400, "must be a JSON object"},
		{"bad session", `{"prompt":"a","sessionId":"\n"}`, nil, 400, "control character"},
		{"long prompt", `{"prompt":"` + strings.Repeat("a", 1001) + `"}`, nil, 413, "the limit is 1000"},
		{"long body", strings.Repeat(" ", 80<<10), nil, 413, "more than"},
		{"no credentials", why, runnel.Errorf(runnel.Unauthenticated, "who are you?"), 401, "who are you?"},
		{"over a limit", why, runnel.Errorf(runnel.Limited, "slow down"), 429, "slow down"},
		{"draining", why, runnel.Errorf(runnel.Unavailable, "shutting down"), 503, "shutting down"},
		{"our fault", why, errors.New("secret"), 500, "internal error"},
	} {
		s, url := start(t)
		s.refusal = tt.refusal
		resp := post(t, url, tt.body)
		expectError(t, tt.name, resp, tt.status, tt.want)
	}
}

func expectError(t *testing.T, name string, resp *http.Response, status int, want string) {
	t.Helper()
	var body struct{ Error string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if resp.StatusCode != status || !strings.Contains(body.Error, want) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: got %d %q %v, want %d with %q", name, resp.StatusCode, body.Error, resp.Header, status, want)
	}
	if retry := resp.Header.Get("Retry-After"); (retry != "") != (status == 429 || status == 503) {
		t.Errorf("%s: Retry-After is %q", name, retry)
	}
}

func TestModelFails(t *testing.T) {
	t.Parallel()
	failed := func(kind string) runnel.Event {
		return runnel.Event{Type: runnel.EventFailed, Failure: &runnel.Failure{Kind: kind, Message: "the vendor says no"}}
	}
	for _, tt := range []struct {
		kind   string
		status int
	}{{"denied", 502}, {"internal", 502}, {"limited", 503}, {"unavailable", 503}} {
		s, url := start(t)
		s.push(delta("half"), failed(tt.kind)) // nothing was sent: the status can tell
		want := "the vendor says no"
		if tt.kind == "internal" {
			want = "internal error"
		}
		expectError(t, tt.kind, post(t, url, why), tt.status, want)
	}
	t.Run("half-way", func(t *testing.T) {
		t.Parallel()
		s, url := start(t)
		s.push(delta("half"))
		resp := post(t, url, why)
		s.push(failed("unavailable"))
		expectCut(t, resp, "half")
	})
	t.Run("the log, before", func(t *testing.T) {
		t.Parallel()
		s, url := start(t)
		close(s.events)
		expectError(t, "log", post(t, url, why), 503, "the log does not answer")
	})
	t.Run("the log, half-way", func(t *testing.T) {
		t.Parallel()
		s, url := start(t)
		s.push(delta("half"))
		resp := post(t, url, why)
		close(s.events)
		expectCut(t, resp, "half")
	})
}

// expectCut reads a body that must not look complete.
func expectCut(t *testing.T, resp *http.Response, want string) {
	t.Helper()
	got, err := io.ReadAll(resp.Body)
	if err == nil || string(got) != want {
		t.Errorf("got %q, %v; want %q and a cut connection", got, err, want)
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	s, url := start(t)
	s.push(delta("half"), runnel.Event{Type: runnel.EventCancelled})
	resp := post(t, url, why)
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "half" {
		t.Errorf("got %q, %v", got, err)
	}
	s.push(runnel.Event{Type: runnel.EventCancelled})
	resp = post(t, url, why)
	if got, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || len(got) > 0 {
		t.Errorf("before the first text: %s %q, %v", resp.Status, got, err)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	second := func(ev runnel.Event) runnel.Event { ev.Attempt = 2; return ev }
	reset := func(text string) runnel.Event { return runnel.Event{Type: runnel.EventReset, Text: text} }
	for _, tt := range []struct {
		name string
		evs  []runnel.Event
		want string // empty: cut
	}{
		{"repeats and goes on", []runnel.Event{second(reset("")), second(delta("He")), second(delta("llo")), second(delta(" you"))}, "Hello you"},
		{"a new attempt without a reset", []runnel.Event{second(delta("Hello")), second(delta(" you"))}, "Hello you"},
		{"longer", []runnel.Event{reset("Hello y"), delta("ou")}, "Hello you"},
		{"shorter, and again", []runnel.Event{reset("H"), delta("ello"), delta(" you")}, "Hello you"},
		{"everything is void", []runnel.Event{{Generation: "none", Type: runnel.EventReset}, reset("Hello"), delta(" you")}, "Hello you"},
		{"something else", []runnel.Event{reset("Hallo"), delta(" you")}, ""},
		{"something else later", []runnel.Event{second(reset("")), second(delta("Hell's bells"))}, ""},
		{"shorter for good", []runnel.Event{reset("Hel")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, url := start(t)
			s.push(delta("Hello"))
			resp := post(t, url, why)
			s.push(append(tt.evs, runnel.Event{Type: runnel.EventDone, Attempt: tt.evs[0].Attempt})...)
			if tt.want == "" {
				expectCut(t, resp, "Hello")
				return
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	s, url := start(t)
	resp := post(t, url, why, "Accept", "text/event-stream")
	s.push(delta("Hel"))
	frames := sse.NewReader(resp.Body, 1<<20)
	if f, err := frames.Next(); err != nil || string(f.Type) != "delta" || resp.Header.Get("Runnel-Session") == "" {
		t.Fatalf("got %s, %v, %v", f.Type, err, resp.Header)
	}
	s.push(runnel.Event{Type: runnel.EventDone})
	if f, err := frames.Next(); err != nil || string(f.Type) != "generation.done" {
		t.Errorf("got %s, %v", f.Type, err)
	}
	if _, err := frames.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	s, url := start(t)
	s.push(delta("Hel"))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(why))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = resp.Body.Close()
	// The handler has left when nobody takes the events any more.
	for deadline := time.Now().Add(10 * time.Second); len(s.events) < cap(s.events); {
		s.push(runnel.Event{Type: runnel.EventProgress})
		if time.Now().After(deadline) {
			t.Fatal("the handler goes on")
		}
	}
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{why, `{"prompt":"a","sessionId":"b"}`, `[]`, `{"prompt":{}}`, "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := &script{events: make(chan []runnel.Event, 1)}
		mux := http.NewServeMux()
		functionurl.New(s, functionurl.Config{}).Register(mux.Handle)
		s.push(delta("x"), runnel.Event{Type: runnel.EventDone})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		p, _ := s.submitted()
		if accepted := p.Session != ""; (w.Code == http.StatusOK) != accepted || (w.Code != http.StatusOK && w.Code != http.StatusBadRequest) {
			t.Fatalf("%q: %d %s; submitted %+v", body, w.Code, w.Body, p)
		}
	})
}
