package logtest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
)

func noteTests() []test {
	return []test{
		{"the last note counts, until it is forgotten", testNote},
		{"any text is a note's key", testNoteKeys},
		{"a long note", testLongNote},
	}
}

func mustNote(t *testing.T, e runnel.Notes, key string, data []byte) {
	t.Helper()
	if err := e.Note(limit(t), key, data); err != nil {
		t.Fatal(err)
	}
}

func wantNote(t *testing.T, e runnel.Notes, key string, want []byte) {
	t.Helper()
	if got, err := e.Noted(limit(t), key); err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("%q: got %.40q and %v, want %.40q", key, got, err, want)
	}
}

func testNote(t *testing.T, e runnel.Engine) {
	key, other := string(newSession()), string(newSession())
	wantNote(t, e, key, nil)
	mustNote(t, e, other, []byte("other"))
	for _, text := range []string{"a", "b", "\x00\xff"} {
		mustNote(t, e, key, []byte(text))
		wantNote(t, e, key, []byte(text))
	}
	for range 2 { // also when there is none
		mustNote(t, e, key, nil)
		wantNote(t, e, key, nil)
	}
	mustNote(t, e, key, []byte("c"))
	wantNote(t, e, key, []byte("c"))
	wantNote(t, e, other, []byte("other"))
}

func testNoteKeys(t *testing.T, e runnel.Engine) {
	prefix := string(newSession())
	keys := []string{"", " ", ".", "*", ">", "\x00", "\xff", "日本", strings.Repeat("x", 10_000)}
	for _, key := range keys {
		mustNote(t, e, prefix+key, []byte("of "+key))
	}
	for _, key := range keys {
		wantNote(t, e, prefix+key, []byte("of "+key))
	}
}

func testLongNote(t *testing.T, e runnel.Engine) {
	key, data := string(newSession()), bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	mustNote(t, e, key, data)
	wantNote(t, e, key, data)
}
