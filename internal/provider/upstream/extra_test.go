package upstream_test

import (
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m","max_tokens":5}`
	for in, want := range map[string]string{
		"": body, "null": body, " {} ": body,
		` {"top_k":5,"thinking":{"type":"enabled"}}`: `{"model":"m","max_tokens":5,"top_k":5,"thinking":{"type":"enabled"}}`,
		`{"max_tokens":1000000}`:                     "",
		`[]`:                                         "",
		`{`:                                          "",
	} {
		got, err := upstream.Merge([]byte(body), []byte(in))
		if string(got) != want || want == "" && runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
}
