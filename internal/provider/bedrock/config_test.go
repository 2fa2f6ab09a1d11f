package bedrock_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
)

// isolate hides the machine's own AWS configuration. The test cannot be
// parallel then.
func isolate(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// request opens a model from the environment and returns what it sends.
func request(t *testing.T, model, query string) (r *http.Request, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, got *http.Request) { r = got }))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.URL)
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bedrock.Open(model, values)
	if err != nil {
		return nil, err
	}
	err = generate(t.Context(), p, ask("hi")).Err
	return r, err
}

func TestOpen(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
	t.Setenv("AWS_DEFAULT_REGION", "eu-west-1")
	arn := "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v2:1"
	cases := []struct{ model, query, path, region string }{
		{"anthropic.claude-v2:1", "", "/model/anthropic.claude-v2:1/converse-stream", "eu-west-1"},
		{"anthropic.claude-v2:1", "api=converse&region=us-east-2", "/model/anthropic.claude-v2:1/converse-stream", "us-east-2"},
		{"anthropic.claude-v2:1", "api=invoke", "/model/anthropic.claude-v2:1/invoke-with-response-stream", "eu-west-1"},
		{"my-model", "api=invoke&family=llama", "/model/my-model/invoke-with-response-stream", "eu-west-1"},
		{arn, "", "/model/" + arn + "/converse-stream", "us-west-2"},
		{arn, "region=us-east-1", "/model/" + arn + "/converse-stream", "us-east-1"},
	}
	for _, c := range cases {
		r, err := request(t, c.model, c.query)
		if r == nil {
			t.Errorf("%s?%s: %v", c.model, c.query, err)
			continue
		}
		if auth := r.Header.Get("Authorization"); r.URL.Path != c.path || !strings.Contains(auth, "/"+c.region+"/bedrock/") {
			t.Errorf("%s?%s: %s %s", c.model, c.query, r.URL.Path, auth)
		}
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	if r, err := request(t, "m", ""); r == nil || !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/") {
		t.Errorf("AWS_REGION does not count: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	isolate(t)
	cases := []struct{ model, query, says string }{
		{"m", "", "region"},
		{"", "region=us-east-1", "name a model"},
		{"m", "region=us-east-1&api=invoke", "family="},
		{"m", "region=us-east-1&api=other", "converse or invoke"},
		{"m", "region=us-east-1&family=llama", "api=invoke"},
		{"m", "region=us-east-1&api=invoke&family=x", "claude-text"},
		{"m", "regin=us-east-1", "api, endpoint, family, prefill, region"},
		{"m", "region=%2F%2F", "region"},
		{"m", "region=us-east-1&endpoint=nowhere", "endpoint"},
	}
	for _, c := range cases {
		values, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bedrock.Open(c.model, values); runnel.KindOf(err) != runnel.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s?%s: %v, want an Invalid error about %q", c.model, c.query, err, c.says)
		}
	}
}

func TestAPIKey(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "key")
	r, err := request(t, "m", "region=us-east-1")
	if r == nil || r.Header.Get("Authorization") != "Bearer key" {
		t.Errorf("the API key was not used: %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	isolate(t)
	r, err := request(t, "m", "region=us-east-1")
	if r != nil || runnel.KindOf(err) != runnel.Denied {
		t.Errorf("got %v, want Denied", err)
	}
	if e, _ := errors.AsType[*runnel.Error](err); e == nil || e.Err == nil {
		t.Errorf("the log is not told why: %v", err)
	}
}
