package logtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/runnelhq/runnel"
)

// testModel appends, reads and crashes at random. However a reader got there,
// once it has dropped what each reset declared void it must hold exactly what
// the log holds.
func testModel(t *testing.T, v *victim) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		m := &model{ctx: ctx, v: v, id: newSession(), other: newSession()}
		actions := map[string]func(*rapid.T){
			"append":            m.append,
			"append elsewhere":  m.appendElsewhere,
			"read from the top": m.readFromTop,
			"read from the end": m.readFromEnd,
			"read":              m.read,
		}
		// A crash costs some engines a second, so three of four runs have none.
		if rapid.Bool().Draw(rt, "crashes") && rapid.Bool().Draw(rt, "often") {
			actions["checkpoint"] = m.checkpoint
			actions["crash"] = m.crash
		}
		rt.Repeat(actions)
		m.finish(rt)
	})
}

// A model is what a session of the engine should hold, and its readers.
type model struct {
	ctx       context.Context
	v         *victim
	id, other runnel.SessionID
	log       []entry
	appended  int // how many events ever, so that no two have the same text
	readers   []*reader
	kept      int    // how many entries a crash leaves
	crashNow  func() // nil without a checkpoint
}

type entry struct {
	text string
	seq  runnel.Seq
}

// A reader applies what it reads, as a client does.
type reader struct {
	after runnel.Cursor
	from  runnel.Seq      // it has all events after this one
	seen  []entry         // those
	known map[string]bool // what it has ever been given, or was there before it began
}

func (m *model) append(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		m.appendOne(t, strconv.Itoa(m.appended))
	}
}

func (m *model) appendOne(t *rapid.T, text string) {
	m.appended++
	c, err := m.v.Append(m.ctx, delta(m.id, "g", text))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	m.log = append(m.log, entry{text, c.Seq})
}

func (m *model) appendElsewhere(t *rapid.T) {
	if _, err := m.v.Append(m.ctx, delta(m.other, "g", "of another session")); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func (m *model) readFromTop(*rapid.T) {
	m.readers = append(m.readers, &reader{known: make(map[string]bool)})
}

func (m *model) readFromEnd(t *rapid.T) {
	end, err := m.v.End(m.ctx, m.id)
	if err != nil {
		t.Fatalf("end: %v", err)
	}
	r := &reader{after: end, from: end.Seq, known: make(map[string]bool)}
	for _, e := range m.log {
		r.known[e.text] = true
	}
	m.readers = append(m.readers, r)
}

func (m *model) checkpoint(*rapid.T) {
	m.kept, m.crashNow = len(m.log), m.v.checkpoint()
}

func (m *model) crash(t *rapid.T) {
	if m.crashNow == nil {
		t.Skip("there is no checkpoint")
	}
	m.crashNow()
	m.crashNow, m.log = nil, slices.Clone(m.log[:m.kept])
}

// read lets one reader read once, if there is anything for it.
func (m *model) read(t *rapid.T) {
	if len(m.readers) == 0 || len(m.log) == 0 {
		t.Skip("there is nothing to read")
	}
	r := rapid.SampledFrom(m.readers).Draw(t, "reader")
	if !r.known[m.log[len(m.log)-1].text] {
		m.readOnce(t, r)
	}
}

func (m *model) readOnce(t *rapid.T, r *reader) {
	events, err := m.v.Read(m.ctx, m.id, r.after)
	if reset, ok := errors.AsType[*runnel.ResetError](err); ok {
		m.reset(t, r, reset.Intact)
		return
	}
	if err != nil {
		t.Fatalf("read after %s: %v", r.after, err)
	}
	for _, ev := range events {
		if ev.Cursor.Seq <= r.after.Seq {
			t.Fatalf("after %s came %s", r.after, ev.Cursor)
		}
		r.after = ev.Cursor
		r.seen = append(r.seen, entry{ev.Text, ev.Cursor.Seq})
		r.known[ev.Text] = true
	}
}

// reset drops what the reader saw after intact: no more and no less than what
// the log has lost.
func (m *model) reset(t *rapid.T, r *reader, intact runnel.Cursor) {
	if intact.Seq >= r.after.Seq {
		t.Fatalf("the reader at %s is sent on to %s", r.after, intact)
	}
	held := slices.Clone(r.seen)
	r.seen = slices.DeleteFunc(r.seen, func(e entry) bool { return e.seq > intact.Seq })
	for i, e := range held {
		if inLog := slices.Contains(m.log, e); inLog != (i < len(r.seen)) {
			t.Fatalf("sent back from %s to %s; that %q (%d) is in the log is %t", r.after, intact, e.text, e.seq, inLog)
		}
	}
	r.after, r.from = intact, min(r.from, intact.Seq)
}

// finish lets every reader read to the end.
func (m *model) finish(t *rapid.T) {
	m.readFromTop(t)
	m.appendOne(t, "last")
	for _, r := range m.readers {
		for !r.known["last"] {
			m.readOnce(t, r)
		}
		want := slices.DeleteFunc(slices.Clone(m.log), func(e entry) bool { return e.seq <= r.from })
		if diff := cmp.Diff(want, r.seen, cmp.AllowUnexported(entry{})); diff != "" {
			t.Fatalf("a reader from %d (-log +reader):\n%s", r.from, diff)
		}
	}
}
