package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// However a published generation ends, its publisher is told, and what was
// acknowledged before is in the answer.
func TestPublishStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{})
		r := n.publish(t, began("m"), piece("a"))
		synctest.Wait()
		n.publish(t, pieceWith("b", "1"), piece("c"))
		n.cancel(t, r.Generation)
		if got, want := text(n.await(t, r)), "abc"; got != want {
			t.Errorf("the answer is %q, want %q", got, want)
		}
		named := piece("x")
		named.Generation = r.Generation
		// Whoever does not listen is told for as long as it speaks.
		for range 10 {
			for _, p := range []runnel.Publication{piece("x"), named} {
				_, err := n.Publish(t.Context(), p)
				wantKind(t, "after the stop", err, runnel.Cancelled)
			}
			time.Sleep(40 * time.Second)
		}
		_, err := n.Publish(t.Context(), ended())
		wantKind(t, "the end after the stop", err, runnel.Cancelled)
		next := n.publish(t, piece("next"), ended())
		if next.Generation == r.Generation || text(n.await(t, next)) != "next" {
			t.Errorf("after the end came %+v", next)
		}
		if got, want := ran(t, n), "started1 +a +b1 +c cancelled started1 +next done"; strings.ReplaceAll(got, "+b ", "+b1 ") != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// A stop lets the next answer begin: with its mark at once, without one after a
// while.
func TestPublishAfterStop(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"mark": 0, "silence": 61 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := start(t, memlog.New(), noModel(t), session.Config{})
				r := n.publish(t, piece("a"))
				n.cancel(t, r.Generation)
				n.await(t, r)
				time.Sleep(wait)
				if wait == 0 {
					n.publish(t, began("m"))
				}
				next := n.publish(t, piece("b"), ended())
				if got := text(n.await(t, next)); got != "b" {
					t.Errorf("the next answer is %q", got)
				}
			})
		})
	}
}

// A stop that comes before a worker does, or while another answer runs, holds.
func TestPublishStoppedEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		idle := session.New(engine, noModel(t), session.Config{}) // does not run
		r, err := idle.Publish(t.Context(), piece("a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idle.Cancel(t.Context(), r.Generation); err != nil {
			t.Fatal(err)
		}
		n := start(t, engine, noModel(t), session.Config{})
		if got, want := shape(n.await(t, r)), "queued started1 +a cancelled"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		_, err = n.Publish(t.Context(), piece("b"))
		wantKind(t, "after the stop", err, runnel.Cancelled)
	})
}

func TestPublishAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{PublishTimeout: 10 * time.Second})
		begin := time.Now()
		r := n.publish(t, began("m"))
		for _, s := range []string{"a", "b", "c"} {
			time.Sleep(9 * time.Second)
			n.publish(t, piece(s))
		}
		if got, want := ran(t, n), "started1 +a +b"; got != want && got != want+" +c" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		events := n.await(t, r)
		if got, want := shape(events), "queued started1 +a +b +c failed:unavailable"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took < 37*time.Second || took > 38*time.Second {
			t.Errorf("it was given up after %v", took)
		}
		late := piece("late")
		late.Generation = r.Generation
		_, err := n.Publish(t.Context(), late)
		wantKind(t, "a late piece", err, runnel.Conflict)
		if next := n.publish(t, piece("d"), ended()); text(n.await(t, next)) != "d" {
			t.Error("a piece that names no generation does not begin another")
		}
	})
}

// spoken is an engine in which somebody publishes just as silence is to be put
// down.
type spoken struct {
	*memlog.Engine
	speak atomic.Pointer[func()]
}

func (e *spoken) LastPiece(ctx context.Context, id runnel.SessionID) (runnel.Piece, error) {
	if speak := e.speak.Swap(nil); speak != nil {
		(*speak)()
	}
	return e.Engine.LastPiece(ctx, id)
}

func TestPublishJustInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &spoken{Engine: memlog.New()}
		n := start(t, engine, noModel(t), session.Config{PublishTimeout: 10 * time.Second})
		r := n.publish(t, piece("a"))
		synctest.Wait()
		speak := func() { n.publish(t, piece("b")) }
		engine.speak.Store(&speak)
		time.Sleep(15 * time.Second)
		n.publish(t, ended())
		if got, want := shape(n.await(t, r)), "queued started1 +a +b done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestPublishTotalTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{TotalTimeout: 25 * time.Second})
		r := n.publish(t, began("m"))
		var want string
		for i := 0; ; i++ {
			p := piece(fmt.Sprint(i))
			p.Generation = r.Generation
			if _, err := n.Publish(t.Context(), p); err != nil {
				wantKind(t, "after the time-out", err, runnel.Conflict)
				break
			}
			want += p.Text
			time.Sleep(time.Second)
		}
		events := n.await(t, r)
		if got := text(events); got != want || !strings.HasSuffix(shape(events), "failed:unavailable") {
			t.Errorf("acknowledged %q, and it is %s", want, shape(events))
		}
	})
}

// The worker dies in the middle, twice; the next one begins with the first piece.
func TestPublishTakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		old := start(t, deaf{engine}, noModel(t), session.Config{Node: "old", DrainTimeout: 20 * time.Second})
		first := began("m")
		first.Data = json.RawMessage(`"#START#"`)
		r := old.publish(t, first, piece("a"), pieceWith("b", "1"))
		synctest.Wait()
		stopDequeue(old)
		fresh := start(t, deaf{engine}, noModel(t), session.Config{Node: "new", DrainTimeout: 20 * time.Second})
		time.Sleep(5 * time.Second) // the old one's lease has run out
		fresh.publish(t, pieceWith("c", "2"))
		synctest.Wait()
		stopDequeue(fresh)
		again := start(t, engine, noModel(t), session.Config{Node: "third"})
		time.Sleep(5 * time.Second)
		again.publish(t, piece("d"), ended())
		again.await(t, r)
		if err := old.stop(); err != nil {
			t.Fatal(err)
		}
		tr := transcript(t.Context(), t, again, "s")
		if len(tr.Turns) != 1 || tr.Turns[0].Text != "abcd" || tr.Turns[0].State != runnel.Done || tr.Turns[0].Attempt < 2 {
			t.Errorf("turns: %+v", tr.Turns)
		}
		var got []string
		events := all(t, engine, "s")
		for _, ev := range events {
			if ev.Attempt == tr.Turns[0].Attempt {
				got = append(got, withData([]runnel.Event{ev}))
			}
		}
		if got, want := strings.Join(got, " "), `started`+fmt.Sprint(tr.Turns[0].Attempt)+`"#START#" = +a +b1 +c2 +d done`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if text(events) != "abcd" || terminals(events) != 1 || r.Generation != tr.Turns[0].Generation {
			t.Errorf("log: %s", shape(events))
		}
	})
}

// Workers that die do not cost an answer what was acknowledged of it.
func TestPublishGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, deaf{engine}, noModel(t), session.Config{Attempts: 2, DrainTimeout: 9 * time.Second})
		r := n.publish(t, piece("a"))
		for _, s := range []string{"b", "c", "d"} {
			n.publish(t, piece(s))
			synctest.Wait()
			stopDequeue(n)
			n = start(t, deaf{engine}, noModel(t), session.Config{Attempts: 2, DrainTimeout: 9 * time.Second})
			time.Sleep(3 * time.Second)
		}
		time.Sleep(20 * time.Second)
		tr := transcript(t.Context(), t, n, "s")
		if len(tr.Turns) != 1 || tr.Turns[0].State != runnel.Failed || tr.Turns[0].Attempt != 3 {
			t.Fatalf("turns: %+v", tr.Turns)
		}
		if got := tr.Turns[0].Text; got != "abc" && got != "abcd" {
			t.Errorf("the answer is %q", got)
		}
		_ = r
	})
}

// halfway is an engine that dies between the first piece and its prompt.
type halfway struct {
	*memlog.Engine
	dead atomic.Bool
}

func (e *halfway) Enqueue(ctx context.Context, p runnel.Prompt, exclusive bool) error {
	if e.dead.Load() {
		return errFault
	}
	return e.Engine.Enqueue(ctx, p, exclusive)
}

func TestPublishHalfBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &halfway{Engine: memlog.New()}
		engine.dead.Store(true)
		n := start(t, engine, noModel(t), session.Config{})
		first := began("theirs")
		first.Prompt, first.Key = "why?", "k"
		_, err := n.Publish(t.Context(), first)
		wantKind(t, "begin", err, runnel.Unavailable)
		_, err = n.Publish(t.Context(), piece("a")) // whose answer is lost
		wantKind(t, "go on", err, runnel.Unavailable)
		engine.dead.Store(false)
		other := start(t, engine, noModel(t), session.Config{})
		r := other.publish(t, piece("b"))
		if got := n.publish(t, ended()); got != r {
			t.Errorf("the receipts are %+v and %+v", got, r)
		}
		events := other.await(t, r)
		if got, want := text(events), "ab"; got != want || events[0].Prompt != "why?" {
			t.Errorf("the answer is %q, want %q: %s", got, want, shape(events))
		}
	})
}

// flaky is an engine whose pieces cannot be read now and then.
type flaky struct {
	*memlog.Engine
	broken atomic.Int32 // how often still
}

func (e *flaky) Pieces(ctx context.Context, id runnel.SessionID, after uint64) iter.Seq2[runnel.Piece, error] {
	return func(yield func(runnel.Piece, error) bool) {
		for p, err := range e.Engine.Pieces(ctx, id, after) {
			if !yield(p, err) {
				return
			}
			if p.Text != "" && e.broken.Add(-1) >= 0 {
				yield(runnel.Piece{}, errFault)
				return
			}
		}
	}
}

func TestPublishEngineFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &flaky{Engine: memlog.New()}
		engine.broken.Store(3)
		n := start(t, engine, noModel(t), session.Config{FlushInterval: -1})
		r := n.publish(t, began("m"), piece("a"), piece("b"), piece("c"), piece("d"), ended())
		if got, want := text(n.await(t, r)), "abcd"; got != want || engine.broken.Load() >= 0 {
			t.Errorf("the answer is %q, want %q", got, want)
		}
	})
}

// What was published is dropped when the next answer of the session has ended,
// and not before.
func TestPublishedIsDropped(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), noModel(t), session.Config{})
	var firsts []uint64
	for range 3 {
		last, err := n.engine().LastPiece(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		firsts = append(firsts, last.Seq)
		n.await(t, n.publish(t, began("m"), piece("a"), ended()))
	}
	if err := n.stop(); err != nil { // all is done that follows from an end
		t.Fatal(err)
	}
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for p, err := range n.engine().Pieces(ctx, "s", 0) {
		if err != nil {
			break
		}
		if p.Seq <= firsts[2] {
			t.Errorf("piece %d is still kept", p.Seq)
		}
		got = append(got, string(p.Type))
	}
	if got, want := strings.Join(got, " "), "generation.started delta generation.done"; got != want {
		t.Errorf("kept is %q, want %q", got, want)
	}
}

// An answer whose pieces are lost fails, and nothing more is taken for it.
func TestPublishedIsLost(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	idle := session.New(engine, noModel(t), session.Config{}) // does not run
	for _, s := range []string{"a", "b"} {
		if _, err := idle.Publish(t.Context(), piece(s)); err != nil {
			t.Fatal(err)
		}
	}
	last, err := engine.LastPiece(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.DropPieces(t.Context(), "s", last.Seq); err != nil {
		t.Fatal(err)
	}
	n := start(t, engine, noModel(t), session.Config{})
	events := n.await(t, runnel.Receipt{Session: "s", Generation: last.Generation})
	if got, want := shape(events), "queued failed:gone"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	late := piece("c")
	late.Generation = last.Generation
	_, err = n.Publish(t.Context(), late)
	wantKind(t, "a piece of it", err, runnel.Conflict)
}

// held is an engine that gives out the pieces before a number only when it is
// told to.
type held struct {
	*memlog.Engine
	before  uint64
	release chan struct{}
}

func (e *held) Pieces(ctx context.Context, id runnel.SessionID, after uint64) iter.Seq2[runnel.Piece, error] {
	if after+1 < e.before {
		<-e.release
	}
	return e.Engine.Pieces(ctx, id, after)
}

// Side by side, the later answer may end first: what the earlier one still has to
// read stays.
func TestPublishedInParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &held{Engine: memlog.New(), release: make(chan struct{})}
		idle := node{Service: session.New(engine, noModel(t), session.Config{})} // does not run
		one := idle.publish(t, piece("a"), piece("b"))
		last, err := engine.LastPiece(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		two := idle.publish(t, began("m"), piece("c"), ended())
		engine.before = last.Seq + 1
		n := start(t, engine, noModel(t), session.Config{Mode: session.Parallel})
		n.await(t, two)
		synctest.Wait()
		close(engine.release)
		if got, want := shape(n.await(t, one)), "queued started1 +ab failed:conflict"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
