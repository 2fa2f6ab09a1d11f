package bedrock_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/modelserver"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
)

// updating reports whether golden files are to be rewritten, for which
// providertest has the flag.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// modelIDs has a model of each family.
var modelIDs = map[string]string{
	"claude":      "anthropic.claude-3-sonnet-20240229-v1:0",
	"claude-text": "anthropic.claude-instant-v1",
	"nova":        "us.amazon.nova-lite-v1:0",
	"titan":       "amazon.titan-text-express-v1",
	"llama":       "arn:aws:bedrock:us-east-1:1234:inference-profile/us.meta.llama3-1-8b-instruct-v1:0",
	"mistral":     "mistral.mistral-7b-instruct-v0:2",
	"command":     "cohere.command-text-v14",
	"command-r":   "cohere.command-r-plus-v1:0",
	"chat":        "openai.gpt-oss-20b-1:0",
}

// awsConfig returns a configuration that has all a signature needs.
func awsConfig(client aws.HTTPClient) aws.Config {
	return aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		HTTPClient:  client,
	}
}

// open returns a model on a server; with family "" over Converse.
func open(t testing.TB, endpoint, family string, client aws.HTTPClient) *bedrock.Provider {
	t.Helper()
	cfg := bedrock.Config{Model: modelIDs["claude"], Endpoint: endpoint, AWS: awsConfig(client)}
	if family != "" {
		cfg.Model, cfg.Invoke = modelIDs[family], true
	}
	p, err := bedrock.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve starts a model server.
func serve(t testing.TB, o modelserver.Options) (s *modelserver.Server, endpoint string, client *http.Client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = modelserver.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("model server: %v", err)
		}
	})
	return s, "http://" + ln.Addr().String(), client
}

// canned answers every request with one body, and keeps the request.
type canned struct {
	body    []byte
	request *http.Request
	sent    []byte
}

func (c *canned) Do(r *http.Request) (*http.Response, error) {
	c.request = r
	c.sent, _ = io.ReadAll(r.Body)
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {eventstream.ContentType}},
		Body:       io.NopCloser(bytes.NewReader(c.body)),
	}, nil
}

// result is all that a model said.
type result struct {
	Text, Reasoning string
	Seals           []runnel.Seal
	Tools           []runnel.ToolDelta
	Deltas          int
	Begun           *runnel.Usage // what was known before the end
	End             *runnel.End
	Err             error
}

func generate(ctx context.Context, p runnel.Provider, prompt runnel.Prompt) (r result) {
	for d, err := range p.Generate(ctx, prompt) {
		if err != nil {
			r.Err = err
			continue
		}
		if d.Usage != nil {
			r.Begun = d.Usage
			continue
		}
		r.Deltas++
		r.Text += d.Text
		r.Reasoning += d.Reasoning
		if d.Seal != nil {
			r.Seals = append(r.Seals, *d.Seal)
		}
		if d.Tool != nil {
			r.Tools = append(r.Tools, *d.Tool)
		}
		if d.End != nil {
			r.End = d.End
		}
	}
	return r
}

func ask(text string) runnel.Prompt {
	return runnel.Prompt{Messages: []runnel.Message{runnel.TextMessage(runnel.User, text)}}
}

// checkError holds an error to a kind and to being fit for clients.
func checkError(t *testing.T, err error, want runnel.Kind) {
	t.Helper()
	e, ok := errors.AsType[*runnel.Error](err)
	if !ok || e.Kind != want || e.Msg == "" {
		t.Errorf("got %v, want an error of kind %v with a text for clients", err, want)
	} else if strings.Contains(e.Msg, "fault") {
		t.Errorf("the text for clients quotes the server: %q", e.Msg)
	}
}
