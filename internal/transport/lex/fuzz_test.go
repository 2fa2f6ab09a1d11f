package lex

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

// FuzzPacked: any header is refused as invalid, or is read as what it says: packed
// again, it says the same.
func FuzzPacked(f *testing.F) {
	for _, v := range []any{nil, map[string]any{"sessionAttributes": map[string]any{"a": "ö"}}, "text"} {
		h := http.Header{}
		if err := setPacked(h, "Session-State", v); err != nil {
			f.Fatal(err)
		}
		f.Add(h.Get("X-Amz-Lex-Session-State"))
	}
	f.Add("H4sIAAAAAAAA/w==")
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{"X-Amz-Lex-Session-State": {text}}
		var first, second state
		if err := packed(h, "Session-State", &first); err != nil {
			if kind := runnel.KindOf(err); kind != runnel.Invalid {
				t.Errorf("%v, which is %v", err, kind)
			}
			return
		}
		if err := setPacked(h, "Session-State", first); err != nil {
			t.Fatal(err)
		}
		if err := packed(h, "Session-State", &second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.Attributes, second.Attributes); diff != "" {
			t.Error(diff)
		}
	})
}
