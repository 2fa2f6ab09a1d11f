package modelserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// post sends a request through the handler, without a network.
func post(s *modelserver.Server, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

// serve starts a server on a loopback port.
func serve(t *testing.T, o modelserver.Options) (*modelserver.Server, string, *http.Client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := modelserver.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s, "http://" + ln.Addr().String(), client
}

// waitFor waits until the counters satisfy ok.
func waitFor(t *testing.T, s *modelserver.Server, ok func(modelserver.Stats) bool) modelserver.Stats {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if st := s.Stats(); ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("gave up waiting; the counters are %+v", s.Stats())
		}
	}
}

func TestAbortIsCounted(t *testing.T) {
	t.Parallel()
	s, url, client := serve(t, modelserver.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := `{"stream":true,"messages":[{"role":"user","content":"[[tokens=1000 tps=1 tag=gone]]"}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.OpenStreams != 1 || st.Requests != 1 {
		t.Errorf("during the stream: %+v", st)
	}
	stopped := time.Now()
	cancel()
	st := waitFor(t, s, func(st modelserver.Stats) bool { return st.Aborted == 1 && st.OpenStreams == 0 })
	if len(st.Aborts) != 1 || st.Aborts[0].Tag != "gone" || st.Aborts[0].Tokens != 1 {
		t.Errorf("aborts: %+v", st.Aborts)
	} else if at := time.Unix(0, st.Aborts[0].At); at.Before(stopped) || at.After(time.Now()) {
		t.Errorf("the abort was seen at %v, the client left at %v", at, stopped)
	}
}

func TestRunSpeaksHTTP2(t *testing.T) {
	t.Parallel()
	_, url, _ := serve(t, modelserver.Options{})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	resp, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d: %v", resp.ProtoMajor, err)
	}
}

func TestRunBreaksOffWhatIsOpen(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- modelserver.New(modelserver.Options{TPS: 1}).Run(ctx, ln) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://"+ln.Addr().String()+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStreamFaults(t *testing.T) {
	t.Parallel()
	_, url, client := serve(t, modelserver.Options{Tokens: 4})
	cases := []struct {
		settings string
		chunks   int // whole ones that arrive, the first with the role
		err      error
		last     string // what the body ends with
	}{
		{"", 6, nil, "data: [DONE]\n\n"},
		{"cut-after=2", 3, io.ErrUnexpectedEOF, "\n\n"},
		{"cut-after=2 inside=1", 3, io.ErrUnexpectedEOF, ""},
		{"end-after=2", 3, nil, "\n\n"},
		{"end-after=4", 5, nil, "\n\n"},
		{"end-after=0", 1, nil, "\n\n"},
		{"error-after=1 error=overloaded", 2, nil, `"type":"overloaded"}}` + "\n\n"},
		{"garbage-after=3", 6, nil, "data: [DONE]\n\n"},
	}
	for _, c := range cases {
		t.Run(c.settings, func(t *testing.T) {
			t.Parallel()
			body := `{"stream":true,"messages":[{"role":"user","content":"[[fault:` + c.settings + `]]"}]}`
			resp, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			all, err := io.ReadAll(resp.Body)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("the body ended with %v, want %v", err, c.err)
			}
			if got := strings.Count(string(all), "choices"); got != c.chunks && !strings.Contains(c.settings, "inside") {
				t.Errorf("%d chunks, want %d:\n%s", got, c.chunks, all)
			}
			if !strings.HasSuffix(string(all), c.last) {
				t.Errorf("the body ends with %q, want %q", all[max(0, len(all)-80):], c.last)
			}
		})
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	s, url, client := serve(t, modelserver.Options{Fault: modelserver.Fault{Stream: modelserver.Stall, After: 1}})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions",
		strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	waitFor(t, s, func(st modelserver.Stats) bool { return st.Faulted == 1 })
	cancel()
	waitFor(t, s, func(st modelserver.Stats) bool { return st.Aborted == 1 })
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{})
	ask := func(text string) string {
		return `{"messages":[{"role":"user","content":` + quote(text) + `}]}`
	}
	w := post(s, "/v1/chat/completions", ask("[[fault:status=429 retry-after=1500ms]]"))
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), "rate_limit_error") {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	var codes []int
	for range 4 {
		codes = append(codes, post(s, "/v1/chat/completions", ask("x [[fail-first=2]]")).Code)
	}
	if diff := cmp.Diff([]int{503, 503, 200, 200}, codes); diff != "" {
		t.Errorf("statuses with fail-first=2 (-want +got):\n%s", diff)
	}
	for _, body := range []string{"", "{", `{"messages":[]}`, ask("[[token=1]]"), ask("[[tokens=-1]]"), ask("[[tps=NaN]]"), ask("[[status=200]]")} {
		if w := post(s, "/v1/chat/completions", body); w.Code != http.StatusBadRequest {
			t.Errorf("%q was answered with %d %s", body, w.Code, w.Body)
		}
	}
	if st := s.Stats(); st.Refused != 10 || st.Requests != 12 {
		t.Errorf("counters: %+v", st)
	}
}

func TestStatsOverHTTP(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Tokens: 3})
	post(s, "/v1/chat/completions", `{"stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	get := func(method string) (st modelserver.Stats) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, "/stats", nil))
		if w.Body.Len() > 0 {
			if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil {
				t.Fatal(err)
			}
		}
		return st
	}
	want := modelserver.Stats{Requests: 1, Completed: 1, Tokens: 3, PeakStreams: 1, Aborts: []modelserver.Abort{}}
	if diff := cmp.Diff(want, get(http.MethodGet)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	get(http.MethodDelete)
	if diff := cmp.Diff(modelserver.Stats{Aborts: []modelserver.Abort{}}, get(http.MethodGet)); diff != "" {
		t.Errorf("counters after a reset (-want +got):\n%s", diff)
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
