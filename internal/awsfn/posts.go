package awsfn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Posts sends messages to the clients of a WebSocket API.
type Posts struct {
	caller   Caller
	endpoint string // instead of an API's own
}

// NewPosts returns the posts of whoever cfg stands for. The endpoint is that which
// AWS's SDKs would take from the environment.
func NewPosts(cfg aws.Config) *Posts {
	p := &Posts{caller: Caller{Config: cfg, Service: "execute-api", HTTP: http.DefaultClient}}
	for _, name := range []string{"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL"} {
		if p.endpoint == "" {
			p.endpoint = os.Getenv(name)
		}
	}
	return p
}

// Send sends a message to a connection of the API at the endpoint, unless the
// environment names another. See [Gone].
func (p *Posts) Send(ctx context.Context, endpoint, connection string, message []byte) error {
	if p.endpoint != "" {
		endpoint = p.endpoint
	}
	// url.PathEscape leaves = alone; the signature's form of a path does not.
	id := strings.ReplaceAll(url.PathEscape(connection), "=", "%3D")
	return p.caller.Post(ctx, strings.TrimSuffix(endpoint, "/")+"/@connections/"+id, "application/octet-stream", "", message, nil)
}

// Gone reports whether an error means that a client has left.
func Gone(err error) bool {
	r, ok := errors.AsType[*Refusal](err)
	return ok && r.Status == http.StatusGone
}
