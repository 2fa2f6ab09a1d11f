package bedrock_test

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// A step is what the model does next.
type step struct {
	delta runnel.Delta
	err   error
}

// A model does what it is sent, and tells what it was asked and when it was
// let go.
type model struct {
	steps chan step
	asked chan runnel.Prompt
	freed chan struct{}
}

func (m *model) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		m.asked <- p
		for {
			select {
			case s := <-m.steps:
				if !yield(s.delta, s.err) || s.err != nil || s.delta.End != nil {
					return
				}
			case <-ctx.Done():
				m.freed <- struct{}{}
				yield(runnel.Delta{}, ctx.Err())
				return
			}
		}
	}
}

func (m *model) Lookup(name string) ([]runnel.Candidate, error) {
	if name == "test" {
		return []runnel.Candidate{{Name: "vendor/test", Provider: m}}, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "unknown model")
}

// says makes the model say something and, with an end, stop.
func (m *model) says(deltas ...runnel.Delta) {
	for _, d := range deltas {
		m.steps <- step{delta: d}
	}
}

func text(s string) runnel.Delta { return runnel.Delta{Text: s} }

func ends(reason runnel.StopReason) runnel.Delta {
	return runnel.Delta{End: &runnel.End{StopReason: reason, Usage: &runnel.Usage{InputTokens: 3, OutputTokens: 5, CacheReadTokens: 1}}}
}

// all is an answer with everything in it. Nothing of it can be joined on the way.
func all() []runnel.Delta {
	return []runnel.Delta{
		{Reasoning: "hm"}, {Seal: &runnel.Seal{Signature: "c2ln"}}, {Seal: &runnel.Seal{Redacted: "aGlk"}}, text("Hello \"wörld\""),
		{Tool: &runnel.ToolDelta{ID: "call_1", Name: "add", Input: `{"a":1}`}}, {Tool: &runnel.ToolDelta{Index: 1, ID: "call_2", Name: "now"}},
		ends(runnel.ToolUse),
	}
}

type rig struct {
	*model
	url      string
	sessions runnel.Sessions
}

// start runs the door, with the real core behind it, until the end of the test.
func start(t testing.TB, cfg bedrock.Config) *rig {
	t.Helper()
	m := &model{steps: make(chan step, 100), asked: make(chan runnel.Prompt, 10), freed: make(chan struct{}, 10)}
	core := session.New(memlog.New(), m, session.Config{FlushInterval: -1, Retries: -1, DrainTimeout: time.Millisecond})
	cfg.MaxPrompt, cfg.Models = 1000, func() []string { return []string{"test"} }
	cfg.Mapped = map[string]string{"*": "test", "nobody.*": "unknown"}
	cfg.Stream = sse.Config{Heartbeat: time.Minute}
	if cfg.Authenticate == nil {
		cfg.Authenticate = func(r *http.Request, _ string, _ func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
			return r.Context(), func() {}, nil
		}
	}
	door := bedrock.New(core, cfg)
	mux := http.NewServeMux()
	door.Register(mux.Handle)
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
	return &rig{m, srv.URL, core}
}

// sdk returns Amazon's own client.
func (r *rig) sdk(t testing.TB) *bedrockruntime.Client {
	t.Helper()
	web := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	t.Cleanup(web.CloseIdleConnections)
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "us-east-1", BaseEndpoint: &r.url, HTTPClient: web, RetryMaxAttempts: 1,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")),
	})
}

// post sends a request to a path behind /model/.
func (r *rig) post(t testing.TB, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/model/"+path, strings.NewReader(body))
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

// serve runs a handler alone.
func serve(t *testing.T, h http.Handler) *rig {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &rig{url: srv.URL}
}
