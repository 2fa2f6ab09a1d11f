package modelserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// TestPrefill has each protocol go on with the beginning of an answer, or refuse
// to, as its vendor does.
func TestPrefill(t *testing.T) {
	t.Parallel()
	const refused = "refused"
	text := modelserver.Text("why?", 20)
	cut := strings.Index(text, " ") + 3 // inside a token
	head, tail := text[:cut], text[cut:]
	messages := fmt.Sprintf(`"messages":[{"role":"user","content":"why?"},{"role":"assistant","content":%s}`, quote(head)) // open
	parts := fmt.Sprintf(`"messages":[{"role":"user","content":[{"text":"why?"}]},{"role":"assistant","content":[{"text":%s}]}]`, quote(head))
	spaced := strings.Replace(messages, quote(head), quote(head+" \n"), 1)
	for name, tt := range map[string]struct {
		path, body string
		want       string // of the answer
	}{
		"anthropic":          {"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":99,` + messages + `]}`, tail},
		"anthropic, newer":   {"/v1/messages", `{"model":"claude-opus-4-6","max_tokens":99,` + messages + `]}`, refused},
		"anthropic, spaced":  {"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":99,` + spaced + `]}`, refused},
		"openai":             {"/v1/chat/completions", `{` + messages + `]}`, text},
		"openai, prefix":     {"/v1/chat/completions", `{` + strings.Replace(messages, `"assistant",`, `"assistant","prefix":true,`, 1) + `]}`, tail},
		"vllm":               {"/v1/chat/completions", `{"continue_final_message":true,"add_generation_prompt":false,` + messages + `]}`, tail},
		"vllm, half":         {"/v1/chat/completions", `{"continue_final_message":true,` + messages + `]}`, refused},
		"ollama":             {"/api/chat", `{"stream":false,` + messages + `]}`, tail},
		"converse, claude":   {"/model/anthropic.claude-3-haiku/converse", `{` + parts + `}`, tail},
		"converse, newer":    {"/model/us.anthropic.claude-opus-4-6-v1/converse", `{` + parts + `}`, refused},
		"converse, nova":     {"/model/amazon.nova-lite-v1:0/converse", `{` + parts + `}`, tail},
		"converse, llama":    {"/model/meta.llama3-8b-instruct-v1:0/converse", `{` + parts + `}`, refused},
		"invoke, claude":     {"/model/anthropic.claude-3-haiku/invoke", `{"anthropic_version":"x","max_tokens":99,` + parts + `}`, tail},
		"invoke, llama":      {"/model/m/invoke", `{"max_gen_len":99,"prompt":` + quote("<|start_header_id|>user<|end_header_id|>\n\nwhy?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"+head) + `}`, tail},
		"invoke, mistral":    {"/model/m/invoke", `{"max_tokens":99,"prompt":` + quote("<s>[INST] why? [/INST] "+head) + `}`, tail},
		"invoke, old claude": {"/model/m/invoke", `{"max_tokens_to_sample":99,"prompt":` + quote("\n\nHuman: why?\n\nAssistant: "+head) + `}`, tail},
		"another beginning":  {"/api/chat", `{"stream":false,"messages":[{"role":"user","content":"why?"},{"role":"assistant","content":"No"}]}`, text},
		"all of it":          {"/api/chat", `{"stream":false,"messages":[{"role":"user","content":"why?"},{"role":"assistant","content":` + quote(text) + `}]}`, ""},
		"fewer tokens":       {"/api/chat", `{"stream":false,"options":{"num_predict":1},` + messages + `]}`, tail[:strings.Index(tail, " ")]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := modelserver.New(modelserver.Options{Tokens: 20})
			w := post(s, tt.path, tt.body)
			if (w.Code == http.StatusBadRequest) != (tt.want == refused) {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			want := strings.ReplaceAll(quote(tt.want), `\u0026`, "&")
			if name == "all of it" {
				want = `"content":""`
			}
			if tt.want != refused && !strings.Contains(w.Body.String(), want) {
				t.Errorf("got %s, want the text %s", w.Body, want)
			}
			if n := s.Stats().Continued; (n == 1) != (tt.want != refused && name != "openai") {
				t.Errorf("%d requests were counted that gave a beginning", n)
			}
		})
	}
}
