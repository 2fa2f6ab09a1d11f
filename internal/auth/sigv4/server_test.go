package sigv4_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server that answers with the access key, or with the refusal
// in the way of AWS.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	v, err := sigv4.New(sigv4.Config{Keys: []sigv4.Key{exampleKey()}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := v.Verify(sigv4.FromHTTP(r, func() ([]byte, error) { return io.ReadAll(r.Body) }), "")
		if err != nil {
			w.Header().Set("X-Amzn-ErrorType", err.Error())
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"by":"`+id.AccessKey+`","over":"`+r.Proto+`"}`)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// TestProtocols checks that servers leave every signed header in its place.
func TestProtocols(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
			transport.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
			defer transport.CloseIdleConnections()

			r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/dev/@connections/AbC%3D%2F?q=a+b&q=%C3%A9", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
			creds := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hashOf("body"), "dynamodb", "eu-west-1", time.Now()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.Header.Get("Authorization"), "content-length") {
				t.Error("the signer does not sign content-length any more")
			}
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if want := `{"by":"AKIDEXAMPLE","over":"` + proto + `"}`; err != nil || string(got) != want {
				t.Errorf("got %d %s (%s) %v, want %s", resp.StatusCode, got, resp.Header.Get("X-Amzn-ErrorType"), err, want)
			}
		})
	}
}

// TestBedrockClient lets a service's own client sign.
func TestBedrockClient(t *testing.T) {
	t.Parallel()
	server := serve(t)
	client := bedrockruntime.New(bedrockruntime.Options{
		BaseEndpoint: &server.URL, Region: "us-west-2", HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secret, "a/token=="),
	})
	out, err := client.InvokeModel(context.Background(), &bedrockruntime.InvokeModelInput{
		ModelId: aws.String("arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v2:1"), Body: []byte(`{"a":1}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out.Body), `{"by":"AKIDEXAMPLE","over":"HTTP/1.1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
