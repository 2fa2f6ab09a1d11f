package idiom_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/idiom"
)

func TestAppendASCII(t *testing.T) {
	t.Parallel()
	for _, tt := range jsonDumps {
		if got := string(idiom.AppendASCII(nil, tt.text)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.text, got, tt.want)
		}
	}
}

// FuzzAppendASCII: what is written is JSON, in ASCII, and says the same.
func FuzzAppendASCII(f *testing.F) {
	for _, v := range jsonDumps {
		f.Add(v.text)
	}
	f.Add("\xff\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, text string) {
		got := idiom.AppendASCII(nil, text)
		for _, b := range got {
			if b < ' ' || b > '~' {
				t.Fatalf("%q has the byte %#x", got, b)
			}
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && strings.Count(back, "\ufffd") == 0 {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	})
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		group idiom.Group
		want  []string
	}{
		{"each alone", idiom.Group{}, []string{"a", "bb", "ccc", "d"}},
		{"two at a time", idiom.Group{Size: 2}, []string{"abb", "cccd"}},
		{"too long", idiom.Group{Size: 9, Most: 2}, []string{"abb", "ccc", "d"}},
	} {
		var got []string
		for _, s := range []string{"a", "bb", "ccc", "d"} {
			if tt.group.Add(s) {
				got = append(got, tt.group.Take())
			}
		}
		if !tt.group.Empty() {
			got = append(got, tt.group.Take())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
