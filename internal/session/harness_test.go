package session_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A model is a provider made of a function that says what it produces.
type model func(ctx context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool)

func (m model) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) { m(ctx, p, yield) }
}

// says yields the given fragments, one per pace, and ends well.
func says(pace time.Duration, fragments ...string) model {
	return func(ctx context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, f := range fragments {
			if !sleep(ctx, pace) {
				yield(runnel.Delta{}, ctx.Err())
				return
			}
			if !yield(runnel.Delta{Text: f}, nil) {
				return
			}
		}
		yield(runnel.Delta{End: &runnel.End{StopReason: runnel.EndTurn, Usage: &runnel.Usage{OutputTokens: len(fragments)}}}, nil)
	}
}

// fails yields the given fragments and then err.
func fails(err error, fragments ...string) model {
	return func(_ context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, f := range fragments {
			if !yield(runnel.Delta{Text: f}, nil) {
				return
			}
		}
		yield(runnel.Delta{}, err)
	}
}

// hangs yields the given fragments and then waits until it is interrupted.
func hangs(fragments ...string) model {
	return func(ctx context.Context, _ runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, f := range fragments {
			if !yield(runnel.Delta{Text: f}, nil) {
				return
			}
		}
		<-ctx.Done()
		yield(runnel.Delta{}, ctx.Err())
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// routes maps names to candidates; "" is the default.
type routes map[string][]runnel.Candidate

func (r routes) Lookup(name string) ([]runnel.Candidate, error) {
	if c, ok := r[name]; ok {
		return c, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "unknown model %q", name)
}

func only(p runnel.Provider) routes {
	return routes{"": {{Name: "test", Provider: p}}}
}

// A node is a service that runs until the test ends or it is stopped.
type node struct {
	*session.Service
	stop  func() error
	store runnel.Engine
}

func (n node) engine() runnel.Engine { return n.store }

func start(t *testing.T, engine runnel.Engine, router session.Router, cfg session.Config) node {
	t.Helper()
	s := session.New(engine, router, cfg)
	if err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return node{s, stop, engine}
}

func ask(text string) runnel.Submission {
	return runnel.Submission{Prompt: runnel.Prompt{
		Session: "s", Messages: []runnel.Message{runnel.TextMessage(runnel.User, text)}, History: true,
	}}
}

func (n node) submit(t *testing.T, sub runnel.Submission) runnel.Receipt {
	t.Helper()
	r, err := n.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// await reads from the receipt's cursor until the generation's terminal event
// and returns the generation's events.
func (n node) await(t *testing.T, r runnel.Receipt) []runnel.Event {
	t.Helper()
	return n.until(t, r, runnel.EventType.Terminal)
}

func (n node) until(t *testing.T, r runnel.Receipt, last func(runnel.EventType) bool) []runnel.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of a bubble; outside the test's own limit is shorter
	defer cancel()
	var got []runnel.Event
	for after := r.Cursor; ; {
		events, err := n.Read(ctx, r.Session, after)
		if err != nil {
			t.Fatalf("after %d events: %v", len(got), err)
		}
		for _, ev := range events {
			if ev.Generation != r.Generation {
				continue
			}
			got = append(got, ev)
			if last(ev.Type) {
				return got
			}
		}
		after = events[len(events)-1].Cursor
	}
}

// all reads everything the log holds of a session.
func all(t *testing.T, engine runnel.Engine, id runnel.SessionID) []runnel.Event {
	t.Helper()
	end, err := engine.End(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var got []runnel.Event
	for after := (runnel.Cursor{}); after.Seq < end.Seq; after = got[len(got)-1].Cursor {
		events, err := engine.Read(t.Context(), id, after)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, events...)
	}
	return got
}

// shape writes events in short, such as "queued started +ab +c done".
func shape(events []runnel.Event) string {
	var b strings.Builder
	for _, ev := range events {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		switch ev.Type {
		case runnel.EventDelta:
			b.WriteString("+" + ev.Text)
		case runnel.EventReasoning:
			b.WriteString("~" + ev.Text)
		case runnel.EventReset:
			b.WriteString("=" + ev.Text)
		case runnel.EventTool:
			b.WriteString("tool:" + ev.Tool.Name + ev.Tool.Input)
		case runnel.EventStarted:
			fmt.Fprintf(&b, "started%d", ev.Attempt)
		case runnel.EventFailed:
			b.WriteString("failed:" + ev.Failure.Kind)
		default:
			b.WriteString(strings.TrimPrefix(string(ev.Type), "generation."))
		}
	}
	return b.String()
}

func text(events []runnel.Event) string {
	var b strings.Builder
	for _, ev := range events {
		switch ev.Type {
		case runnel.EventDelta:
			b.WriteString(ev.Text)
		case runnel.EventReset:
			b.Reset()
			b.WriteString(ev.Text)
		default:
		}
	}
	return b.String()
}

func terminals(events []runnel.Event) int {
	n := 0
	for _, ev := range events {
		if ev.Type.Terminal() {
			n++
		}
	}
	return n
}

// A faulty engine fails or delays chosen calls of the one it wraps.
type faulty struct {
	*memlog.Engine
	mu   sync.Mutex
	fail map[string]int // operation → how many calls still fail
	hook func(op string)
}

var errFault = &runnel.Error{Kind: runnel.Unavailable, Msg: "injected", Err: errors.New("injected")}

func (f *faulty) fault(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hook != nil {
		f.hook(op)
	}
	if f.fail[op] > 0 {
		f.fail[op]--
		return errFault
	}
	return nil
}

func (f *faulty) Enqueue(ctx context.Context, p runnel.Prompt, exclusive bool) error {
	if err := f.fault("enqueue"); err != nil {
		return err
	}
	return f.Engine.Enqueue(ctx, p, exclusive)
}

func (f *faulty) PutRun(ctx context.Context, r runnel.Run) (runnel.Run, error) {
	if r.State.Ended() {
		if err := f.fault("commit"); err != nil {
			return r, err
		}
	}
	return f.Engine.PutRun(ctx, r)
}

func (f *faulty) NotifyCancel(gen runnel.GenerationID) error {
	if err := f.fault("notify"); err != nil {
		return err
	}
	return f.Engine.NotifyCancel(gen)
}

func (f *faulty) Writer(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Writer, error) {
	w, err := f.Engine.Writer(ctx, id, gen)
	return &faultyWriter{w, f}, err
}

type faultyWriter struct {
	runnel.Writer
	f *faulty
}

func (w *faultyWriter) Append(ctx context.Context, ev runnel.Event) (runnel.Cursor, error) {
	op := "append"
	if ev.Type.Terminal() {
		op = "terminal"
	}
	if err := w.f.fault(op); err != nil {
		return runnel.Cursor{}, err
	}
	return w.Writer.Append(ctx, ev)
}
