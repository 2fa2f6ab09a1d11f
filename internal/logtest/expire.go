package logtest

import (
	"testing"

	"github.com/runnelhq/runnel"
)

func expireTests(h Harness) []test {
	return []test{
		{"the first events", func(t *testing.T, e runnel.Engine) { testExpireSome(t, e, h) }},
		{"a whole session", func(t *testing.T, e runnel.Engine) { testExpireAll(t, e, h) }},
	}
}

func wantGone(t *testing.T, e runnel.Log, id runnel.SessionID, after runnel.Cursor) {
	t.Helper()
	_, err := e.Read(limit(t), id, after)
	wantKind(t, err, runnel.Gone)
}

// testExpireSome has two sessions take turns, so that what expires is not
// the same part of each.
func testExpireSome(t *testing.T, e runnel.Engine, h Harness) {
	const n, cut = 10, 5
	id, other := newSession(), newSession()
	start, err := e.End(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	var cursors []runnel.Cursor
	early := mustAppend(t, e, other, "0")[0]
	for _, text := range numbers(0, n) {
		cursors = append(cursors, mustAppend(t, e, id, text)...)
	}
	mustAppend(t, e, other, "1")
	h.Expire(t, e, cursors[cut])

	wantGone(t, e, id, start)
	for i, c := range cursors {
		if i < cut {
			wantGone(t, e, id, c)
		} else { // the first of them has expired itself, but what follows has not
			wantTexts(t, e, id, c, numbers(i+1, n)...)
		}
	}
	wantTexts(t, e, id, runnel.Cursor{}, numbers(cut+1, n)...)
	wantTexts(t, e, other, early, "1")
	wantTexts(t, e, other, runnel.Cursor{}, "1")
	mustAppend(t, e, id, "10")
	wantTexts(t, e, id, runnel.Cursor{}, numbers(cut+1, n+1)...)
	wantGone(t, e, id, cursors[cut-1])
}

func testExpireAll(t *testing.T, e runnel.Engine, h Harness) {
	id := newSession()
	cursors := mustAppend(t, e, id, "0", "1", "2")
	last := mustAppend(t, e, newSession(), "of another session")[0]
	mustAppend(t, e, newSession(), "of a third session")
	h.Expire(t, e, last)

	wantGone(t, e, id, cursors[0])
	wantBlocked(t, e, id, runnel.Cursor{})
	end, err := e.End(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, e, id, "3")
	wantTexts(t, e, id, runnel.Cursor{}, "3")
	wantGone(t, e, id, cursors[0])
	if end.Seq > cursors[0].Seq { // else nobody can tell whether its reader has seen the others
		wantTexts(t, e, id, end, "3")
	}
}
