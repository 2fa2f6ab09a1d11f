package openai_test

import (
	"encoding/json"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/openai"
)

// FuzzRequest: any body is refused as invalid or is a prompt that can be stored.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"stop":["a"],"tool_choice":"auto"}`))
	f.Add([]byte(`{"input":[{"type":"function_call_output","call_id":"c","output":"x"}],"tools":[{"type":"function","name":"f"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) (runnel.Prompt, error){openai.ReadChat, openai.ReadResponse} {
			p, err := read(data)
			if err != nil {
				if kind := runnel.KindOf(err); kind != runnel.Invalid {
					t.Errorf("%q: %v, which is %v", data, err, kind)
				}
				continue
			}
			if _, err := json.Marshal(p); err != nil {
				t.Errorf("%q: %v", data, err)
			}
		}
	})
}
