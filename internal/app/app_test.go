package app_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of a node that stays out of the way of others.
func settings(t *testing.T, model string) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir, cfg.Model = "127.0.0.1:0", t.TempDir(), []string{model}
	cfg.LogLevel = "debug"
	return cfg
}

// logs collects what a node logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func start(t *testing.T, cfg config.Config) (*app.App, *logs) {
	t.Helper()
	var l logs
	node, err := app.New(cfg, &l)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return node, &l
}

func TestServes(t *testing.T) {
	t.Parallel()
	node, l := start(t, settings(t, "echo?ttft=0s&tps=0"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport}
	url := "http://" + node.Addr().String()

	c, err := client.New(url, client.WithHTTPClient(web))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Submit(t.Context(), "s", client.Prompt{Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	var answer client.Answer
	for ev, err := range c.Follow(t.Context(), receipt) {
		if err != nil {
			t.Fatal(err)
		}
		answer.Apply(ev)
	}
	if answer.State != runnel.Done || !strings.Contains(answer.Text(), "hello") {
		t.Errorf("the answer is %s: %q", answer.State, answer.Text())
	}
	for path, want := range map[string]string{
		"/readyz":       `"ready":true`,
		"/metrics":      `runnel_generations_total{model="echo",outcome="done"} 1`,
		"/openapi.yaml": "openapi: 3.1",
		"/":             "<title>Runnel</title>", // the chat page, or what says that there is none
	} {
		if got := get(t, web, url+path); !strings.Contains(got, want) {
			t.Errorf("GET %s has no %q:\n%.2000s", path, want, got)
		}
	}
	select {
	case <-node.Done():
		t.Error("a part has ended by itself")
	default:
	}
	if err := node.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, step := range []string{"drain", "end streams", "close", "close engine"} {
		if !strings.Contains(l.String(), `"step":"`+step+`"`) {
			t.Errorf("the log does not name the step %q:\n%s", step, l)
		}
	}
}

func get(t *testing.T, web *http.Client, url string) string {
	t.Helper()
	resp, err := web.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Settings of zero mean none to users, and the default to the parts.
func TestNoHistory(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.HistoryTurns, cfg.Retries, cfg.FlushInterval = 0, 0, 0
	node, _ := start(t, cfg)
	if err := node.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	first, _ := start(t, settings(t, "echo"))
	defer func() {
		if err := first.Stop(); err != nil {
			t.Error(err)
		}
	}()

	taken := settings(t, "echo")
	taken.Listen = first.Addr().String()
	if err := startError(t, taken); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want that the address is in use", err)
	}

	// The address is free again after the failure.
	broken := settings(t, "echo")
	broken.DataDir = "/dev/null/data"
	if err := startError(t, broken); err == nil || !strings.Contains(err.Error(), "natslog: open") {
		t.Errorf("got %v, want an error of the engine", err)
	}

	uncertified := settings(t, "echo")
	uncertified.TLSCert, uncertified.TLSKey = "/dev/null", "/dev/null"
	if err := startError(t, uncertified); err == nil || !strings.Contains(err.Error(), "cert: /dev/null") {
		t.Errorf("got %v, want an error about the certificate", err)
	}
	uncertified.TLSCert, uncertified.TLSKey = "", ""
	again, _ := start(t, uncertified)
	if err := again.Stop(); err != nil {
		t.Error(err)
	}
}

func startError(t *testing.T, cfg config.Config) error {
	t.Helper()
	node, err := app.New(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return node.Start(t.Context())
}

// A stop with a viewer and a generation that would take long is over soon after
// the drain time-out.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=5&tokens=1000")
	cfg.DrainTimeout = 100 * time.Millisecond
	node, _ := start(t, cfg)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := client.New("http://"+node.Addr().String(), client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Submit(t.Context(), "s", client.Prompt{Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	for ev, err := range c.Follow(t.Context(), receipt) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == runnel.EventDelta {
			break
		}
	}
	begin := time.Now()
	if err := node.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := app.New(settings(t, "nosuch/model"), io.Discard); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("got %v, want an Invalid error", err)
	}
}
