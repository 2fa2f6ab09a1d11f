package lambda_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/runnelhq/runnel/internal/function"
)

// sdkClient returns the client of the AWS SDK.
func (g *gateway) sdkClient() *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "eu-west-1", BaseEndpoint: &g.url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		HTTPClient: g.client, RetryMaxAttempts: 1,
	})
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	client := open(t, nil, echo).sdkClient()
	for _, name := range []string{"f", "f:live", "123456789012:function:f", "arn:aws:lambda:eu-west-1:123456789012:function:f", "arn:aws:lambda:eu-west-1:123456789012:function:f:7"} {
		out, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name, Payload: []byte(`{"a":[1]}`)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(out.Payload) != `{"a":[1]}` || out.StatusCode != 200 || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" {
			t.Errorf("%s: got %s, %+v", name, out.Payload, out)
		}
	}
	out, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f")})
	if err != nil || string(out.Payload) != "{}" {
		t.Errorf("without a payload: %v, %v", out, err)
	}
	out, err = client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || out.StatusCode != 204 {
		t.Errorf("dry: %v, %v", out, err)
	}
}

func TestInvokeFailure(t *testing.T) {
	t.Parallel()
	client := open(t, nil, fails).sdkClient()
	out, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f")})
	if err != nil || out.StatusCode != 200 || aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), "no such thing") {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestInvokeEvent(t *testing.T) {
	t.Parallel()
	accepted, ran := make(chan struct{}), make(chan string, 10)
	client := open(t, nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-accepted // by then nobody waits for it
		ran <- string(body)
		fails(w, r)
	}).sdkClient()
	out, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`"x"`)})
	if err != nil || out.StatusCode != 202 || len(out.Payload) > 0 {
		t.Fatalf("got %+v, %v", out, err)
	}
	close(accepted)
	for range 3 {
		if got := <-ran; got != `"x"` {
			t.Errorf("it ran with %s", got)
		}
	}
	_, err = client.Invoke(t.Context(), &sdk.InvokeInput{
		FunctionName: aws.String("f"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`"` + strings.Repeat("x", function.MaxEvent) + `"`),
	})
	if _, ok := errors.AsType[*types.RequestTooLargeException](err); !ok {
		t.Errorf("a large event: %v", err)
	}
}

func TestInvokeRefusals(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	g := open(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) == `"wait"` {
			entered <- struct{}{}
			<-leave
		}
	})
	client := g.sdkClient()
	invoke := func(name, payload string) error {
		_, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name, Payload: []byte(payload)})
		return err
	}
	is := func(what string, err error, code string, status int) {
		t.Helper()
		api, ok := errors.AsType[smithy.APIError](err)
		resp, hasStatus := errors.AsType[interface {
			error
			HTTPStatusCode() int
		}](err)
		if !ok || api.ErrorCode() != code || !hasStatus || resp.HTTPStatusCode() != status {
			t.Errorf("%s: got %v, want %d %s", what, err, status, code)
		}
	}
	is("no such function", invoke("g", "{}"), "ResourceNotFoundException", 404)
	is("no JSON", invoke("f", "{"), "InvalidRequestContentException", 400)
	is("too large", invoke("f", `"`+strings.Repeat("x", function.MaxPayload)+`"`), "RequestTooLargeException", 413)

	var waiting []chan error
	for range 4 {
		done := make(chan error, 1)
		go func() { done <- invoke("f", `"wait"`) }()
		waiting = append(waiting, done)
		<-entered
	}
	is("too many", invoke("f", "{}"), "TooManyRequestsException", 429)
	close(leave)
	for _, done := range waiting {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}

	for _, tt := range []struct{ who, code string }{{"", "MissingAuthenticationTokenException"}, {user, "AccessDeniedException"}} {
		resp, _ := g.ask(t, "POST", "/2015-03-31/functions/f/invocations", "{}", "Authorization", tt.who)
		if resp.StatusCode != 403 || resp.Header.Get("X-Amzn-Errortype") != tt.code {
			t.Errorf("%q: got %s, %s, want %s", tt.who, resp.Status, resp.Header.Get("X-Amzn-Errortype"), tt.code)
		}
	}
	if resp, _ := g.ask(t, "POST", "/2015-03-31/functions/f/invocations", "{}", "Authorization", service); resp.StatusCode != 200 || len(resp.Header.Get("X-Amzn-Requestid")) != 36 {
		t.Errorf("a service: got %s", resp.Status)
	}
}

func TestInvokeStream(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	client := open(t, nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-next // until the first chunk has come out
		if string(body) == `"break"` {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "two\x00")
	}).sdkClient()
	read := func(payload string) (text, code, details string) {
		out, err := client.InvokeWithResponseStream(context.Background(), &sdk.InvokeWithResponseStreamInput{FunctionName: aws.String("f"), Payload: []byte(payload)})
		if err != nil {
			t.Fatal(err)
		}
		stream := out.GetStream()
		defer stream.Close()
		for ev := range stream.Events() {
			switch ev := ev.(type) {
			case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
				if text == "" {
					next <- struct{}{}
				}
				text += string(ev.Value.Payload)
			case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
				return text, aws.ToString(ev.Value.ErrorCode), aws.ToString(ev.Value.ErrorDetails)
			}
		}
		t.Fatalf("the stream ends without InvokeComplete: %v", stream.Err())
		return
	}
	if text, code, _ := read(`"x"`); text != "onetwo\x00" || code != "" {
		t.Errorf("got %q, %s", text, code)
	}
	if text, code, details := read(`"break"`); text != "one" || code != "Runtime.TruncatedResponse" || !strings.Contains(details, "broke off") {
		t.Errorf("got %q, %s, %s", text, code, details)
	}
}

func TestInvokeStreamFailure(t *testing.T) {
	t.Parallel()
	client := open(t, nil, fails).sdkClient()
	out, err := client.InvokeWithResponseStream(t.Context(), &sdk.InvokeWithResponseStreamInput{FunctionName: aws.String("f")})
	if err != nil {
		t.Fatal(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	ev, ok := (<-stream.Events()).(*types.InvokeWithResponseStreamResponseEventMemberInvokeComplete)
	if !ok || aws.ToString(ev.Value.ErrorCode) != "ValueError" {
		t.Errorf("got %+v", ev)
	}
}
