package providertest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testRequest(t *testing.T, v Vendor) { compareRequest(t, v, everything(), v.Request) }

func testContinue(t *testing.T, v Vendor) {
	if v.Continue == "" {
		t.Skip("the package has tests of its own")
	}
	if _, can := v.Open(t, "http://127.0.0.1").(runnel.Continuer); !can {
		t.Fatal("the provider is no Continuer")
	}
	p := prompt()
	p.Messages = append(p.Messages, runnel.TextMessage(runnel.Assistant, "Hello, wor"))
	p.Continue = true
	compareRequest(t, v, p, v.Continue)
}

// compareRequest compares what is sent for a prompt with a golden file.
func compareRequest(t *testing.T, v Vendor, p runnel.Prompt, golden string) {
	requests := make(chan []byte, 1)
	s := serve(t, v, func(s *session) {
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s %s\n\n", s.request.Method, s.request.URL.Path)
		if err := json.Indent(&text, s.body, "", "  "); err != nil {
			t.Errorf("the request is not JSON: %v", err)
		}
		text.WriteByte('\n')
		requests <- text.Bytes()
		s.answer(greeting())
	})
	if _, _, err := collect(t.Context(), t, s.provider, p); err != nil {
		t.Fatal(err)
	}
	got := <-requests
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the request differs from %s (-want +got):\n%s", golden, diff)
	}
}

// everything is a prompt that uses all that a prompt can have.
func everything() runnel.Prompt {
	temperature, topP := 0.5, 0.9
	p := prompt()
	p.System = "Be brief."
	p.MaxTokens, p.Temperature, p.TopP, p.Stop = 100, &temperature, &topP, []string{"END"}
	p.Tools = []runnel.Tool{
		{Name: "weather", Description: "Tells the weather.", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)},
	}
	p.ToolChoice = runnel.ToolChoice{Mode: "tool", Name: "weather"}
	p.Extra = json.RawMessage(`{"top_k":5}`)
	p.Messages = []runnel.Message{
		{Role: runnel.User, Parts: []runnel.Part{
			{Text: "What is this, "}, {Text: "and how is the weather?"},
			{Image: &runnel.Image{MediaType: "image/png", Data: []byte("\x89PNG")}},
		}},
		{Role: runnel.Assistant, Parts: []runnel.Part{
			{Text: "Let me see."},
			{Reasoning: &runnel.Reasoning{Text: "The weather, then.", Seal: runnel.Seal{Signature: "c2ln"}}},
			{Reasoning: &runnel.Reasoning{Seal: runnel.Seal{Redacted: "aGlk"}}},
			{Reasoning: &runnel.Reasoning{Text: "Nobody has sealed this."}}, // and nobody takes it
			{ToolCall: &runnel.ToolCall{ID: "call_1", Name: "weather", Input: json.RawMessage(`{"city":"Oslo"}`)}},
		}},
		{Role: runnel.User, Parts: []runnel.Part{
			{Text: "Go on."},
			{ToolResult: &runnel.ToolResult{ID: "call_1", Content: "no such city", Failed: true}},
		}},
	}
	return p
}

func testAnswer(t *testing.T, v Vendor) {
	want := greeting()
	s := serve(t, v, func(s *session) { s.answer(want) })
	got, end, err := collect(t.Context(), t, s.provider, prompt())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Answer{Reasoning: want.Reasoning, Text: want.Text}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&want.Usage, end.Usage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func testTools(t *testing.T, v Vendor) {
	want := []ToolCall{
		{ID: "call_1", Name: "weather", Input: []string{`{"city":`, `"Os`, `lo"}`}},
		{ID: "call_2", Name: "time"},
	}
	s := serve(t, v, func(s *session) {
		s.answer(Answer{Text: []string{"I look."}, Tools: want, Stop: runnel.ToolUse, Usage: runnel.Usage{InputTokens: 1, OutputTokens: 1}})
	})
	got, end, err := collect(t.Context(), t, s.provider, prompt())
	if err != nil {
		t.Fatal(err)
	}
	for i, input := range []string{`{"city":"Oslo"}`, `{}`} { // nothing means no arguments
		want[i].Input = []string{input}
		if i < len(got.Tools) {
			got.Tools[i].Input = []string{strings.Join(got.Tools[i].Input, "")}
		}
	}
	if diff := cmp.Diff(Answer{Text: []string{"I look."}, Tools: want}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if end.StopReason != runnel.ToolUse {
		t.Errorf("got stop reason %q, want %q", end.StopReason, runnel.ToolUse)
	}
}

func testStopReasons(t *testing.T, v Vendor) {
	for _, want := range []runnel.StopReason{runnel.EndTurn, runnel.MaxTokens} {
		a := greeting()
		a.Stop = want
		s := serve(t, v, func(s *session) { s.answer(a) })
		if _, end, err := collect(t.Context(), t, s.provider, prompt()); err != nil || end.StopReason != want {
			t.Errorf("got %+v, %v, want stop reason %q", end, err, want)
		}
	}
}

// testAtOnce has the server wait with each fragment until the one before it has
// come out.
func testAtOnce(t *testing.T, v Vendor) {
	a := greeting()
	arrived := make(chan struct{}, len(a.Reasoning)+len(a.Text))
	s := serve(t, v, func(s *session) {
		content, end := v.Frames(a)
		for _, frame := range content {
			s.send(frame)
			select {
			case <-arrived:
			case <-s.over:
				return
			}
		}
		s.send(end...)
	})
	for d, err := range s.provider.Generate(t.Context(), prompt()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.End == nil && d.Usage == nil {
			arrived <- struct{}{}
		}
	}
}

// testOpenEnd has the server say everything and then nothing, without an end of
// the body.
func testOpenEnd(t *testing.T, v Vendor) {
	s := serve(t, v, func(s *session) {
		s.answer(greeting())
		s.hang()
	})
	if _, _, err := collect(t.Context(), t, s.provider, prompt()); err != nil {
		t.Fatal(err)
	}
	s.left(t)
}

func testConcurrent(t *testing.T, v Vendor) {
	const streams = 32
	s := serve(t, v, func(s *session) {
		for i := range streams {
			if mark := fmt.Sprintf("question %d.", i); bytes.Contains(s.body, []byte(mark)) {
				a := greeting()
				a.Text = slices.Repeat([]string{mark + " "}, 20)
				s.answer(a)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			p := prompt()
			mark := fmt.Sprintf("question %d.", i)
			p.Messages[0] = runnel.TextMessage(runnel.User, mark)
			got, _, err := collect(t.Context(), t, s.provider, p)
			if want := strings.Repeat(mark+" ", 20); err != nil || strings.Join(got.Text, "") != want {
				t.Errorf("got %q, %v, want %q", got.Text, err, want)
			}
		})
	}
	wg.Wait()
}
