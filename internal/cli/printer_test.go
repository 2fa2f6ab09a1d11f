package cli_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/cli"
)

func TestPrinter(t *testing.T) {
	t.Parallel()
	const again = "\n\n--- the answer begins anew ---\n\n"
	for name, tt := range map[string]struct {
		texts    []string // as the answer grows; the last is its end
		person   string   // what somebody at a terminal sees
		program  string   // what a program reads
		readable bool     // whether a program can rely on it
	}{
		"grows":                 {[]string{"a", "ab", "ab", "abc"}, "abc\n", "abc\n", true},
		"ends its line itself":  {[]string{"a\n"}, "a\n", "a\n", true},
		"says nothing":          {[]string{""}, "", "", true},
		"begins anew, the same": {[]string{"abc", "", "a", "abc", "abcd"}, "abcd\n", "abcd\n", true},
		"begins anew, differs":  {[]string{"abc", "", "a", "ax", "axy"}, "abc" + again + "axy\n", "abc", false},
		"ends before":           {[]string{"abc", "", "a"}, "abc" + again + "a\n", "abc", false},
		"ends with nothing":     {[]string{"abc", ""}, "abc" + again, "abc", false},
	} {
		for _, looking := range []bool{true, false} {
			var out strings.Builder
			p := cli.NewPrinter(&out, looking)
			var err error
			for i, text := range tt.texts {
				if i == len(tt.texts)-1 {
					err = p.End(text)
				} else if err = p.Show(text); err != nil {
					break
				}
			}
			want, wantErr := tt.program, !tt.readable
			if looking {
				want, wantErr = tt.person, false
			}
			if out.String() != want || errors.Is(err, cli.ErrVoid) != wantErr {
				t.Errorf("%s (looking: %v): printed %q with the error %v, want %q", name, looking, out.String(), err, want)
			}
		}
	}
}
