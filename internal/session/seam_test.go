package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// goesOn is a model that can go on with an answer.
type goesOn struct{ model }

func (goesOn) Continues() bool { return true }

// beginning returns what the model is to go on with.
func beginning(p *runnel.Prompt) string {
	if !p.Continue {
		return ""
	}
	return p.Messages[len(p.Messages)-1].Text()
}

// recites says a text word by word, or what is left of it.
func recites(pace time.Duration, text string) goesOn {
	return goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
		rest, ok := strings.CutPrefix(text, beginning(&p))
		if !ok {
			yield(runnel.Delta{}, bad)
			return
		}
		says(pace, strings.SplitAfter(rest, " ")...)(ctx, p, yield)
	}}
}

// half runs a first attempt up to where the model hangs, and hands it over.
func half(t *testing.T, engine *memlog.Engine, sub runnel.Submission, first runnel.Provider) runnel.Receipt {
	t.Helper()
	n := start(t, engine, only(first), session.Config{DrainTimeout: time.Nanosecond, Node: "first"})
	r := n.submit(t, sub)
	synctest.Wait()
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	return r
}

// yields is a model that yields deltas and then waits until it is interrupted.
func yields(deltas ...runnel.Delta) model {
	return func(ctx context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, d := range deltas {
			yield(d, nil)
		}
		<-ctx.Done()
		yield(runnel.Delta{}, ctx.Err())
	}
}

func TestGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		r := half(t, engine, ask("hi"), hangs("Hello ", "wor"))
		var asked runnel.Prompt
		m := goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
			asked = p
			says(0, "ld", "!")(ctx, p, yield)
		}}
		n := start(t, engine, only(m), session.Config{Node: "second"})
		events := n.await(t, r)
		if got, want := shape(joined(events)), "queued started1 +Hello wor started2 =Hello wor +ld! done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		want := []runnel.Message{runnel.TextMessage(runnel.User, "hi"), runnel.TextMessage(runnel.Assistant, "Hello wor")}
		if diff := cmp.Diff(want, asked.Messages); diff != "" || !asked.Continue {
			t.Errorf("the model was asked (-want +got):\n%s", diff)
		}
		tr, err := n.Transcript(t.Context(), "s")
		if err != nil || len(tr.Turns) != 1 {
			t.Fatalf("turns = %+v, %v", tr.Turns, err)
		}
		turn := tr.Turns[0]
		if turn.Text != "Hello world!" || turn.Attempt != 2 || turn.Prompt[len(turn.Prompt)-1].Text() != "hi" {
			t.Errorf("turn = %+v", turn)
		}
		usage := &runnel.Usage{OutputTokens: 2}
		for i := range turn.Attempts {
			if turn.Attempts[i].StartedAt.IsZero() {
				t.Errorf("attempt %d has no start", i+1)
			}
			turn.Attempts[i].StartedAt = time.Time{}
		}
		if diff := cmp.Diff([]runnel.Attempt{{Attempt: 1, Model: "test"}, {Attempt: 2, Model: "test", Continued: true, Usage: usage}}, turn.Attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(usage, turn.Usage); diff != "" {
			t.Errorf("usage (-want +got):\n%s", diff)
		}
	})
}

// When a model cannot go on, or there is not only text to go on with, the answer
// begins anew.
func TestBeginsAnew(t *testing.T) {
	t.Parallel()
	text := func(s string) runnel.Delta { return runnel.Delta{Text: s} }
	forced := ask("hi")
	forced.Prompt.ToolChoice = runnel.ToolChoice{Mode: "any"}
	whole := says(0, "whole")
	for name, tc := range map[string]struct {
		sub   runnel.Submission
		first []runnel.Delta
		then  runnel.Provider
	}{
		"another model":  {ask("hi"), []runnel.Delta{text("a")}, whole},
		"nothing yet":    {ask("hi"), nil, goesOn{whole}},
		"only space":     {ask("hi"), []runnel.Delta{text(" \n")}, goesOn{whole}},
		"reasoning":      {ask("hi"), []runnel.Delta{{Reasoning: "hm"}, text("a")}, goesOn{whole}},
		"hidden":         {ask("hi"), []runnel.Delta{{Seal: &runnel.Seal{Redacted: "x"}}, text("a")}, goesOn{whole}},
		"a call":         {ask("hi"), []runnel.Delta{text("a"), {Tool: &runnel.ToolDelta{ID: "t", Name: "look"}}}, goesOn{whole}},
		"a forced call":  {forced, []runnel.Delta{text("a")}, goesOn{whole}},
		"it may not now": {ask("hi"), []runnel.Delta{text("a")}, unable{goesOn{whole}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := memlog.New()
				r := half(t, engine, tc.sub, yields(tc.first...))
				n := start(t, engine, only(tc.then), session.Config{})
				events := n.await(t, r)
				if got, want := shape(events), "started2 = +whole done"; !strings.HasSuffix(got, want) {
					t.Errorf("got  %s\nwant it to end with %s", got, want)
				}
				tr, _ := n.Transcript(t.Context(), "s")
				if turn := tr.Turns[0]; turn.Text != "whole" || turn.Reasoning != "" || turn.Tools != nil || turn.Attempts[1].Continued {
					t.Errorf("turn = %+v", turn)
				}
			})
		})
	}
}

// unable is a model that could, but is not to.
type unable struct{ goesOn }

func (unable) Continues() bool { return false }

// What an attempt has cost that was handed over counts once, with the others.
func TestCostOfAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		begun := func(n int) runnel.Delta { return runnel.Delta{Usage: &runnel.Usage{InputTokens: n, OutputTokens: 1}} }
		r := half(t, engine, ask("hi"), yields(begun(10), runnel.Delta{Text: "a"}))
		n := start(t, engine, only(goesOn{yields(begun(20), runnel.Delta{Text: " b"})}), session.Config{DrainTimeout: time.Nanosecond})
		synctest.Wait()
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		silent := start(t, engine, only(goesOn{yields(runnel.Delta{Text: " c"})}), session.Config{DrainTimeout: time.Nanosecond})
		synctest.Wait()
		if err := silent.stop(); err != nil {
			t.Fatal(err)
		}
		n = start(t, engine, only(goesOn{func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
			yield(begun(30), nil)
			yield(runnel.Delta{Text: " d"}, nil)
			yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn, Usage: &runnel.Usage{InputTokens: 30, OutputTokens: 4}}}, nil)
		}}), session.Config{})
		events := n.await(t, r)
		tr, _ := n.Transcript(t.Context(), "s")
		turn := tr.Turns[0]
		var each []*runnel.Usage
		for _, a := range turn.Attempts {
			each = append(each, a.Usage)
		}
		if diff := cmp.Diff([]*runnel.Usage{{InputTokens: 10, OutputTokens: 1}, {InputTokens: 20, OutputTokens: 1}, nil, {InputTokens: 30, OutputTokens: 4}}, each); diff != "" {
			t.Errorf("of each attempt (-want +got):\n%s", diff)
		}
		want := &runnel.Usage{InputTokens: 60, OutputTokens: 6}
		for name, got := range map[string]*runnel.Usage{"turn": turn.Usage, "event": events[len(events)-1].Usage} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if turn.Text != "a b c d" {
			t.Errorf("text = %q", turn.Text)
		}
	})
}

// What was said stays, with its cost, when a prompt is given up.
func TestCostOfWhatIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		r := half(t, engine, ask("hi"), yields(runnel.Delta{Usage: &runnel.Usage{InputTokens: 10}}, runnel.Delta{Text: "a"}))
		n := start(t, engine, only(hangs()), session.Config{Attempts: 1})
		events := n.await(t, r)
		last := events[len(events)-1]
		tr, _ := n.Transcript(t.Context(), "s")
		if turn := tr.Turns[0]; last.Type != runnel.EventFailed || last.Usage == nil || last.Usage.InputTokens != 10 || turn.Text != "a" || turn.Attempts != nil {
			t.Errorf("%s; turn = %+v", shape(events), turn)
		}
	})
}

// What the beginning of an answer was is not known when retention has taken some
// of it: to go on would be to go on from the middle.
func TestBeginsAnewWithoutTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		r := half(t, engine, ask("hi"), hangs("a", "b"))
		events := all(t, engine, "s")
		engine.Expire(events[1].Cursor.Seq) // all but the text
		n := start(t, engine, only(goesOn{says(0, "whole")}), session.Config{})
		got := n.await(t, runnel.Receipt{Session: "s", Generation: r.Generation})
		if got, want := shape(got), "started2 = +whole done"; !strings.HasSuffix(got, want) {
			t.Errorf("got  %s\nwant it to end with %s", got, want)
		}
	})
}

// No white space is sent at the end of a beginning, none is lost, and none comes
// twice.
func TestSeamInSpace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		first string
		then  []string
		want  string
	}{
		{"a b ", []string{"c"}, "a b c"},
		{"a b ", []string{" c"}, "a b c"},
		{"a b ", []string{" ", "c"}, "a b c"},
		{"a b", []string{" c"}, "a b c"},
		{"a\n\n", []string{"\n\nb"}, "a\n\nb"},
		{"a\n\n", []string{"\n", "\n", "b"}, "a\n\nb"},
		{"a\n\n", []string{"\n", "b"}, "a\n\nb"},
		{"a\n", []string{"\n\nb"}, "a\n\nb"},
		{"a\n", []string{"\n", "\n", "b"}, "a\n\nb"},
		{"a \n", []string{"\n\nb"}, "a \n\nb"},
		{"a\n", []string{"\n    b"}, "a\n    b"},
		{"a\n    ", []string{"\n    b"}, "a\n    b"},
		{"a\u3000", []string{"\u3000b"}, "a\u3000b"},
		{"a\u00a0", []string{"\u2003b"}, "a\u00a0\u2003b"},
		{"a \n ", []string{" \n"}, "a \n \n"},
		{"a\n\n\n", []string{"\n"}, "a\n\n\n"},
		{"a ", nil, "a "},
	} {
		t.Run(fmt.Sprintf("%q", tc.first+"|"+strings.Join(tc.then, "|")), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := memlog.New()
				r := half(t, engine, ask("hi"), hangs(tc.first))
				var asked string
				m := goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
					asked = beginning(&p)
					says(0, tc.then...)(ctx, p, yield)
				}}
				n := start(t, engine, only(m), session.Config{})
				events := n.await(t, r)
				tr, _ := n.Transcript(t.Context(), "s")
				if got := text(events); got != tc.want || tr.Turns[0].Text != tc.want {
					t.Errorf("got %q, in the turn %q, want %q", got, tr.Turns[0].Text, tc.want)
				}
				if want := strings.TrimRight(tc.first, " \n\u00a0\u3000"); asked != want {
					t.Errorf("the model was given %q, want %q", asked, want)
				}
			})
		})
	}
}

func TestSeamWithFailures(t *testing.T) {
	t.Parallel()
	rest, whole := says(0, "rest"), says(0, "whole")
	for name, tc := range map[string]struct {
		first, second runnel.Provider
		want          string
		how           string
	}{
		"busy, then it goes on":        {goesOn{sequence(new(int), fails(busy), rest)}, nil, "started2 =half +rest done", "a continued"},
		"it refuses":                   {refuses(whole), nil, "started2 =half = +whole done", "a continued, a refused"},
		"it refuses, and is busy then": {refuses(sequence(new(int), fails(busy), fails(busy), whole)), nil, "started2 =half = +whole done", "a continued, a refused"},
		"falls over, and goes on":      {goesOn{fails(denied)}, goesOn{rest}, "started2 =half started2 +rest done", "a continued"},
		"falls over, and begins":       {goesOn{fails(denied)}, whole, "started2 =half started2 = +whole done", "a continued, b restarted"},
		"begins, and falls over":       {fails(denied), goesOn{whole}, "started2 = started2 +whole done", "a restarted"},
		"refuses, and falls over":      {refuses(fails(denied)), goesOn{whole}, "started2 =half = started2 +whole done", "a continued, a refused"},
		"fails after a token":          {goesOn{fails(busy, "er")}, goesOn{rest}, "started2 =half +er failed:unavailable", "a continued"},
		"fails after space":            {goesOn{sequence(new(int), fails(busy, " "), rest)}, nil, "started2 =half +rest done", "a continued"},
		"refuses all":                  {goesOn{fails(bad)}, nil, "started2 =half = failed:invalid", "a continued, a refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := memlog.New()
				first := "half"
				if name == "fails after space" {
					first = "half  "
				}
				r := half(t, engine, ask("hi"), hangs(first))
				route := []runnel.Candidate{{Name: "a", Provider: tc.first}}
				if tc.second != nil {
					route = append(route, runnel.Candidate{Name: "b", Provider: tc.second})
				}
				var m takeovers
				n := start(t, engine, routes{"": route}, session.Config{Metrics: &m})
				events := joined(n.await(t, r))
				if got := strings.ReplaceAll(shape(events), "half  ", "half"); !strings.HasSuffix(got, " "+tc.want) {
					t.Errorf("got  %s\nwant it to end with %s", got, tc.want)
				}
				tr, _ := n.Transcript(t.Context(), "s")
				if got := text(events); got != tr.Turns[0].Text {
					t.Errorf("a reader has %q, the turn %q", got, tr.Turns[0].Text)
				}
				if got := strings.Join(m.seen, ", "); got != tc.how {
					t.Errorf("told %q, want %q", got, tc.how)
				}
			})
		})
	}
}

// refuses is a model that says it can go on, and does not.
func refuses(m model) goesOn {
	return goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
		if p.Continue {
			yield(runnel.Delta{}, bad)
			return
		}
		m(ctx, p, yield)
	}}
}

// takeovers are metrics that remember what attempts do with those before them.
type takeovers struct {
	noMetrics
	mu   sync.Mutex
	seen []string
}

func (m *takeovers) TookOver(model, how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, model+" "+how)
}

// noMetrics takes no notice.
type noMetrics struct{}

func (noMetrics) Accepted(time.Duration)           {}
func (noMetrics) Started(string)                   {}
func (noMetrics) FirstToken(string, time.Duration) {}
func (noMetrics) TokenGap(string, time.Duration)   {}
func (noMetrics) Retried(string, runnel.Kind)      {}
func (noMetrics) Appended()                        {}
func (noMetrics) Published()                       {}
func (noMetrics) Ended(string, *runnel.Turn)       {}

// Each attempt goes on from all that was said before it.
func TestGoesOnAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		r := half(t, engine, ask("hi"), hangs("a "))
		half2 := func(m model) {
			n := start(t, engine, only(goesOn{m}), session.Config{DrainTimeout: time.Nanosecond})
			synctest.Wait()
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
		}
		half2(hangs(" b"))
		half2(hangs()) // it dies before it says anything
		var asked string
		n := start(t, engine, only(goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
			asked = beginning(&p)
			says(0, " c")(ctx, p, yield)
		}}), session.Config{})
		events := n.await(t, r)
		if got, want := shape(events), "queued started1 +a  started2 =a  +b started3 =a b started4 =a b + c done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		tr, _ := n.Transcript(t.Context(), "s")
		if turn := tr.Turns[0]; asked != "a b" || turn.Text != "a b c" || len(turn.Attempts) != 4 || turn.Attempts[0].Continued || !turn.Attempts[2].Continued {
			t.Errorf("asked %q, turn = %+v", asked, turn)
		}
	})
}

// An answer that is longer than an event may be stands in several.
func TestLongSeam(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		long := strings.Repeat("wörd ", 40_000)
		r := half(t, engine, ask("hi"), hangs(long))
		n := start(t, engine, only(goesOn{says(0, " end")}), session.Config{})
		events := n.await(t, r)
		for _, ev := range events {
			if len(ev.Text) > 64<<10 {
				t.Errorf("an event of type %s has %d bytes of text", ev.Type, len(ev.Text))
			}
		}
		if got := text(events); got != long+"end" {
			t.Errorf("got %d bytes, want %d", len(got), len(long)+3)
		}
		tr, _ := n.Transcript(t.Context(), "s")
		if turn := tr.Turns[0]; turn.Text != long+"end" || !turn.Attempts[1].Continued {
			t.Errorf("the turn has %d bytes", len(turn.Text))
		}
	})
}

// What has been said counts towards the limit of the answer, about.
func TestSeamAndMaxTokens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ limit, said, want int }{{0, 400, 0}, {1000, 400, 900}, {50, 400, 1}} {
		synctest.Test(t, func(t *testing.T) {
			engine := memlog.New()
			sub := ask("hi")
			sub.Prompt.MaxTokens = tc.limit
			sub.Prompt.Messages = append(sub.Prompt.Messages, runnel.TextMessage(runnel.Assistant, "I say: "))
			r := half(t, engine, sub, hangs(strings.Repeat("x", tc.said)))
			var asked runnel.Prompt
			n := start(t, engine, only(goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
				asked = p
				says(0, ".")(ctx, p, yield)
			}}), session.Config{})
			n.await(t, r)
			if asked.MaxTokens != tc.want {
				t.Errorf("a limit of %d became %d, want %d", tc.limit, asked.MaxTokens, tc.want)
			}
			// What the client itself has begun is one message with the rest.
			if n := len(asked.Messages); n != 2 || asked.Messages[1].Text() != "I say: "+strings.Repeat("x", tc.said) || len(asked.Messages[1].Parts) != 1 {
				t.Errorf("the model was asked %+v", asked.Messages)
			}
		})
	}
}

// A worker that was taken for dead may add to the log until the next one begins:
// the next one goes on from there.
func TestGoesOnFromAllThatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		late := model(func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
			for i := range 12 { // past its lease, and past the new worker's start
				yield(runnel.Delta{Text: fmt.Sprintf("%d ", i)}, nil)
				time.Sleep(500 * time.Millisecond)
			}
			yield(runnel.Delta{End: &runnel.End{}}, nil)
		})
		old := start(t, deaf{engine}, only(late), session.Config{Node: "old", MaxGenerations: 1})
		r := old.submit(t, ask("hi"))
		old.until(t, r, isDelta)
		stopDequeue(old)
		fresh := start(t, engine, only(goesOn{says(0, " new")}), session.Config{Node: "new"})
		events := fresh.await(t, r)
		before, after := text(cutAt(events, 2)), text(events)
		if before == "" || after != before+"new" {
			t.Errorf("%q became %q: %s", before, after, shape(events))
		}
		time.Sleep(time.Minute) // until the old one has said all
		if err := old.stop(); err != nil {
			t.Fatal(err)
		}
		if got := text(all(t, engine, "s")); got != after {
			t.Errorf("the log says %q, want %q", got, after)
		}
	})
}

// So is what comes in the moment before the next one begins.
func TestGoesOnFromTheLastMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &faulty{Engine: memlog.New()}
		r := half(t, engine.Engine, ask("hi"), hangs("half"))
		late := sync.OnceFunc(func() {
			ev := runnel.Event{Session: "s", Generation: r.Generation, Attempt: 1, Type: runnel.EventDelta, Text: " late"}
			if _, err := engine.Engine.Append(t.Context(), ev); err != nil {
				t.Error(err)
			}
		})
		engine.hook = func(op string) {
			if op == "append" { // of the first event of the second attempt
				late()
			}
		}
		var asked string
		n := start(t, engine, only(goesOn{func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
			asked = beginning(&p)
			says(0, " end")(ctx, p, yield)
		}}), session.Config{})
		if got := text(n.await(t, r)); asked != "half late" || got != "half late end" {
			t.Errorf("the model was given %q; a reader has %q", asked, got)
		}
	})
}

// An attempt that dies between its first event and its reset has taken nothing
// away.
func TestGoesOnAcrossAnAttemptWithoutReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		r := half(t, engine, ask("hi"), hangs("half"))
		run, err := engine.Run(t.Context(), "s", r.Generation)
		if err != nil {
			t.Fatal(err)
		}
		run.Attempt = 2
		if _, err := engine.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		ev := runnel.Event{Session: "s", Generation: r.Generation, Attempt: 2, Type: runnel.EventStarted, Model: "test"}
		if _, err := engine.Append(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		n := start(t, engine, only(goesOn{says(0, " end")}), session.Config{})
		if got, want := shape(n.await(t, r)), "queued started1 +half started2 started3 =half + end done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// cutAt returns the events before the given attempt.
func cutAt(events []runnel.Event, attempt int) []runnel.Event {
	for i, ev := range events {
		if ev.Attempt == attempt {
			return events[:i]
		}
	}
	return events
}

// Whatever a crash takes of the log, and wherever an attempt dies, a reader has
// the text once, and the model was given what is stored.
func TestCrashesWhileGoingOn(t *testing.T) {
	t.Parallel()
	const want = "one two three four five six seven eight"
	for lose := range 12 {
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := memlog.New()
				route := only(recites(10*time.Millisecond, want))
				cfg := session.Config{FlushInterval: -1, DrainTimeout: time.Nanosecond}
				n := start(t, engine, route, cfg)
				r := n.submit(t, ask("hi"))
				rd := newReader()
				for attempt := 1; rd.ends[r.Generation] == 0; attempt++ {
					pieces := 0
					for rd.ends[r.Generation] == 0 && (pieces < 3 || attempt > 3) {
						events, err := n.Read(t.Context(), "s", rd.after)
						if err != nil {
							t.Fatal(err)
						}
						for _, ev := range events {
							rd.apply(&ev)
							if ev.Type == runnel.EventDelta {
								pieces++
							}
							if !strings.HasPrefix(want, rd.texts[r.Generation]) {
								t.Fatalf("a reader has %q after %s", rd.texts[r.Generation], ev.Type)
							}
						}
					}
					if rd.ends[r.Generation] == 0 {
						if err := n.stop(); err != nil {
							t.Fatal(err)
						}
						engine.Crash(lose)
						n = start(t, engine, route, cfg)
					}
				}
				tr, _ := n.Transcript(t.Context(), "s")
				if got := rd.texts[r.Generation]; got != want || tr.Turns[0].Text != want || rd.ends[r.Generation] != 1 {
					t.Errorf("a reader has %q, ended %d times; the turn has %q", got, rd.ends[r.Generation], tr.Turns[0].Text)
				}
				if got := all(t, engine, "s"); terminals(got) != 1 || text(got) != want {
					t.Errorf("log: %s", shape(got))
				}
			})
		})
	}
}
