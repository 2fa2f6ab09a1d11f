package app_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth/bearer"

	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/config"
)

// Amazon's client for Go, over the wire to a whole node: with signatures, and with
// a key as bearer, for which it insists on TLS.
func TestBedrock(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-that-is-long-enough"
	cfg := settings(t, "echo?ttft=0s&tps=0&tokens=5")
	cfg.DevTLS = true
	cfg.BedrockModels = []config.ModelID{{ID: "anthropic.claude*", Model: "echo"}}
	key := keyed(t, &cfg, auth.Key{Name: "ada"})
	cfg.IAM = sigv4.Config{Keys: []sigv4.Key{
		{AccessKey: "AKIDALL", Secret: secret, Actions: []string{"bedrock:*"}},
		{AccessKey: "AKIDWHOLE", Secret: secret, Actions: []string{"bedrock:InvokeModel"}},
		{AccessKey: "AKIDLAMBDA", Secret: secret, Actions: []string{"lambda:*"}},
	}}
	node, _ := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	web := trusting(t, node)
	client := func(accessKey string) *bedrockruntime.Client {
		o := bedrockruntime.Options{
			Region: "us-east-1", BaseEndpoint: aws.String("https://" + node.Addr().String()), HTTPClient: web, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		}
		if accessKey == "" {
			o.Credentials = nil
			o.BearerAuthTokenProvider = bearer.StaticTokenProvider{Token: bearer.Token{Value: key}}
			o.AuthSchemePreference = []string{"httpBearerAuth"}
		}
		return bedrockruntime.New(o)
	}
	for _, tt := range []struct{ accessKey, whole, stream string }{
		{"AKIDALL", "", ""},
		{"", "", ""},
		{"AKIDWHOLE", "", "AccessDeniedException"},
		{"AKIDLAMBDA", "AccessDeniedException", "AccessDeniedException"},
		{"AKIDNOBODY", "UnrecognizedClientException", "UnrecognizedClientException"},
	} {
		c := client(tt.accessKey)
		if got := codeOf(converse(t, c)); got != tt.whole {
			t.Errorf("%q, Converse: got %q, want %q", tt.accessKey, got, tt.whole)
		}
		if got := codeOf(converseStream(t, c)); got != tt.stream {
			t.Errorf("%q, ConverseStream: got %q, want %q", tt.accessKey, got, tt.stream)
		}
	}
}

// trusting returns a client that trusts a node's certificate.
func trusting(t *testing.T, node *app.App) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool(t, node.Authority())}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func question() []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hello"}}}}
}

var claude = aws.String("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1")

func converse(t *testing.T, c *bedrockruntime.Client) error {
	t.Helper()
	out, err := c.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: claude, Messages: question()})
	if err == nil && len(out.Output.(*types.ConverseOutputMemberMessage).Value.Content) != 1 {
		t.Errorf("got %+v", out.Output)
	}
	return err
}

func converseStream(t *testing.T, c *bedrockruntime.Client) error {
	t.Helper()
	out, err := c.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: claude, Messages: question()})
	if err != nil {
		return err
	}
	stream := out.GetStream()
	var last types.ConverseStreamOutput
	for ev := range stream.Events() {
		last = ev
	}
	if _, ok := last.(*types.ConverseStreamOutputMemberMetadata); !ok {
		t.Errorf("the last event is %T", last)
	}
	return stream.Err()
}

// A model that nobody has is found before anything starts.
func TestBedrockModelThatNobodyHas(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo")
	cfg.BedrockModels = []config.ModelID{{ID: "a", Model: "echo"}, {ID: "b", Model: "nobody"}}
	if _, err := app.New(cfg, io.Discard); err == nil || !strings.Contains(err.Error(), `bedrock_models[1].model: unknown model "nobody"`) {
		t.Errorf("got %v", err)
	}
}
