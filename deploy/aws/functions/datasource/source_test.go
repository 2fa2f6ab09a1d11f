package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/awsfn"
)

// The events of direct resolvers and of those that the published designs have, and
// what becomes of them.
func TestEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, event, message, field, answer, fails string }{
		{
			"a direct resolver",
			`{"arguments":{"input":{"sessionId":"s","message":"Hi","locale":"fr_CA"}},"identity":null,"source":null,"request":{"headers":{"x-api-key":"k"},"domainName":null},` +
				`"prev":null,"info":{"fieldName":"getLlmResponse","parentTypeName":"Query","variables":{},"selectionSetList":["sessionId"]},"stash":{}}`,
			"Hi", "getLlmResponse", `{"locale":"fr_CA","messages":[{"content":"success","contentType":"PlainText"}],"sessionId":"s"}`, "",
		},
		{
			"a resolver with code",
			`{"fieldName":"getLlmResponse","parentTypeName":"Query","variables":{"message":"x"},"arguments":{"input":{"sessionId":"s","message":"Hi","locale":"l"}},"source":{}}`,
			"Hi", "getLlmResponse", `{"locale":"l","messages":[{"content":"success","contentType":"PlainText"}],"sessionId":"s"}`, "",
		},
		{"arguments as variables", `{"variables":{"prompt":"Hi"},"fieldName":"ModelSet"}`, "Hi", "ModelSet", `true`, ""},
		{"no prompt", `{"arguments":{"prompt":" "},"info":{"fieldName":"startStream"}}`, "", "", "", "the prompt is empty"},
		{"no input", `{"arguments":{},"info":{"fieldName":"getLlmResponse"}}`, "", "", "", "input is missing"},
		{"another field", `{"arguments":{"prompt":"Hi"},"info":{"fieldName":"sendMessage"}}`, "", "", "", `by the field "sendMessage"`},
		{"a book", `{"arguments":{"prompt":"` + strings.Repeat("x", maxPrompt+1) + `"},"info":{"fieldName":"startStream"}}`, "", "", "", "the limit is 122880"},
		{"a queue that fails", `{"arguments":{"prompt":"fail"},"info":{"fieldName":"ModelSet"}}`, "", "", "", "queue the prompt: no queue"},
	} {
		var ev event
		if err := json.Unmarshal([]byte(tt.event), &ev); err != nil {
			t.Fatal(err)
		}
		var job awsfn.Job
		s := &source{func(_ context.Context, text string) error {
			if strings.Contains(text, `"message":"fail"`) {
				return errors.New("no queue")
			}
			return json.Unmarshal([]byte(text), &job)
		}}
		answer, err := s.handle(t.Context(), ev)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) || job.Field != "" {
				t.Errorf("%s: got %v, and the job %+v", tt.name, err, job)
			}
			continue
		}
		text, _ := json.Marshal(answer) // plain values always encode
		if err != nil || string(text) != tt.answer || job.Message != tt.message || job.Field != tt.field {
			t.Errorf("%s: got %s, %v, and the job %+v", tt.name, text, err, job)
		}
	}
}
