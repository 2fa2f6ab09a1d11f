package natslog_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

const gen = runnel.GenerationID("01JZ0000000000000000000000")

func delta(id runnel.SessionID, text string) runnel.Event {
	return runnel.Event{Session: id, Generation: gen, Attempt: 1, Type: runnel.EventDelta, Text: text}
}

// put appends deltas and returns the position of the last one.
func put(t *testing.T, e *natslog.Engine, id runnel.SessionID, texts ...string) (last runnel.Cursor) {
	t.Helper()
	for _, text := range texts {
		var err error
		if last, err = e.Append(t.Context(), delta(id, text)); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// unheard appends deltas as put does, and live delivery loses them.
func unheard(t *testing.T, e *natslog.Engine, id runnel.SessionID, texts ...string) (last runnel.Cursor) {
	t.Helper()
	for _, text := range texts {
		var err error
		if last, err = e.StoreUnheard(t.Context(), delta(id, text)); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// want reads until it has as many events as there are texts.
func want(t *testing.T, e *natslog.Engine, id runnel.SessionID, after runnel.Cursor, texts ...string) {
	t.Helper()
	var got []string
	for len(got) < len(texts) {
		events, err := e.Read(t.Context(), id, after)
		if err != nil {
			t.Fatalf("read after %s: %v", after, err)
		}
		for _, ev := range events {
			got, after = append(got, ev.Text), ev.Cursor
		}
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
}

// TestGapIsHealed loses live events and delivers a later one, which names
// a predecessor that the tail has not seen.
func TestGapIsHealed(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	first := put(t, e, "s", "0")
	put(t, e, "s", "1")
	want(t, e, "s", first, "1") // opens the tail
	texts := []string{"1"}
	for i := 2; i < 600; i++ { // more than one batch
		texts = append(texts, strconv.Itoa(i))
	}
	unheard(t, e, "s", texts[1:]...)
	put(t, e, "s", "last")
	want(t, e, "s", first, append(texts, "last")...)
	if got := e.Stats(); got.Gaps != 1 {
		t.Errorf("got %+v, want one gap", got)
	}
}

// TestLostLastEventIsFound loses the last event, after which none comes that
// could tell.
func TestLostLastEventIsFound(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]func(*natslog.Engine){
		"by the clock":      (*natslog.Engine).Tick,
		"after a reconnect": (*natslog.Engine).Suspect,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t, natslog.Config{Dir: t.TempDir()})
			first := put(t, e, "s", "0")
			second := put(t, e, "s", "1")
			want(t, e, "s", first, "1")
			e.Tick() // uses up what was heard
			unheard(t, e, "s", "2", "3")
			notice(e)
			want(t, e, "s", second, "2", "3")
		})
	}
}

// TestExpiryWhileDeaf: what a tail missed may be gone when it looks.
func TestExpiryWhileDeaf(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	first := put(t, e, "s", "0")
	second := put(t, e, "s", "1")
	want(t, e, "s", first, "1")
	third := unheard(t, e, "s", "2", "3")
	unheard(t, e, "s", "4")
	if err := e.Purge(t.Context(), third.Seq); err != nil {
		t.Fatal(err)
	}
	fifth := put(t, e, "s", "5")
	want(t, e, "s", third, "4", "5")
	if _, err := e.Read(t.Context(), "s", second); runnel.KindOf(err) != runnel.Gone {
		t.Errorf("read after what has expired: %v, want it to be gone", err)
	}
	put(t, e, "s", "6")
	want(t, e, "s", fifth, "6")
}

// TestManyComeBack has readers of one session return at once, to a node that
// has not served it lately: it must not read the stream for each.
func TestManyComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, natslog.Config{Dir: dir})
	var cursors []runnel.Cursor
	var texts []string
	early := put(t, e, "another", "0")
	for i := range 200 {
		texts = append(texts, strconv.Itoa(i))
		cursors = append(cursors, put(t, e, "s", texts[i]))
	}
	if err := e.Purge(t.Context(), early.Seq); err != nil { // so that nobody knows whether s had more
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, natslog.Config{Dir: dir})
	want(t, e, "s", runnel.Cursor{}, texts...)
	first := e.Stats().Behind
	for range 10 {
		want(t, e, "s", runnel.Cursor{}, texts...)
		for i, c := range cursors[:len(cursors)-1] {
			want(t, e, "s", c, texts[i+1:]...)
		}
	}
	if got := e.Stats().Behind - first; got > 20 { // on a busy machine the tail may have shrunk meanwhile
		t.Errorf("%d reads of the stream for readers that want what one has just read", got)
	}
}

// TestQuietTailShrinks: what has left the window is still read.
func TestQuietTailShrinks(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	first := put(t, e, "s", "0")
	var texts []string
	for i := range 100 {
		texts = append(texts, strconv.Itoa(i+1))
	}
	put(t, e, "s", texts...)
	want(t, e, "s", first, texts...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := make(chan error, 1)
	go func() {
		last, err := e.End(ctx, "s")
		if err == nil {
			_, err = e.Read(ctx, "s", last) // keeps the tail
		}
		end <- err
	}()
	if err := natslog.Await(ctx, func() bool { return e.Stats().Readers == 1 }); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		e.Tick()
	}
	behind := e.Stats().Behind
	want(t, e, "s", first, texts...)
	if got := e.Stats().Behind; got != behind+1 {
		t.Errorf("%d reads of the stream, want one for all that the tail has dropped", got-behind)
	}
	cancel()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader that waited got %v", err)
	}
}

func TestTailsAreSwept(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	for i := range 10 {
		id := runnel.SessionID(strconv.Itoa(i))
		first := put(t, e, id, "0")
		put(t, e, id, "1")
		want(t, e, id, first, "1")
	}
	if got := e.Stats(); got.Tails != 10 || got.Readers != 0 {
		t.Fatalf("got %+v, want ten tails without readers", got)
	}
	for range 10 {
		e.Tick()
	}
	if got := e.Stats(); got.Tails != 0 {
		t.Errorf("got %+v, want no tails", got)
	}
	want(t, e, "0", runnel.Cursor{}, "0", "1") // a new one does as well
}

// TestUnansweredAppend loses acknowledgements: what the writer then writes is
// stored once, and in order.
func TestUnansweredAppend(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	w, err := e.Writer(t.Context(), "s", gen)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) runnel.Seq {
		t.Helper()
		at, err := w.Append(t.Context(), delta("s", text))
		if err != nil {
			t.Fatal(err)
		}
		return at.Seq
	}
	lose := func(text string) {
		t.Helper()
		if err := natslog.StoreUnanswered(t.Context(), w, delta("s", text)); err != nil {
			t.Fatal(err)
		}
	}
	first := write("0")
	lose("1")
	write("1") // again
	lose("2")
	write("3") // the caller gave up on 2
	put(t, e, "s", "4")
	lose1 := delta("s", "never stored")
	if err := natslog.StoreUnanswered(t.Context(), w, lose1); err == nil {
		t.Fatal("stored although another was first")
	}
	write("5")
	write("5") // means it
	lose("6")
	natslog.StepBack(w, first)
	write("6") // again
	write("7")
	want(t, e, "s", runnel.Cursor{}, "0", "1", "2", "3", "4", "5", "5", "6", "7")
}

// TestRepairersDoNotRepeat has two repairers read the same stretch: the second
// must not add it once more.
func TestRepairersDoNotRepeat(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	first := put(t, e, "s", "0")
	put(t, e, "s", "1")
	want(t, e, "s", first, "1")
	unheard(t, e, "s", "2", "3")
	if err := e.RepairAtOnce(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	put(t, e, "s", "4")
	want(t, e, "s", first, "1", "2", "3", "4")
}
