package echo_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/echo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what came out of one generation.
type answer struct {
	reasoning, text, input string
	tool                   runnel.ToolDelta
	end                    runnel.End
	tokens                 int
}

func generate(ctx context.Context, p runnel.Provider, prompt runnel.Prompt) (a answer, err error) {
	for d, err := range p.Generate(ctx, prompt) {
		if err != nil {
			return a, err
		}
		switch {
		case d.End != nil:
			a.end = *d.End
			continue
		case d.Tool != nil && d.Tool.ID != "":
			a.tool = *d.Tool
		case d.Tool != nil:
			a.input += d.Tool.Input
		}
		a.tokens++
		a.text += d.Text
		a.reasoning += d.Reasoning
	}
	return a, nil
}

func ask(text string) runnel.Prompt {
	return runnel.Prompt{Messages: []runnel.Message{runnel.TextMessage(runnel.User, text)}}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	const question = "Why is the  sky\nblue?"
	first, err := generate(t.Context(), echo.New(echo.Config{}), ask(question))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first.text, "You said: “Why is the sky blue?”") {
		t.Errorf("got %q, want it to begin with the question", first.text)
	}
	if first.tokens < 60 || first.tokens > 120 {
		t.Errorf("got %d tokens, want 60 to 120", first.tokens)
	}
	want := runnel.End{
		StopReason: runnel.EndTurn, Model: "echo",
		Usage: &runnel.Usage{InputTokens: 5, OutputTokens: first.tokens},
	}
	if diff := cmp.Diff(want, first.end); diff != "" {
		t.Errorf("end (-want +got):\n%s", diff)
	}

	other := ask("Hello")
	other.System = "Be brief."
	other.Messages = append(other.Messages, runnel.TextMessage(runnel.Assistant, "Hi"))
	other.Messages = append(other.Messages, ask(question).Messages...)
	again, err := generate(t.Context(), echo.New(echo.Config{}), other)
	if err != nil {
		t.Fatal(err)
	}
	if again.text != first.text {
		t.Errorf("got %q after a history, want %q", again.text, first.text)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	prompt := ask("hello")
	prompt.Tools = []runnel.Tool{{Name: "look_up"}}
	short := prompt
	short.MaxTokens = 5
	stop := prompt
	stop.Stop = []string{"network", " model that"}
	toolDone := prompt
	toolDone.Messages = append([]runnel.Message{}, prompt.Messages...)
	toolDone.Messages = append(toolDone.Messages, runnel.Message{Role: runnel.User,
		Parts: []runnel.Part{{ToolResult: &runnel.ToolResult{ID: "call_echo", Content: "42"}}}})

	tests := []struct {
		name   string
		cfg    echo.Config
		prompt runnel.Prompt
		check  func(answer) bool
		reason runnel.StopReason
	}{
		{"short", echo.Config{Tokens: 7}, prompt, func(a answer) bool { return a.tokens == 7 }, runnel.EndTurn},
		{"long", echo.Config{Tokens: 1000}, prompt, func(a answer) bool { return a.tokens == 1000 }, runnel.EndTurn},
		{"limit", echo.Config{}, short, func(a answer) bool { return a.tokens == 5 }, runnel.MaxTokens},
		{"limit that is not reached", echo.Config{Tokens: 5}, short, func(a answer) bool { return a.tokens == 5 }, runnel.EndTurn},
		{"stop", echo.Config{}, stop, func(a answer) bool { return strings.HasSuffix(a.text, "the") }, runnel.StopSequence},
		{"reasoning", echo.Config{Reasoning: 12}, prompt, func(a answer) bool {
			return len(strings.Fields(a.reasoning)) == 12 && a.end.Usage.ReasoningTokens == 12
		}, runnel.EndTurn},
		{"tool", echo.Config{Tool: true}, prompt, func(a answer) bool {
			return a.tool == runnel.ToolDelta{ID: "call_echo", Name: "look_up"} && a.input == `{"text": "hello"}`
		}, runnel.ToolUse},
		{"tool has answered", echo.Config{Tool: true}, toolDone, func(a answer) bool {
			return a.tool.Name == "" && strings.HasPrefix(a.text, "The tool answered: “42”")
		}, runnel.EndTurn},
		{"no question", echo.Config{}, runnel.Prompt{}, func(a answer) bool { return strings.HasPrefix(a.text, "You said nothing") }, runnel.EndTurn},
		{"long question", echo.Config{}, ask(strings.Repeat("é", 1<<20)), func(a answer) bool { return len(a.text) < 1000 }, runnel.EndTurn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := generate(t.Context(), echo.New(tt.cfg), tt.prompt)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.check(got) || got.end.StopReason != tt.reason {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	got, err := generate(t.Context(), echo.New(echo.Config{Fail: true, FailAfter: 3}), ask("hello"))
	if runnel.KindOf(err) != runnel.Unavailable || got.tokens != 3 {
		t.Errorf("got %d tokens and %v, want 3 and an Unavailable error", got.tokens, err)
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n := 0
		for d, err := range echo.New(echo.Config{TTFT: 100 * time.Millisecond, TPS: 10, Tokens: 20}).Generate(t.Context(), ask("hello")) {
			if err != nil {
				t.Fatal(err)
			}
			if d.End != nil {
				break
			}
			got, want := time.Since(start), time.Duration(n+1)*100*time.Millisecond
			if n == 5 {
				want = 695 * time.Millisecond // late, and on time again after that
			}
			if got != want {
				t.Errorf("token %d came after %v, want %v", n, got, want)
			}
			if n == 4 {
				time.Sleep(195 * time.Millisecond)
			}
			n++
		}
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := generate(ctx, echo.New(echo.Config{TTFT: time.Hour}), ask("hello"))
		if !errors.Is(err, context.DeadlineExceeded) || runnel.KindOf(err) != runnel.Unavailable {
			t.Errorf("got %v, want ctx's error", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("ended after %v, want 1s", got)
		}
	})
}

// TestMany runs many paced streams on one Provider, which must stay apart.
func TestMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := echo.New(echo.Config{TPS: 50, Tokens: 40})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got, err := generate(t.Context(), p, ask("hello")); err != nil || got.tokens != 40 {
					t.Errorf("got %d tokens and %v", got.tokens, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	if _, err := echo.Open("", url.Values{"ttft": {"1s"}, "tps": {"0"}, "fail": {"after:5"}}); err != nil {
		t.Error(err)
	}
	for _, v := range []url.Values{{"fail": {"5"}}, {"fail": {"after:x"}}, {"fail": {"after:-1"}}, {"speed": {"1"}}} {
		if _, err := echo.Open("", v); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%v: got %v, want an Invalid error", v, err)
		}
	}
	if _, err := echo.Open("large", nil); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("got %v for a model, want an Invalid error", err)
	}
}

// FuzzAnswer checks that nothing that a person can type breaks the answer apart.
func FuzzAnswer(f *testing.F) {
	f.Add("hello", 3)
	f.Add(strings.Repeat("\u3000é\xff", 200), 90)
	f.Add(strings.Repeat("\x80", 200), 0) // no rune starts anywhere
	f.Fuzz(func(t *testing.T, question string, tokens int) {
		cfg := echo.Config{Tokens: max(0, tokens%500), Tool: true}
		got, err := generate(t.Context(), echo.New(cfg), ask(question))
		if err != nil {
			t.Fatal(err)
		}
		if n := got.end.Usage.OutputTokens - len(strings.Fields(got.input)); cfg.Tokens > 0 && n != cfg.Tokens {
			t.Errorf("got %d tokens, want %d: %q", n, cfg.Tokens, got.text)
		}
	})
}

func BenchmarkToken(b *testing.B) {
	b.ReportAllocs()
	p := echo.New(echo.Config{Tokens: 1 << 16})
	for n := 0; n < b.N; {
		for range p.Generate(b.Context(), ask("hello")) {
			if n++; n >= b.N {
				break
			}
		}
	}
}

func TestGoesOn(t *testing.T) {
	t.Parallel()
	e := echo.New(echo.Config{Tokens: 30, Prefill: true})
	whole, err := generate(t.Context(), e, ask("hi"))
	if err != nil || !e.Continues() {
		t.Fatal(err)
	}
	for _, at := range []int{1, 10, len(whole.text) / 2, len(whole.text)} {
		p := ask("hi")
		p.Messages = append(p.Messages, runnel.TextMessage(runnel.Assistant, whole.text[:at]))
		p.Continue = true
		rest, err := generate(t.Context(), e, p)
		if err != nil || rest.text != whole.text[at:] || rest.end.StopReason != runnel.EndTurn {
			t.Errorf("after %q: %q, %v", whole.text[:at], rest.text, err)
		}
		p.MaxTokens = 2 // of what follows
		if rest, _ := generate(t.Context(), e, p); rest.tokens > 2 || at < 100 && rest.end.StopReason != runnel.MaxTokens {
			t.Errorf("after %d bytes: %d tokens, %s", at, rest.tokens, rest.end.StopReason)
		}
	}
	p := ask("hi")
	p.Messages = append(p.Messages, runnel.TextMessage(runnel.Assistant, "Something else"))
	p.Continue = true
	if _, err := generate(t.Context(), e, p); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("what it would not have said: %v", err)
	}
	if echo.New(echo.Config{}).Continues() {
		t.Error("it goes on though it should not")
	}
}
