package logtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func writerTests() []test {
	return []test{
		{"a writer goes on whatever others append", testWriterAmongOthers},
		{"a newer attempt fences", testNewerAttemptFences},
		{"a terminal event fences", testTerminalFences},
		{"a writer ends with its own terminal event", testOwnTerminal},
		{"what does not fence", testNotFenced},
		{"eight attempts race", testAttemptRace},
	}
}

// A script writes events of one generation, and checks them in the end.
type script struct {
	t    *testing.T
	e    runnel.Engine
	id   runnel.SessionID
	gen  runnel.GenerationID
	want []string
}

func newScript(t *testing.T, e runnel.Engine) *script {
	return &script{t: t, e: e, id: newSession(), gen: newGeneration()}
}

func (s *script) writer() runnel.Writer {
	s.t.Helper()
	w, err := s.e.Writer(limit(s.t), s.id, s.gen)
	if err != nil {
		s.t.Fatalf("writer: %v", err)
	}
	return w
}

// event returns an event of the script's generation.
func (s *script) event(typ runnel.EventType, attempt int, text string) runnel.Event {
	return runnel.Event{Session: s.id, Generation: s.gen, Type: typ, Attempt: attempt, Text: text}
}

// write appends through w, or as an outsider does if w is nil.
func (s *script) write(w runnel.Writer, ev runnel.Event) {
	s.t.Helper()
	var err error
	if w == nil {
		_, err = s.e.Append(limit(s.t), ev)
	} else {
		_, err = w.Append(limit(s.t), ev)
	}
	if err != nil {
		s.t.Fatalf("append %s of attempt %d: %v", ev.Type, ev.Attempt, err)
	}
	s.want = append(s.want, describe(ev))
}

// fenced insists that w may not append ev.
func (s *script) fenced(w runnel.Writer, ev runnel.Event) {
	s.t.Helper()
	if c, err := w.Append(limit(s.t), ev); !errors.Is(err, runnel.ErrFenced) {
		s.t.Fatalf("append %s of attempt %d returned %s and %v, want ErrFenced", ev.Type, ev.Attempt, c, err)
	}
}

// done insists that the session holds what was written and nothing else.
func (s *script) done() {
	s.t.Helper()
	events, err := readN(limit(s.t), s.e, s.id, runnel.Cursor{}, len(s.want))
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, ev := range events {
		got = append(got, describe(ev))
	}
	if diff := cmp.Diff(s.want, got); diff != "" {
		s.t.Fatalf("the session's events (-want +got):\n%s", diff)
	}
	wantLast(s.t, s.e, s.id, events)
}

func describe(ev runnel.Event) string {
	return fmt.Sprintf("%s/%d %s %s", ev.Generation, ev.Attempt, ev.Type, ev.Text)
}

func testWriterAmongOthers(t *testing.T, e runnel.Engine) {
	const others, each = 3, 60
	s := newScript(t, e)
	w := s.writer()
	g, ctx := errgroup.WithContext(limit(t))
	for i := range others {
		g.Go(func() error {
			ev := delta(s.id, newGeneration(), strconv.Itoa(i))
			if i == 0 {
				ev.Generation = "" // published from outside
			}
			for range each {
				if _, err := e.Append(ctx, ev); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var want []runnel.Cursor
	g.Go(func() error {
		for i := range each {
			c, err := w.Append(ctx, s.event(runnel.EventDelta, 1, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			want = append(want, c)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	events, err := readN(limit(t), e, s.id, runnel.Cursor{}, (others+1)*each)
	if err != nil {
		t.Fatal(err)
	}
	var got []runnel.Cursor
	for _, ev := range events {
		if ev.Generation == s.gen {
			if text := strconv.Itoa(len(got)); ev.Text != text {
				t.Fatalf("the writer's event %q came when %q was due", ev.Text, text)
			}
			got = append(got, ev.Cursor)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the writer's positions (-returned +read):\n%s", diff)
	}
	wantLast(t, e, s.id, events)
}

func testNewerAttemptFences(t *testing.T, e runnel.Engine) {
	t.Run("by its writer", func(t *testing.T) {
		s := newScript(t, e)
		old, late := s.writer(), s.writer()
		s.write(old, s.event(runnel.EventStarted, 1, ""))
		s.write(old, s.event(runnel.EventDelta, 1, "a"))
		young := s.writer()
		s.write(young, s.event(runnel.EventStarted, 2, ""))
		s.fenced(old, s.event(runnel.EventDelta, 1, "b"))
		s.fenced(late, s.event(runnel.EventStarted, 1, "")) // its first write
		s.write(young, s.event(runnel.EventDelta, 2, "c"))
		s.fenced(old, s.event(runnel.EventDone, 1, "")) // and it stays so
		s.write(young, s.event(runnel.EventDone, 2, ""))
		s.done()
	})
	for _, typ := range []runnel.EventType{runnel.EventStarted, runnel.EventDelta, runnel.EventProgress} {
		t.Run("by any append of "+string(typ), func(t *testing.T) {
			s := newScript(t, e)
			w := s.writer()
			s.write(w, s.event(runnel.EventStarted, 3, ""))
			newer := s.event(typ, 4, "")
			if typ == runnel.EventProgress {
				newer.Progress = []byte(`{}`)
			}
			s.write(nil, newer)
			s.fenced(w, s.event(runnel.EventDelta, 3, "a"))
			s.done()
		})
	}
}

func testTerminalFences(t *testing.T, e runnel.Engine) {
	for _, typ := range []runnel.EventType{runnel.EventDone, runnel.EventFailed, runnel.EventCancelled} {
		t.Run(string(typ), func(t *testing.T) {
			s := newScript(t, e)
			w, late := s.writer(), s.writer()
			s.write(w, s.event(runnel.EventStarted, 2, ""))
			s.write(nil, s.event(typ, 2, ""))
			s.fenced(w, s.event(runnel.EventDelta, 2, "a"))
			s.fenced(w, s.event(runnel.EventDone, 2, ""))
			s.fenced(late, s.event(runnel.EventStarted, 3, ""))
			s.done()
		})
	}
}

// testOwnTerminal: a terminal event is the last one, also for who wrote it.
func testOwnTerminal(t *testing.T, e runnel.Engine) {
	s := newScript(t, e)
	w := s.writer()
	s.write(w, s.event(runnel.EventStarted, 1, ""))
	s.write(w, s.event(runnel.EventDone, 1, ""))
	s.fenced(w, s.event(runnel.EventDelta, 1, "a"))
	s.fenced(w, s.event(runnel.EventFailed, 1, ""))
	s.done()
}

func testNotFenced(t *testing.T, e runnel.Engine) {
	s := newScript(t, e)
	w := s.writer()
	other := newGeneration()
	for i, ev := range []runnel.Event{
		s.event(runnel.EventQueued, 0, ""),
		s.event(runnel.EventDelta, 1, "of an older attempt"),
		s.event(runnel.EventDelta, 2, "of the same attempt"),
		{Session: s.id, Type: runnel.EventDelta, Attempt: 9, Text: "from outside"},
		{Session: s.id, Type: runnel.EventDone, Attempt: 9},
		{Session: s.id, Generation: other, Type: runnel.EventStarted, Attempt: 9},
		{Session: s.id, Generation: other, Type: runnel.EventDone, Attempt: 9},
	} {
		s.write(nil, ev)
		s.write(w, s.event(runnel.EventDelta, 2, strconv.Itoa(i)))
	}
	s.done()
}

// testAttemptRace has eight workers claim the next attempt of a generation, one
// after the other but without waiting for each other. In the log, the attempts
// must rise: nothing of an older one follows a newer one.
func testAttemptRace(t *testing.T, e runnel.Engine) {
	const workers = 8
	for range size(10, 3) {
		s := newScript(t, e)
		g, ctx := errgroup.WithContext(limit(t))
		for range workers {
			g.Go(func() error { return s.work(ctx, workers) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		ended := func(events []runnel.Event) bool {
			return len(events) > 0 && events[len(events)-1].Type.Terminal()
		}
		events, err := readUntil(limit(t), e, s.id, runnel.Cursor{}, ended)
		if err != nil {
			t.Fatal(err)
		}
		attempt := 0
		for _, ev := range events {
			if ev.Attempt < attempt {
				t.Errorf("%s follows an event of attempt %d", describe(ev), attempt)
			}
			attempt = ev.Attempt
		}
		wantLast(t, e, s.id, events)
	}
}

// work claims an attempt and writes until it is fenced. The last attempt
// writes to the end.
func (s *script) work(ctx context.Context, last int) error {
	w, attempt, err := s.claim(ctx)
	if err != nil {
		return err
	}
	for i := range 10 {
		ev := s.event(runnel.EventDelta, attempt, strconv.Itoa(i))
		if i == 0 {
			ev.Type = runnel.EventStarted
		}
		_, err := w.Append(ctx, ev)
		if errors.Is(err, runnel.ErrFenced) && attempt < last {
			return nil
		}
		if err != nil {
			return fmt.Errorf("attempt %d: %w", attempt, err)
		}
	}
	if attempt < last {
		return nil
	}
	_, err = w.Append(ctx, s.event(runnel.EventDone, attempt, ""))
	return err
}

// claim takes the next attempt in the ledger, in the order that Log.Writer asks for.
func (s *script) claim(ctx context.Context) (runnel.Writer, int, error) {
	for {
		w, err := s.e.Writer(ctx, s.id, s.gen)
		if err != nil {
			return nil, 0, err
		}
		run, err := s.e.Run(ctx, s.id, s.gen)
		if err != nil && runnel.KindOf(err) != runnel.NotFound {
			return nil, 0, err
		}
		run.Session, run.Generation, run.State = s.id, s.gen, runnel.Running
		run.Attempt++
		_, err = s.e.PutRun(ctx, run)
		if runnel.KindOf(err) == runnel.Conflict {
			continue
		}
		return w, run.Attempt, err
	}
}
