package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	n := start(t, engine, only(says(0, "Hel", "lo", "!")), session.Config{})
	r := n.submit(t, ask("hi"))
	events := n.await(t, r)
	if got := text(events); got != "Hello!" {
		t.Errorf("text = %q", got)
	}
	if got := shape(events); !strings.HasPrefix(got, "queued started1 +") || !strings.HasSuffix(got, " done") {
		t.Errorf("events = %s", got)
	}
	last := events[len(events)-1]
	if last.StopReason != runnel.EndTurn || last.Usage.OutputTokens != 3 {
		t.Errorf("terminal event = %+v", last)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	tr, err := n.Transcript(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Turns) != 1 || len(tr.Active) != 0 {
		t.Fatalf("transcript = %+v", tr)
	}
	turn := tr.Turns[0]
	if turn.Text != "Hello!" || turn.State != runnel.Done || turn.Model != "test" || turn.Prompt[0].Text() != "hi" ||
		turn.FirstAt.IsZero() || turn.EndedAt.Before(turn.FirstAt) || turn.FirstAt.Before(turn.AcceptedAt) {
		t.Errorf("turn = %+v", turn)
	}
	if depth, _ := engine.Depth(t.Context()); depth != 0 {
		t.Errorf("%d prompts are left in the queue", depth)
	}
	g, err := n.Generation(t.Context(), r.Generation)
	if err != nil || g.State != runnel.Done || g.Attempt != 1 || g.Usage == nil {
		t.Errorf("generation = %+v, %v", g, err)
	}
}

// The first fragment must not wait for company; the later ones must.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fragments := strings.Split(strings.Repeat("x", 50), "")
		n := start(t, memlog.New(), only(says(time.Millisecond, fragments...)), session.Config{FlushInterval: 20 * time.Millisecond})
		begin := time.Now()
		events := n.await(t, n.submit(t, ask("hi")))
		var sizes []int
		var first time.Duration
		for _, ev := range events {
			if ev.Type == runnel.EventDelta {
				if first == 0 {
					first = ev.Time.Sub(begin)
				}
				sizes = append(sizes, len(ev.Text))
			}
		}
		if first != time.Millisecond {
			t.Errorf("the first fragment was stored after %v; it came after 1ms", first)
		}
		if len(sizes) != 4 || sizes[0] != 1 {
			t.Errorf("events of %v fragments; want one fragment, and the others in three groups", sizes)
		}
	})
}

func TestCoalescingByCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fragments := strings.Split(strings.Repeat("x", 21), "")
		n := start(t, memlog.New(), only(says(time.Millisecond, fragments...)), session.Config{FlushInterval: time.Minute, FlushChunks: 5})
		got := shape(n.await(t, n.submit(t, ask("hi"))))
		if want := "queued started1 +x +xxxxx +xxxxx +xxxxx +xxxxx done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestLongTextIsSplit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100_000)
	n := start(t, memlog.New(), only(says(0, "x"+long)), session.Config{})
	events := n.await(t, n.submit(t, ask("hi")))
	for _, ev := range events {
		if len(ev.Text) > 64<<10 {
			t.Errorf("an event of %d bytes", len(ev.Text))
		}
	}
	if text(events) != "x"+long {
		t.Error("the text changed")
	}
}

func TestToolsAndReasoning(t *testing.T) {
	t.Parallel()
	m := model(func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, d := range []runnel.Delta{
			{Reasoning: "hm"},
			{Tool: &runnel.ToolDelta{Index: 0, ID: "1", Name: "look", Input: `{"a"`}},
			{Tool: &runnel.ToolDelta{Index: 0, Input: `:1}`}},
			{Tool: &runnel.ToolDelta{Index: 1, ID: "2", Name: "go"}},
			{End: &runnel.End{StopReason: runnel.ToolUse}},
		} {
			if !yield(d, nil) {
				return
			}
		}
	})
	n := start(t, memlog.New(), only(m), session.Config{})
	if got, want := shape(n.await(t, n.submit(t, ask("hi")))), `queued started1 ~hm tool:look{"a" tool::1} tool:go done`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	tr, _ := n.Transcript(t.Context(), "s")
	want := []runnel.ToolCall{{ID: "1", Name: "look", Input: []byte(`{"a":1}`)}, {ID: "2", Name: "go", Input: []byte(`{}`)}}
	if diff := cmp.Diff(want, tr.Turns[0].Tools); diff != "" || tr.Turns[0].Reasoning != "hm" {
		t.Errorf("turn = %+v\n%s", tr.Turns[0], diff)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	m := model(func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, d := range []runnel.Delta{{Progress: `{"step":1}`}, {Text: "a"}, {Progress: `"almost"`}, {Text: "b"}, {End: &runnel.End{}}} {
			if !yield(d, nil) {
				return
			}
		}
	})
	n := start(t, memlog.New(), only(m), session.Config{})
	var progress []string
	events := n.await(t, n.submit(t, ask("hi")))
	for _, ev := range events {
		if ev.Type == runnel.EventProgress {
			progress = append(progress, string(ev.Progress))
		}
	}
	if diff := cmp.Diff([]string{`{"step":1}`, `"almost"`}, progress); diff != "" || text(events) != "ab" {
		t.Errorf("the text is %q, the progress (-want +got):\n%s", text(events), diff)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	seen := make(chan []runnel.Message, 10)
	round := 0
	m := model(func(_ context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
		seen <- p.Messages
		round++
		if round == 2 {
			yield(runnel.Delta{}, runnel.Errorf(runnel.Invalid, "no"))
			return
		}
		yield(runnel.Delta{Text: fmt.Sprint("answer ", round)}, nil)
		yield(runnel.Delta{End: &runnel.End{}}, nil)
	})
	n := start(t, memlog.New(), only(m), session.Config{HistoryTurns: 2})
	var got []string
	for i := range 5 {
		sub := ask(fmt.Sprint("question ", i+1))
		sub.Prompt.History = i != 4
		n.await(t, n.submit(t, sub))
		var line []string
		for _, m := range <-seen {
			line = append(line, string(m.Role)+":"+m.Text())
		}
		got = append(got, strings.Join(line, " "))
	}
	want := []string{
		"user:question 1",
		"user:question 1 assistant:answer 1 user:question 2",
		"user:question 1 assistant:answer 1 user:question 3", // the second failed
		"user:question 3 assistant:answer 3 user:question 4", // two turns back, one of them failed
		"user:question 5", // asked without
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), only(says(0, "x")), session.Config{MaxPrompt: 10})
	hot := 2.5
	for name, change := range map[string]func(*runnel.Submission){
		"empty":          func(s *runnel.Submission) { s.Prompt.Messages[0].Parts[0].Text = " \n" },
		"no messages":    func(s *runnel.Submission) { s.Prompt.Messages = nil },
		"too long":       func(s *runnel.Submission) { s.Prompt.Messages[0].Parts[0].Text = "12345678901" },
		"with system":    func(s *runnel.Submission) { s.Prompt.System = "123456789" },
		"no session":     func(s *runnel.Submission) { s.Prompt.Session = "" },
		"bad session":    func(s *runnel.Submission) { s.Prompt.Session = "a\nb" },
		"unknown model":  func(s *runnel.Submission) { s.Prompt.Model = "gpt" },
		"negative limit": func(s *runnel.Submission) { s.Prompt.MaxTokens = -1 },
		"temperature":    func(s *runnel.Submission) { s.Prompt.Temperature = &hot },
		"long key":       func(s *runnel.Submission) { s.IdempotencyKey = strings.Repeat("k", 257) },
	} {
		sub := ask("hi")
		change(&sub)
		if _, err := n.Submit(t.Context(), sub); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if tr, _ := n.Transcript(t.Context(), "s"); len(tr.Turns)+len(tr.Active) != 0 {
		t.Errorf("something was stored: %+v", tr)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	engine := &faulty{Engine: memlog.New(), fail: map[string]int{"enqueue": 1}}
	n := start(t, engine, only(says(0, "x")), session.Config{})
	sub := ask("hi")
	sub.IdempotencyKey = "key"
	// The first try dies after the key was stored and before the prompt was.
	if _, err := n.Submit(t.Context(), sub); runnel.KindOf(err) != runnel.Unavailable {
		t.Fatalf("err = %v", err)
	}
	first := n.submit(t, sub)
	results := make(chan runnel.Receipt, 10)
	for range cap(results) {
		go func() {
			r, err := n.Submit(t.Context(), sub)
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	for range cap(results) {
		if r := <-results; r.Generation != first.Generation || !r.Repeated || r.Cursor != first.Cursor {
			t.Errorf("got %+v, want the generation of %+v", r, first)
		}
	}
	n.await(t, first)
	if r := n.submit(t, sub); r.Generation != first.Generation {
		t.Errorf("after the end: %+v", r)
	}
	other := ask("something else")
	other.IdempotencyKey = "key"
	if _, err := n.Submit(t.Context(), other); runnel.KindOf(err) != runnel.Conflict {
		t.Errorf("another prompt with the same key: %v", err)
	}
	ctx := runnel.WithPrincipal(t.Context(), &runnel.Principal{ID: "somebody else"})
	r, err := n.Submit(ctx, sub)
	if err != nil || r.Generation == first.Generation {
		t.Errorf("another caller's key: %+v, %v", r, err)
	}
	n.await(t, r)
	if tr, _ := n.Transcript(t.Context(), "s"); len(tr.Turns) != 2 {
		t.Errorf("%d turns, want 2", len(tr.Turns))
	}
}

func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a", "b")), session.Config{})
		var receipts []runnel.Receipt
		for i := range 4 {
			receipts = append(receipts, n.submit(t, ask(fmt.Sprint(i))))
		}
		other := ask("elsewhere")
		other.Prompt.Session = "t"
		begin := time.Now()
		n.await(t, n.submit(t, other))
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("another session waited: %v", took)
		}
		n.await(t, receipts[3])
		// No polling interval may lie between two generations on one node.
		if took := time.Since(begin); took != 8*time.Second {
			t.Errorf("four prompts of two seconds took %v", took)
		}
		open := ""
		for _, ev := range all(t, n.engine(), "s") {
			switch {
			case ev.Type == runnel.EventStarted && open == "":
				open = string(ev.Generation)
			case ev.Type == runnel.EventQueued:
			case open != string(ev.Generation):
				t.Fatalf("%s of %s while %s runs", ev.Type, ev.Generation, open)
			case ev.Type.Terminal():
				open = ""
			}
		}
	})
}

// The transcript, and with it what the model is told, has the order in which
// things were said, also when prompts come in at the same time.
func TestTranscriptHasTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), only(says(0, "a")), session.Config{})
	receipts := make(chan runnel.Receipt)
	for range 50 {
		go func() {
			r, err := n.Submit(t.Context(), ask("hi"))
			if err != nil {
				t.Error(err)
			}
			receipts <- r
		}()
	}
	for range 50 {
		n.await(t, <-receipts)
	}
	var log, transcript []runnel.GenerationID
	for _, ev := range all(t, n.engine(), "s") {
		if ev.Type.Terminal() {
			log = append(log, ev.Generation)
		}
	}
	tr, err := n.Transcript(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, turn := range tr.Turns {
		transcript = append(transcript, turn.Generation)
	}
	if diff := cmp.Diff(log, transcript); diff != "" {
		t.Errorf("the transcript's order (+) is not the log's (-):\n%s", diff)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a")), session.Config{Mode: session.Reject})
		r := n.submit(t, ask("1"))
		if _, err := n.Submit(t.Context(), ask("2")); runnel.KindOf(err) != runnel.Conflict {
			t.Errorf("reject: %v", err)
		}
		n.await(t, r)
		synctest.Wait()
		n.await(t, n.submit(t, ask("3")))

		n = start(t, memlog.New(), only(says(time.Second, "a")), session.Config{Mode: session.Parallel})
		begin := time.Now()
		first, second := n.submit(t, ask("1")), n.submit(t, ask("2"))
		n.await(t, first)
		n.await(t, second)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("parallel: took %v", took)
		}
	})
}

func TestMaxGenerations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a")), session.Config{MaxGenerations: 2})
		begin := time.Now()
		var receipts []runnel.Receipt
		for i := range 6 {
			sub := ask("x")
			sub.Prompt.Session = runnel.SessionID(fmt.Sprint(i))
			receipts = append(receipts, n.submit(t, sub))
		}
		for _, r := range receipts {
			n.await(t, r)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("six prompts, two at a time, took %v", took)
		}
	})
}
