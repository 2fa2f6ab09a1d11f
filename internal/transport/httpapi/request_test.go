package httpapi_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

// FuzzDecodeSubmission holds the strict decoder to encoding/json: what it
// accepts means the same to both.
func FuzzDecodeSubmission(f *testing.F) {
	for _, s := range []string{
		`{"prompt":"why?","model":"m","system":"s","max_tokens":1,"temperature":0.5,"metadata":{"a":"b"}}`,
		`{"prompt":null}`, `{}`, ` { } `, `{"Prompt":"x"}`, `{"prompt":"a","prompt":"b"}`, `{"prompt":"\ud800"}`,
		`{"max_tokens":1e3}`, `{"temperature":1e999}`, `{"metadata":{"a":null}}`, `{"prompt":"a"}x`, `{"prompt" "a"}`, `[`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := httpapi.DecodeSubmission(data)
		if err != nil {
			return
		}
		var want struct {
			Prompt      *string           `json:"prompt"`
			Model       *string           `json:"model"`
			System      *string           `json:"system"`
			MaxTokens   *int              `json:"max_tokens"`
			Temperature *float64          `json:"temperature"`
			Metadata    map[string]string `json:"metadata"`
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted %q: %v", data, err)
		}
		if diff := cmp.Diff(want.Prompt, got.Prompt) + cmp.Diff(want.Model, got.Model) + cmp.Diff(want.System, got.System) +
			cmp.Diff(want.MaxTokens, got.MaxTokens) + cmp.Diff(want.Temperature, got.Temperature) + cmp.Diff(want.Metadata, got.Metadata); diff != "" {
			t.Fatalf("%q (-encoding/json +ours):\n%s", data, diff)
		}
	})
}
