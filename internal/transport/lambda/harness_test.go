package lambda_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/transport/lambda"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The callers that the tests know, by what they show in Authorization.
const (
	service = "service"
	user    = "user"
	signer  = "signer"
)

// A gateway is both doors, in front of one function.
type gateway struct {
	url    string
	client *http.Client
	set    *function.Set
}

// open opens the doors of the function f, which answers as handler does. Its URL,
// if u is not nil, is as u says.
func open(t *testing.T, u *function.URL, handler http.HandlerFunc) *gateway {
	t.Helper()
	return openWith(t, u, handler, false)
}

func openWith(t *testing.T, u *function.URL, handler http.HandlerFunc, http2 bool) *gateway {
	t.Helper()
	backend := httptest.NewServer(handler)
	t.Cleanup(backend.Close)
	t.Cleanup(backend.CloseClientConnections)
	cfg := []function.Config{{Name: "f", HTTP: backend.URL, Concurrency: 4, URL: u}, {Name: "plain", HTTP: backend.URL}}
	if err := function.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	set, err := function.New(cfg, function.Options{Retry: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = set.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	doors := lambda.Config{Functions: set, Authenticate: authenticate, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	mux := http.NewServeMux()
	lambda.NewAPI(doors).Register(mux.Handle)
	lambda.NewURLs(doors).Register(mux.Handle)
	web := httptest.NewUnstartedServer(mux)
	transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	web.Config.Protocols = transport.Protocols
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(transport.CloseIdleConnections)
	return &gateway{url: web.URL, client: &http.Client{Transport: transport}, set: set}
}

func authenticate(r *http.Request, _ string, body func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
	who := r.Header.Get("Authorization")
	p := &runnel.Principal{ID: "key:" + who, Service: who != user}
	switch {
	case who == "":
		return nil, nil, runnel.Errorf(runnel.Unauthenticated, "who is it?")
	case strings.HasPrefix(who, "AWS4-HMAC-SHA256 ") || who == signer:
		if _, err := body(); err != nil {
			return nil, nil, err
		}
		p.ID, p.Scheme = "iam:AKID", "sigv4"
	}
	return runnel.WithPrincipal(r.Context(), p), func() {}, nil
}

// ask makes a request and returns the response with its body read.
func (g *gateway) ask(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// echo answers with the event.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // before the first write, which ends the reading
	_, _ = w.Write(body)
}

// says returns a handler that answers with a text.
func says(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, text)
	}
}

// fails is a function that raises.
func fails(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Amz-Function-Error", "Unhandled")
	_, _ = io.WriteString(w, `{"errorType":"ValueError","errorMessage":"no such thing"}`)
}

func decode(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
