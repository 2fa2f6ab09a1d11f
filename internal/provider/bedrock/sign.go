package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/runnelhq/runnel"
)

const signingName = "bedrock" // not bedrock-runtime, as the host has it

// An authorizer proves to Bedrock who asks: with an API key if there is one,
// otherwise with a signature.
type authorizer struct {
	bearer      bearer.TokenProvider // nil: sign
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	region      string
}

// newAuthorizer chooses as the SDK's own client would.
func newAuthorizer(o bedrockruntime.Options) *authorizer {
	a := &authorizer{credentials: o.Credentials, signer: v4.NewSigner(), region: o.Region}
	if slices.Contains(o.AuthSchemePreference, "httpBearerAuth") {
		a.bearer = o.BearerAuthTokenProvider
	}
	return a
}

// authorize adds the proof to a request with the given body. It returns the key
// if that goes along, so that it can be kept out of the log.
func (a *authorizer) authorize(ctx context.Context, req *http.Request, body []byte) (key string, err error) {
	if a.bearer != nil {
		token, err := a.bearer.RetrieveBearerToken(ctx)
		if err != nil {
			return "", noCredentials(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.Value)
		return token.Value, nil
	}
	if a.credentials == nil {
		return "", noCredentials(nil)
	}
	credentials, err := a.credentials.Retrieve(ctx)
	if err != nil {
		return "", noCredentials(err)
	}
	sum := sha256.Sum256(body)
	err = a.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), signingName, a.region, time.Now())
	if err != nil {
		return "", fmt.Errorf("sign request: %w", err)
	}
	return "", nil
}

func noCredentials(err error) error {
	return runnel.Errorf(runnel.Denied, "there are no credentials for Bedrock").Because(err)
}

// endpoint returns the URL of an operation on a model, in which the colons and
// slashes of the model's id are escaped as the SDKs do it.
func endpoint(ctx context.Context, o bedrockruntime.Options, model, operation string) (*url.URL, error) {
	base, err := o.EndpointResolverV2.ResolveEndpoint(ctx, bedrockruntime.EndpointParameters{
		Region:       &o.Region,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		Endpoint:     o.BaseEndpoint,
	})
	if err != nil || base.URI.Host == "" || !strings.HasPrefix(base.URI.Scheme, "http") || !isRegion(o.Region) {
		return nil, runnel.Errorf(runnel.Invalid, "bedrock: the region %.40q or the endpoint makes no address", o.Region).Because(err)
	}
	u := base.URI
	u.RawPath = strings.TrimRight(u.EscapedPath(), "/") + "/model/" + httpbinding.EscapePath(model, true) + "/" + operation
	u.Path = strings.TrimRight(u.Path, "/") + "/model/" + model + "/" + operation
	return &u, nil
}

// isRegion reports whether s can be a region's name. The resolver would make a
// host of anything.
func isRegion(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
