package runnel_test

import (
	"testing"

	"github.com/runnelhq/runnel"
)

func TestMay(t *testing.T) {
	t.Parallel()
	some := []runnel.Grant{
		{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"team-*", "lobby"}},
		{Actions: []runnel.Action{runnel.Submit, runnel.Read}, Sessions: []string{"mine"}},
		{Actions: []runnel.Action{runnel.Admin}},
	}
	for _, tc := range []struct {
		grants []runnel.Grant
		action runnel.Action
		id     runnel.SessionID
		want   bool
	}{
		{nil, runnel.Submit, "any", true},
		{nil, runnel.Admin, "", false},
		{some, runnel.Read, "team-1", true},
		{some, runnel.Read, "team-1/x", false},
		{some, runnel.Submit, "team-1", false},
		{some, runnel.Submit, "mine", true},
		{some, runnel.Read, "lobby", true},
		{some, runnel.Read, "elsewhere", false},
		{some, runnel.Admin, "", true},
		{[]runnel.Grant{{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"[broken"}}}, runnel.Read, "[broken", false},
	} {
		p := runnel.Principal{Grants: tc.grants}
		if got := p.May(tc.action, tc.id); got != tc.want {
			t.Errorf("May(%s, %q) = %v with %v", tc.action, tc.id, got, tc.grants)
		}
	}
}

func TestCursorText(t *testing.T) {
	t.Parallel()
	for _, c := range []runnel.Cursor{{}, {Epoch: "a1", Seq: 0}, {Epoch: "k3v9x2aq", Seq: 1<<64 - 1}} {
		got, err := runnel.ParseCursor(c.String())
		if err != nil || got != c {
			t.Errorf("%q came back as %v, %v", c.String(), got, err)
		}
	}
	for _, s := range []string{"-", "a-", "-1", "a-01", "a-+1", "a--1", "A-1", "a b-1", "a-1 ", "a-18446744073709551616", "a", "7", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1"} {
		if c, err := runnel.ParseCursor(s); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%q was read as %v, %v", s, c, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("k3v9x2aq-17")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := runnel.ParseCursor(s)
		if err == nil && c.String() != s && s != "" {
			t.Errorf("%q was read as %q", s, c)
		}
	})
}

func TestSessionID(t *testing.T) {
	t.Parallel()
	long := make([]byte, runnel.MaxSessionID+1)
	for i := range long {
		long[i] = 'x'
	}
	for _, id := range []runnel.SessionID{"", runnel.SessionID(long), "a\xff", "a\r\nb", "a\x00", "\u0085"} {
		if err := id.Validate(); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []runnel.SessionID{"a", "ä b/c?*.>", runnel.SessionID(long[1:])} {
		if err := id.Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}
