package bedrock

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/settings"
)

// Config describes one model.
type Config struct {
	Model    string // id, inference profile or ARN
	Invoke   bool   // InvokeModelWithResponseStream instead of ConverseStream
	Family   string // with Invoke: the model's family; empty: by its id
	Endpoint string // instead of Amazon's; empty: none
	Prefill  *bool  // the model goes on with an answer's beginning; nil: what is known of it

	// AWS has the credentials, the region and the HTTP client.
	AWS aws.Config
}

// Open returns the model with the given settings, on top of the SDK's own
// configuration. It reads files and the environment, but no network.
func Open(model string, values url.Values) (runnel.Provider, error) {
	cfg := Config{Model: model}
	var region string
	var goesOn bool
	s := settings.Read("bedrock", values)
	s.String("region", &region)
	s.String("endpoint", &cfg.Endpoint)
	s.Bool("prefill", &goesOn)
	s.Func("family", "one of "+familyNames(), func(v string) bool {
		cfg.Family = v
		return families[v] != nil
	})
	s.Func("api", "converse or invoke", func(v string) bool {
		cfg.Invoke = v == "invoke"
		return v == "converse" || v == "invoke"
	})
	if err := s.Done(); err != nil {
		return nil, err
	}
	if values.Has("prefill") {
		cfg.Prefill = &goesOn
	}
	var err error
	cfg.AWS, err = config.LoadDefaultConfig(context.Background(), config.WithHTTPClient(httpClient()))
	if err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "bedrock: the AWS configuration cannot be read").Because(err)
	}
	if cfg.AWS.Region == "" {
		cfg.AWS.Region = os.Getenv("AWS_DEFAULT_REGION") // what Python programs are given
	}
	if of := arnRegion(model); of != "" {
		cfg.AWS.Region = of
	}
	if region != "" {
		cfg.AWS.Region = region
	}
	return New(cfg)
}

// arnRegion returns the region in an ARN; nothing for a plain id.
func arnRegion(model string) string {
	if parts := strings.Split(model, ":"); parts[0] == "arn" && len(parts) > 5 {
		return parts[3]
	}
	return ""
}

// httpClient returns the SDK's client, which knows about AWS_CA_BUNDLE, with
// connections fit for many long answers from one host.
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0           // no limit but the next
		t.MaxIdleConnsPerHost = 1024 // as many as may answer at once
		t.DisableCompression = true  // a compressor would hold tokens back
		// A dead peer must not look like a model that thinks.
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
	})
}
