package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// noModel fails a test in which a model is asked.
func noModel(t *testing.T) routes {
	return only(model(func(context.Context, runnel.Prompt, func(runnel.Delta, error) bool) {
		t.Error("a model was asked")
	}))
}

func began(model string) runnel.Publication {
	return runnel.Publication{Session: "s", Type: runnel.EventStarted, Model: model}
}

func piece(text string) runnel.Publication {
	return runnel.Publication{Session: "s", Type: runnel.EventDelta, Text: text}
}

func pieceWith(text, data string) runnel.Publication {
	return runnel.Publication{Session: "s", Type: runnel.EventDelta, Text: text, Data: json.RawMessage(data)}
}

func ended() runnel.Publication { return runnel.Publication{Session: "s", Type: runnel.EventDone} }

func (n node) publish(t *testing.T, pieces ...runnel.Publication) (r runnel.Receipt) {
	t.Helper()
	for _, p := range pieces {
		var err error
		if r, err = n.Publish(t.Context(), p); err != nil {
			t.Fatalf("publish %s %q: %v", p.Type, p.Text, err)
		}
	}
	return r
}

// ran is the shape of what a session's generations did once their turn had come.
func ran(t *testing.T, n node) string {
	t.Helper()
	return shape(slices.DeleteFunc(all(t, n.engine(), "s"), func(ev runnel.Event) bool { return ev.Type == runnel.EventQueued }))
}

// withData is shape, with the data of each event behind it.
func withData(events []runnel.Event) string {
	var b strings.Builder
	for _, ev := range events {
		b.WriteString(" " + shape([]runnel.Event{ev}) + string(ev.Data))
	}
	return strings.TrimPrefix(b.String(), " ")
}

func TestPublish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{})
		first := began("theirs")
		first.Prompt, first.Data = "why?", json.RawMessage(`"#START#"`)
		r := n.publish(t, first)
		if again := n.publish(t, piece("a"), pieceWith("b", `{"n": 1}`), pieceWith("", "0"), piece("c"), piece("d")); again != r {
			t.Errorf("a later piece's receipt is %+v, want %+v", again, r)
		}
		thought := piece("hm")
		thought.Type = runnel.EventReasoning
		status := runnel.Publication{Session: "s", Type: runnel.EventProgress, Progress: json.RawMessage(`{ "step":1}`)}
		end := ended()
		end.Usage, end.Data = &runnel.Usage{OutputTokens: 4}, json.RawMessage(`"#END#"`)
		n.publish(t, thought, status, end)
		events := n.await(t, r)
		if got, want := withData(events), `queued started1"#START#" +a +b{"n":1} +0 +cd ~hm progress done"#END#"`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if ev := events[1]; ev.Model != "theirs" || events[0].Prompt != "why?" {
			t.Errorf("begun by %+v and %+v", events[0], ev)
		}
		tr := transcript(t.Context(), t, n, "s")
		want := runnel.Turn{
			Generation: r.Generation, State: runnel.Done, Attempt: 1, Model: "theirs",
			Prompt: []runnel.Message{runnel.TextMessage(runnel.User, "why?")},
			Text:   "abcd", Reasoning: "hm", StopReason: runnel.EndTurn, Usage: end.Usage, Data: json.RawMessage(`"#END#"`),
		}
		got := tr.Turns[0]
		got.AcceptedAt, got.StartedAt, got.FirstAt, got.EndedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if diff := cmp.Diff(want, got); diff != "" || len(tr.Turns) != 1 || len(tr.Active) != 0 {
			t.Errorf("transcript: %d turns, %d active (-want +got):\n%s", len(tr.Turns), len(tr.Active), diff)
		}
		if g, err := n.Generation(t.Context(), r.Generation); err != nil || g.State != runnel.Done || g.Model != "theirs" {
			t.Errorf("generation %+v, %v", g, err)
		}
	})
}

// Pieces need not say that they begin something, and what they leave out is
// filled in.
func TestPublishWithoutMarkers(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), noModel(t), session.Config{FlushInterval: -1})
	one := n.publish(t, piece("a"), ended())
	two := n.publish(t, ended())
	three := n.publish(t, runnel.Publication{Session: "s", Type: runnel.EventFailed})
	fourth := piece("b")
	fourth.Generation = three.Generation
	_, err := n.Publish(t.Context(), fourth)
	wantKind(t, "a piece of one that has ended", err, runnel.Conflict)
	n.await(t, three)
	if got, want := ran(t, n), "started1 +a done started1 done started1 failed:unavailable"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if one.Generation == two.Generation || two.Generation == three.Generation {
		t.Errorf("generations %s, %s, %s", one.Generation, two.Generation, three.Generation)
	}
	tr := transcript(t.Context(), t, n, "s")
	if tr.Turns[0].Model != "published" || tr.Turns[0].Prompt == nil || tr.Turns[2].Failure.Message == "" {
		t.Errorf("turns: %+v", tr.Turns)
	}
}

func TestPublishBeginsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{})
		one := n.publish(t, began("m"), piece("a"))
		two := n.publish(t, began("m"), piece("b"))
		late := piece("late")
		late.Generation = one.Generation
		_, err := n.Publish(t.Context(), late)
		wantKind(t, "a piece of the one before", err, runnel.Conflict)
		named := piece("c")
		named.Generation = two.Generation
		n.publish(t, named, ended())
		n.await(t, two)
		if got, want := ran(t, n), "started1 +a failed:conflict started1 +bc done"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestPublishAndPrompts(t *testing.T) {
	t.Parallel()
	for mode, want := range map[session.Mode]string{
		session.Queue:    "started1 +model done started1 +theirs done",
		session.Reject:   "started1 +model done started1 +theirs done",
		session.Parallel: "started1 started1 +theirs done +model done",
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := start(t, memlog.New(), only(says(time.Second, "model")), session.Config{Mode: mode, MaxGenerations: 1})
				asked := n.submit(t, ask("hi"))
				synctest.Wait()
				r := n.publish(t, began("m"), piece("theirs"))
				if mode == session.Reject {
					_, err := n.Submit(t.Context(), ask("me too"))
					wantKind(t, "a prompt beside an answer that is published", err, runnel.Conflict)
				}
				n.publish(t, ended())
				n.await(t, asked)
				n.await(t, r)
				if got := ran(t, n); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
}

// An answer whose model is elsewhere does not take the place of one that asks
// ours.
func TestPublishTakesNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), only(says(time.Second, "a")), session.Config{MaxGenerations: 1})
		for i := range 10 {
			p := began("m")
			p.Session = runnel.SessionID(fmt.Sprint("open ", i))
			n.publish(t, p)
		}
		synctest.Wait()
		begin := time.Now()
		n.await(t, n.submit(t, ask("hi")))
		if took := time.Since(begin); took != time.Second {
			t.Errorf("a prompt took %v beside open publications", took)
		}
	})
}

func TestPublishedHistory(t *testing.T) {
	t.Parallel()
	var got string
	n := start(t, memlog.New(), only(model(func(_ context.Context, p runnel.Prompt, yield func(runnel.Delta, error) bool) {
		for _, m := range p.Messages {
			got += string(m.Role) + ":" + m.Text() + " "
		}
		yield(runnel.Delta{End: &runnel.End{}}, nil)
	})), session.Config{})
	n.publish(t, piece("nobody knows why"), ended())
	asked := began("m")
	asked.Prompt = "q1"
	n.publish(t, asked, piece("a1"), ended(), piece(" a2"), ended())
	n.await(t, n.submit(t, ask("q2")))
	if want := "user:q1 assistant:a1 a2 user:q2 "; got != want {
		t.Errorf("the model got %q, want %q", got, want)
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), noModel(t), session.Config{MaxPrompt: 10, MaxAnswer: 1000})
	long := strings.Repeat("x", 1<<20)
	for name, p := range map[string]runnel.Publication{
		"no session":        {Type: runnel.EventDelta},
		"no type":           {Session: "s"},
		"queued":            {Session: "s", Type: runnel.EventQueued},
		"reset":             {Session: "s", Type: runnel.EventReset},
		"cancelled":         {Session: "s", Type: runnel.EventCancelled},
		"begins a named":    {Session: "s", Type: runnel.EventStarted, Generation: "g"},
		"no progress":       {Session: "s", Type: runnel.EventProgress},
		"bad progress":      {Session: "s", Type: runnel.EventProgress, Progress: json.RawMessage("{")},
		"bad data":          {Session: "s", Type: runnel.EventDelta, Data: json.RawMessage("{} {}")},
		"not UTF-8":         {Session: "s", Type: runnel.EventDelta, Text: "\xff"},
		"too long":          {Session: "s", Type: runnel.EventDelta, Text: long, Data: json.RawMessage("1")},
		"long prompt":       {Session: "s", Type: runnel.EventStarted, Prompt: "12345678901"},
		"long model":        {Session: "s", Type: runnel.EventStarted, Model: long[:257]},
		"long key":          {Session: "s", Type: runnel.EventDelta, Key: long[:257]},
		"too much progress": {Session: "s", Type: runnel.EventProgress, Progress: json.RawMessage(`"` + long + `"`)},
	} {
		_, err := n.Publish(t.Context(), p)
		wantKind(t, name, err, runnel.Invalid)
	}
	if last, err := n.engine().LastPiece(t.Context(), "s"); err != nil || last.Seq != 0 {
		t.Errorf("something was stored: %+v, %v", last, err)
	}
	r := n.publish(t, piece(long[:900]))
	_, err := n.Publish(t.Context(), piece(long[:101]))
	wantKind(t, "an answer that is too long", err, runnel.Invalid)
	n.publish(t, piece(long[:100]))
	for err = nil; err == nil; { // however small its text is
		_, err = n.Publish(t.Context(), pieceWith("", `"`+long[:900]+`"`))
	}
	wantKind(t, "more and more", err, runnel.Invalid)
	n.publish(t, ended())
	if got := text(n.await(t, r)); got != long[:1000] {
		t.Errorf("the answer has %d bytes", len(got))
	}
}

func TestPublishForeign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, memlog.New(), noModel(t), session.Config{})
		ann, bob := as(t, "ann"), as(t, "bob")
		r, err := n.Publish(ann, piece("secret"))
		if err != nil {
			t.Fatal(err)
		}
		wantOwner(t, n, "s", "ann")
		named := piece("mine")
		named.Generation = r.Generation
		for _, p := range []runnel.Publication{piece("mine"), began("m"), named, ended()} {
			_, err := n.Publish(bob, p)
			wantKind(t, "publish to another's", err, runnel.NotFound)
		}
		_, err = n.Publish(asService(t, runnel.Grant{Actions: []runnel.Action{runnel.Submit}}), piece("x"))
		wantKind(t, "publish without the grant", err, runnel.Denied)
		for _, backend := range []context.Context{asService(t), asService(t, runnel.Grant{Actions: []runnel.Action{runnel.Publish}})} {
			if _, err := n.Publish(backend, piece(".")); err != nil {
				t.Errorf("a backend: %v", err)
			}
		}
		if _, err := n.Publish(ann, ended()); err != nil {
			t.Fatal(err)
		}
		if got, want := text(n.await(t, r)), "secret.."; got != want {
			t.Errorf("the answer is %q, want %q", got, want)
		}
		wantSilence(bob, t, n, "s", runnel.Cursor{})
	})
}

func TestPublishRepeated(t *testing.T) {
	t.Parallel()
	n := start(t, memlog.New(), noModel(t), session.Config{})
	keyed := func(p runnel.Publication, key string) runnel.Publication {
		p.Key = key
		return p
	}
	pieces := []runnel.Publication{keyed(began("m"), "k0"), keyed(piece("a"), "k1"), keyed(piece("b"), "k2"), keyed(ended(), "k3")}
	var first runnel.Receipt
	for i := range pieces {
		for round := range 2 {
			for j, p := range pieces[:i+1] { // all that came before, too
				r := n.publish(t, p)
				if first.Generation == "" {
					first = r
				}
				want := first
				want.Repeated = j < i || round > 0
				if r != want {
					t.Errorf("piece %d after %d: receipt %+v, want %+v", j, i, r, want)
				}
			}
		}
	}
	later := keyed(piece("a"), "k1")
	later.Data = json.RawMessage(`{"time":"later"}`)
	if r := n.publish(t, later); !r.Repeated || r.Generation != first.Generation {
		t.Errorf("a piece with other data: receipt %+v", r)
	}
	_, err := n.Publish(t.Context(), keyed(piece("other"), "k1"))
	wantKind(t, "the key of another piece", err, runnel.Conflict)
	_, err = n.Publish(t.Context(), keyed(piece("other"), "k3"))
	wantKind(t, "the key of the last piece", err, runnel.Conflict)
	if got, want := text(n.await(t, first)), "ab"; got != want {
		t.Errorf("the answer is %q, want %q", got, want)
	}
	other, err := n.Publish(asService(t), keyed(piece("a"), "k1"))
	if err != nil || other.Repeated || other.Generation == first.Generation {
		t.Errorf("another publisher's key: %+v, %v", other, err)
	}
	n.publish(t, ended())
}

// Many publish at once to one session: all is there, each one's in its order.
func TestPublishRace(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	nodes := []node{start(t, engine, noModel(t), session.Config{}), start(t, engine, noModel(t), session.Config{})}
	const publishers, each = 8, 25
	var g errgroup.Group
	for i := range publishers {
		g.Go(func() error {
			for j := range each {
				if _, err := nodes[(i+j)%2].Publish(t.Context(), piece(fmt.Sprintf("%d.%d ", i, j))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	r := nodes[0].publish(t, ended())
	next := make([]int, publishers)
	for word := range strings.FieldsSeq(text(nodes[1].await(t, r))) {
		var i, j int
		if _, err := fmt.Sscanf(word, "%d.%d", &i, &j); err != nil || j != next[i] {
			t.Fatalf("%q came in place of %d.%d", word, i, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("publisher %d: %d pieces of %d", i, n, each)
		}
	}
	if got := len(transcript(t.Context(), t, nodes[0], "s").Turns); got != 1 {
		t.Errorf("the pieces made %d generations", got)
	}
}
