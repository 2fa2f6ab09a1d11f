package prefill_test

import (
	"testing"

	"github.com/runnelhq/runnel/internal/provider/prefill"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		provider, model string
		want            bool
	}{
		{"anthropic", "claude-2.1", true},
		{"anthropic", "claude-3-opus-20240229", true},
		{"anthropic", "claude-3-7-sonnet-latest", true},
		{"anthropic", "claude-sonnet-4-20250514", true},
		{"anthropic", "claude-opus-4-0", true},
		{"anthropic", "claude-opus-4-1-20250805", true},
		{"anthropic", "claude-sonnet-4-5", true},
		{"anthropic", "claude-haiku-4-5-20251001", true},
		{"anthropic", "claude-opus-4-5-20251101", true},
		{"anthropic", "claude-opus-4-6", false},
		{"anthropic", "claude-sonnet-4-6-20260217", false},
		{"anthropic", "claude-opus-4-10", false},
		{"anthropic", "claude-sonnet-5", false},
		{"anthropic", "claude-fable-5", false},
		{"anthropic", "somebody-elses", false},
		{"bedrock", "anthropic.claude-v2:1", true},
		{"bedrock", "anthropic.claude-instant-v1", true},
		{"bedrock", "anthropic.claude-3-sonnet-20240229-v1:0", true},
		{"bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0", true},
		{"bedrock", "global.anthropic.claude-opus-4-6-v1", false},
		{"bedrock", "us.amazon.nova-pro-v1:0", true},
		{"bedrock", "us.amazon.nova-2-lite-v1:0", false},
		{"bedrock", "meta.llama3-8b-instruct-v1:0", false},
		{"ollama", "llama3.2", true},
		{"openai", "gpt-5-mini", false},
		{"function", "claude-3-handler", false},
	} {
		if got := prefill.Known(tt.provider, tt.model); got != tt.want {
			t.Errorf("%s/%s: got %v, want %v", tt.provider, tt.model, got, tt.want)
		}
	}
}
