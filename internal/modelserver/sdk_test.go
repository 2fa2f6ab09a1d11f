package modelserver_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// TestAWSSDK has Amazon's own client read what is meant for it.
func TestAWSSDK(t *testing.T) {
	t.Parallel()
	_, url, web := serve(t, modelserver.Options{Tokens: 20})
	client := bedrockruntime.New(bedrockruntime.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: web, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
	})
	converse := func(text string) (*bedrockruntime.ConverseStreamOutput, error) {
		return client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{
			ModelId: aws.String("arn:aws:bedrock:us-east-1::foundation-model/m:0"),
			Messages: []types.Message{{
				Role:    types.ConversationRoleUser,
				Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}},
			}},
		})
	}

	t.Run("converse", func(t *testing.T) {
		out, err := converse("hi")
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var stop types.StopReason
		var tokens int32
		for ev := range out.GetStream().Events() {
			switch ev := ev.(type) {
			case *types.ConverseStreamOutputMemberContentBlockDelta:
				text.WriteString(ev.Value.Delta.(*types.ContentBlockDeltaMemberText).Value)
			case *types.ConverseStreamOutputMemberMessageStop:
				stop = ev.Value.StopReason
			case *types.ConverseStreamOutputMemberMetadata:
				tokens = *ev.Value.Usage.OutputTokens
			}
		}
		if err := out.GetStream().Close(); err != nil {
			t.Error(err)
		}
		if text.String() != modelserver.Text("hi", 20) || stop != types.StopReasonEndTurn || tokens != 20 {
			t.Errorf("got %q, %s, %d tokens", text.String(), stop, tokens)
		}
	})

	t.Run("invoke", func(t *testing.T) {
		out, err := client.InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: aws.String("m"), Body: []byte(`{"prompt":"hi","max_gen_len":100}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for ev := range out.GetStream().Events() {
			var chunk struct{ Generation string }
			if err := json.Unmarshal(ev.(*types.ResponseStreamMemberChunk).Value.Bytes, &chunk); err != nil {
				t.Fatal(err)
			}
			text.WriteString(chunk.Generation)
		}
		if err := out.GetStream().Close(); err != nil || text.String() != modelserver.Text("hi", 20) {
			t.Errorf("got %q: %v", text.String(), err)
		}
	})

	t.Run("refusal", func(t *testing.T) {
		_, err := converse("[[fault:status=429]]")
		if _, ok := errors.AsType[*types.ThrottlingException](err); !ok {
			t.Errorf("got %v", err)
		}
	})

	t.Run("exception", func(t *testing.T) {
		out, err := converse("[[fault:error-after=1 error=serviceUnavailableException]]")
		if err != nil {
			t.Fatal(err)
		}
		for range out.GetStream().Events() {
		}
		if _, ok := errors.AsType[*types.ServiceUnavailableException](out.GetStream().Close()); !ok {
			t.Errorf("got %v", out.GetStream().Err())
		}
	})
}
