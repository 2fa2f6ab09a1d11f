package bedrock_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	provider "github.com/runnelhq/runnel/internal/provider/bedrock"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

// conversation has everything in it that a request can have.
func conversation() *bedrockruntime.ConverseInput {
	block := func(b types.ContentBlock) []types.ContentBlock { return []types.ContentBlock{b} }
	return &bedrockruntime.ConverseInput{
		ModelId: aws.String("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1"),
		System:  []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "Be brief."}},
		Messages: []types.Message{
			{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
				&types.ContentBlockMemberText{Value: "What is this?"},
				&types.ContentBlockMemberImage{Value: types.ImageBlock{Format: types.ImageFormatPng, Source: &types.ImageSourceMemberBytes{Value: []byte("pixels")}}},
			}},
			{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{
				&types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{Value: types.ReasoningTextBlock{
					Text: aws.String("hm"), Signature: aws.String("c2ln"),
				}}},
				&types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberRedactedContent{Value: []byte("hid")}},
				&types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{Value: types.ReasoningTextBlock{Text: aws.String("unsigned")}}},
				&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{
					ToolUseId: aws.String("t1"), Name: aws.String("look"), Input: document.NewLazyDocument(map[string]any{"x": 1}),
				}},
			}},
			{Role: types.ConversationRoleUser, Content: block(&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
				ToolUseId: aws.String("t1"), Status: types.ToolResultStatusError,
				Content: []types.ToolResultContentBlock{
					&types.ToolResultContentBlockMemberText{Value: "dark"},
					&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(map[string]any{"a": true})},
				},
			}})},
		},
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(7), Temperature: aws.Float32(0.5), StopSequences: []string{"END"}},
		ToolConfig: &types.ToolConfiguration{
			Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
				Name: aws.String("look"), Description: aws.String("Looks."),
				InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})},
			}}},
			ToolChoice: &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String("look")}},
		},
		AdditionalModelRequestFields: document.NewLazyDocument(map[string]any{"thinking": map[string]any{"type": "enabled"}}),
		RequestMetadata:              map[string]string{"session": "mine"},
	}
}

// TestSDK: Amazon's client is understood, and understands.
func TestSDK(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	client := r.sdk(t)
	r.says(all()...)
	out, err := client.Converse(t.Context(), conversation())
	if err != nil {
		t.Fatal(err)
	}
	asked := <-r.asked
	half := 0.5
	want := runnel.Prompt{
		Session: "mine", Model: "test", System: "Be brief.", MaxTokens: 7, Temperature: &half, Stop: []string{"END"},
		Messages: []runnel.Message{
			{Role: runnel.User, Parts: []runnel.Part{{Text: "What is this?"}, {Image: &runnel.Image{MediaType: "image/png", Data: []byte("pixels")}}}},
			{Role: runnel.Assistant, Parts: []runnel.Part{
				{Reasoning: &runnel.Reasoning{Text: "hm", Seal: runnel.Seal{Signature: "c2ln"}}}, {Reasoning: &runnel.Reasoning{Seal: runnel.Seal{Redacted: "aGlk"}}},
				{ToolCall: &runnel.ToolCall{ID: "t1", Name: "look", Input: json.RawMessage(`{"x":1}`)}},
			}},
			{Role: runnel.User, Parts: []runnel.Part{{ToolResult: &runnel.ToolResult{ID: "t1", Content: "dark\n{\"a\":true}", Failed: true}}}},
		},
		Tools:      []runnel.Tool{{Name: "look", Description: "Looks.", Schema: json.RawMessage(`{"type":"object"}`)}},
		ToolChoice: runnel.ToolChoice{Mode: "tool", Name: "look"}, Metadata: map[string]string{"session": "mine"},
		Extra: json.RawMessage(`{"thinking":{"type":"enabled"}}`),
	}
	asked.Generation, asked.AcceptedAt, asked.Cursor = "", want.AcceptedAt, want.Cursor
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("the model was asked (-want +got):\n%s", diff)
	}
	m := out.Output.(*types.ConverseOutputMemberMessage).Value
	if len(m.Content) != 5 || m.Content[2].(*types.ContentBlockMemberText).Value != "Hello \"wörld\"" ||
		*m.Content[0].(*types.ContentBlockMemberReasoningContent).Value.(*types.ReasoningContentBlockMemberReasoningText).Value.Signature != "c2ln" ||
		string(m.Content[1].(*types.ContentBlockMemberReasoningContent).Value.(*types.ReasoningContentBlockMemberRedactedContent).Value) != "hid" ||
		*m.Content[3].(*types.ContentBlockMemberToolUse).Value.Name != "add" || out.StopReason != types.StopReasonToolUse || *out.Usage.TotalTokens != 8 {
		t.Errorf("got %+v, %s, %+v", m, out.StopReason, out.Usage)
	}

	in := conversation()
	r.says(all()...)
	stream, err := client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: in.ModelId, Messages: in.Messages})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for ev := range stream.GetStream().Events() {
		got = append(got, word(ev))
	}
	if err := stream.GetStream().Err(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{
		"start", "reasoning hm", "signature c2ln", "stop", "redacted hid", "stop", `text Hello "wörld"`, "stop", "tool add", `input {"a":1}`, "stop", "tool now", "stop", "end tool_use", "usage 8",
	}, got); diff != "" {
		t.Errorf("the stream (-want +got):\n%s", diff)
	}
}

// word says in short what an event says.
func word(ev types.ConverseStreamOutput) string {
	switch ev := ev.(type) {
	case *types.ConverseStreamOutputMemberMessageStart:
		return "start"
	case *types.ConverseStreamOutputMemberContentBlockStart:
		return "tool " + *ev.Value.Start.(*types.ContentBlockStartMemberToolUse).Value.Name
	case *types.ConverseStreamOutputMemberContentBlockDelta:
		switch d := ev.Value.Delta.(type) {
		case *types.ContentBlockDeltaMemberText:
			return "text " + d.Value
		case *types.ContentBlockDeltaMemberReasoningContent:
			switch r := d.Value.(type) {
			case *types.ReasoningContentBlockDeltaMemberText:
				return "reasoning " + r.Value
			case *types.ReasoningContentBlockDeltaMemberSignature:
				return "signature " + r.Value
			case *types.ReasoningContentBlockDeltaMemberRedactedContent:
				return "redacted " + string(r.Value)
			}
		case *types.ContentBlockDeltaMemberToolUse:
			return "input " + *d.Value.Input
		}
	case *types.ConverseStreamOutputMemberContentBlockStop:
		return "stop"
	case *types.ConverseStreamOutputMemberMessageStop:
		return "end " + string(ev.Value.StopReason)
	case *types.ConverseStreamOutputMemberMetadata:
		return "usage " + string(rune('0'+*ev.Value.Usage.TotalTokens))
	}
	return "unknown"
}

// Amazon's client knows the exceptions for what they are.
func TestSDKExceptions(t *testing.T) {
	t.Parallel()
	r := start(t, bedrock.Config{})
	client := r.sdk(t)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String("test"), Messages: []types.Message{{
		Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hi"}},
	}}}
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "slow down")}
	_, err := client.ConverseStream(t.Context(), in)
	if _, ok := errors.AsType[*types.ThrottlingException](err); !ok {
		t.Errorf("as a status: got %v", err)
	}
	r.says(text("half"))
	out, err := client.ConverseStream(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "slow down")}
	for range out.GetStream().Events() {
	}
	if e, ok := errors.AsType[*types.ThrottlingException](out.GetStream().Err()); !ok || e.ErrorMessage() != "slow down" {
		t.Errorf("in the stream: got %v", out.GetStream().Err())
	}
}

// TestProvider: our own decoders read what the door writes, in every form.
func TestProvider(t *testing.T) {
	t.Parallel()
	for _, f := range append(families[:len(families):len(families)], struct{ name, id, body string }{"converse", "test", ""}) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, bedrock.Config{})
			p, err := provider.New(provider.Config{
				Model: f.id, Invoke: f.body != "", Endpoint: r.url,
				AWS: aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")},
			})
			if err != nil {
				t.Fatal(err)
			}
			said, end := ask(t, p, r, text("Hello "), text("wörld\n"), ends(runnel.MaxTokens))
			if said != "Hello wörld\n" || end.StopReason != runnel.MaxTokens || end.Usage == nil || end.Usage.InputTokens != 3 || end.Usage.OutputTokens != 5 {
				t.Errorf("got %q, %+v, %+v", said, end, end.Usage)
			}
			asked := <-r.asked
			if f.name == "mistral" { // whose template has no place for it but the first question
				asked.System, _, _ = strings.Cut(asked.Messages[0].Text(), "\n")
			}
			if asked.System != "Be brief." || len(asked.Messages) != 3 || asked.Text() != "And now?" || asked.Messages[1].Text() != "Yes." {
				t.Errorf("the model was asked %+v", asked)
			}
		})
	}
}

// ask has a provider ask r's model, which says the deltas.
func ask(t testing.TB, p runnel.Provider, r *rig, deltas ...runnel.Delta) (said string, end *runnel.End) {
	t.Helper()
	r.says(deltas...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for d, err := range p.Generate(ctx, runnel.Prompt{System: "Be brief.", Messages: []runnel.Message{
		runnel.TextMessage(runnel.User, "Is it?"), runnel.TextMessage(runnel.Assistant, "Yes."), runnel.TextMessage(runnel.User, "And now?"),
	}}) {
		if err != nil {
			t.Fatal(err)
		}
		said += d.Text
		if d.End != nil {
			end = d.End
		}
	}
	return said, end
}
