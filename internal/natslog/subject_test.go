package natslog_test

import (
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/natslog"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"":       "=",
		"a-B_9":  "a-B_9",
		"a.b":    "=YS5i",
		"=":      "=PQ",
		"*":      "=Kg",
		">":      "=Pg",
		"a b":    "=YSBi",
		"日本":     "=5pel5pys",
		"=YS5i":  "=PVlTNWk",
		"a\x00b": "=YQBi",
	} {
		if got := natslog.Token(id); got != want {
			t.Errorf("token of %q is %q, want %q", id, got, want)
		}
		if got, ok := natslog.Untoken(want); got != id || !ok {
			t.Errorf("%q stands for %q, %t, want %q", want, got, ok, id)
		}
	}
	for _, bad := range []string{"", "a.b", "=a.b", "=!", "=YQ", "=YR", "=PQ="} {
		if id, ok := natslog.Untoken(bad); ok {
			t.Errorf("%q stands for %q, want nothing: it is nobody's token", bad, id)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, id := range []string{"", "a", "=", "a.b", "日本 *", "=YQ"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		tok := natslog.Token(id)
		if tok == "" || strings.ContainsAny(tok, ".*> \t\r\n\x00") {
			t.Fatalf("%q has the token %q, which cannot stand in a subject", id, tok)
		}
		if back, ok := natslog.Untoken(tok); back != id || !ok {
			t.Fatalf("%q has the token %q, which stands for %q, %t", id, tok, back, ok)
		}
		if other, ok := natslog.Untoken(id); ok && natslog.Token(other) != id {
			t.Fatalf("%q stands for %q, whose token is %q", id, other, natslog.Token(other))
		}
	})
}
