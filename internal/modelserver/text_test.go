package modelserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// chat is what an OpenAI client understands of a stream.
type chat struct {
	Text   string
	Chunks int // with text
	Reason string
	Usage  string
}

func readChat(t *testing.T, body string) (c chat) {
	t.Helper()
	rest, ok := strings.CutSuffix(body, "data: [DONE]\n\n")
	if !ok {
		t.Errorf("no end marker in %q", body)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(rest, "\n\n"), "\n\n") {
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
				FinishReason string `json:"finish_reason"`
			} `json:"choices"`
			Usage json.RawMessage `json:"usage"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &chunk); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, ch := range chunk.Choices {
			c.Text += ch.Delta.Content
			c.Reason += ch.FinishReason
			if ch.Delta.Content != "" {
				c.Chunks++
			}
		}
		if string(chunk.Usage) != "null" {
			c.Usage += string(chunk.Usage)
		}
	}
	return c
}

func TestChatText(t *testing.T) {
	t.Parallel()
	s := modelserver.New(modelserver.Options{Tokens: 200})
	w := post(s, "/v1/chat/completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[
		{"role":"system","content":"be brief"},{"role":"user","content":"old"},{"role":"assistant","content":"yes"},
		{"role":"user","content":[{"type":"text","text":"tell "},{"type":"text","text":"me"}]}]}`)
	want := chat{
		Text: modelserver.Text("tell me", 200), Chunks: 200, Reason: "stop",
		Usage: `{"prompt_tokens":6,"completion_tokens":200,"total_tokens":206}`,
	}
	if diff := cmp.Diff(want, readChat(t, w.Body.String())); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}

	w = post(s, "/v1/chat/completions", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"tell me"}]}`)
	var whole struct {
		Choices []struct {
			Message      struct{ Content string }
			FinishReason string `json:"finish_reason"`
		}
		Usage map[string]int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &whole); err != nil {
		t.Fatal(err)
	}
	if got := whole.Choices[0]; got.Message.Content != modelserver.Text("tell me", 5) || got.FinishReason != "length" {
		t.Errorf("whole answer: %+v", got)
	}
}

func TestTextDependsOnTheQuestion(t *testing.T) {
	t.Parallel()
	a, b := modelserver.Text("a", 50), modelserver.Text("b", 50)
	if a == b || a != modelserver.Text("a", 50) || !strings.HasPrefix(modelserver.Text("a", 51), a) {
		t.Errorf("a: %q\nb: %q", a, b)
	}
}

func TestPaceIsAbsolute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := modelserver.New(modelserver.Options{})
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), delay: 30 * time.Millisecond}
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions",
			strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`))
		r.Header.Set("X-Model-Server", "ttft=500ms tps=10 tokens=11")
		start := time.Now()
		s.ServeHTTP(w, r)
		if got, want := w.at[0].Sub(start), 500*time.Millisecond; got != want {
			t.Errorf("the first token came after %v, want %v", got, want)
		}
		if got, want := w.at[10].Sub(start), 1500*time.Millisecond; got != want {
			t.Errorf("the eleventh token came after %v, want %v: slow writes have added up", got, want)
		}
	})
}

func TestJitterIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T) (at []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
			start := time.Now()
			modelserver.New(modelserver.Options{Tokens: 20, TPS: 10, Jitter: 90 * time.Millisecond}).ServeHTTP(w, httptest.NewRequest(
				http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`)))
			for _, t := range w.at {
				at = append(at, t.Sub(start))
			}
		})
		return at
	}
	first := run(t)
	if diff := cmp.Diff(first, run(t)); diff != "" {
		t.Errorf("two runs (-first +second):\n%s", diff)
	}
	late := time.Duration(0)
	for i, d := range first[:20] {
		due := time.Duration(i) * 100 * time.Millisecond
		if d < due || d >= due+90*time.Millisecond {
			t.Errorf("token %d came after %v", i, d)
		}
		late += d - due
	}
	if mean := late / 20; mean < 20*time.Millisecond || mean > 70*time.Millisecond {
		t.Errorf("tokens are %v late in the mean, want about 45ms", mean)
	}
}

// slowWriter notes when it was flushed, and takes its time over it.
type slowWriter struct {
	*httptest.ResponseRecorder
	delay time.Duration
	at    []time.Time
}

func (w *slowWriter) Flush() {
	w.at = append(w.at, time.Now())
	time.Sleep(w.delay)
	w.ResponseRecorder.Flush()
}

func TestUnstamp(t *testing.T) {
	t.Parallel()
	before := time.Now()
	w := post(modelserver.New(modelserver.Options{Tokens: 100, Stamp: true}), "/v1/chat/completions",
		`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	got := readChat(t, w.Body.String()).Text
	plain, sent := modelserver.Unstamp(got)
	if want := modelserver.Text("hi", 100); plain != want {
		t.Errorf("without stamps (-want +got):\n%s", cmp.Diff(want, plain))
	}
	if len(sent) != 100 {
		t.Fatalf("%d stamps, want 100", len(sent))
	}
	for _, at := range sent {
		if at.Before(before.Truncate(0).Add(-time.Millisecond)) || at.After(time.Now()) {
			t.Fatalf("a stamp says %v", at)
		}
	}
}
