package function

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
)

const signingName = "lambda"

// remote is a function behind an Invoke API.
type remote struct {
	web
	cfg         Remote
	url         string
	region      string
	credentials aws.CredentialsProvider // nil: unsigned
	signer      *v4.Signer
}

// newRemote reads the SDK's configuration, which takes files and the
// environment, but no network.
func newRemote(c Config) (*remote, error) {
	r := &remote{web: *newWeb(c), cfg: *c.Invoke, signer: v4.NewSigner()}
	var options []func(*awsconfig.LoadOptions) error
	if r.cfg.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(r.cfg.Profile))
	}
	own, err := awsconfig.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "function %s: the AWS configuration cannot be read", c.Name).Because(err)
	}
	if !r.cfg.Unsigned {
		r.credentials = own.Credentials
	}
	r.region = r.cfg.Region
	for _, other := range []string{arnRegion(r.cfg.Function), own.Region, os.Getenv("AWS_DEFAULT_REGION")} {
		if r.region == "" {
			r.region = other
		}
	}
	if r.region == "" {
		return nil, runnel.Errorf(runnel.Invalid, "function %s: there is no region; set AWS_REGION, or invoke.region", c.Name)
	}
	base := r.cfg.Endpoint
	if base == "" {
		base = "https://lambda." + r.region + ".amazonaws.com"
	}
	operation := "/invocations"
	api := "/2015-03-31/functions/"
	if r.cfg.Stream {
		api, operation = "/2021-11-15/functions/", "/response-streaming-invocations"
	}
	r.url = strings.TrimRight(base, "/") + api + url.QueryEscape(r.cfg.Function) + operation
	return r, nil
}

// arnRegion returns the region in an ARN; nothing for a name.
func arnRegion(name string) string {
	if parts := strings.Split(name, ":"); len(parts) > 5 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// call implements [backend].
func (r *remote) call(ctx context.Context, req Request) (*Response, error) {
	resp, err := r.send(ctx, func(ctx context.Context) (*http.Request, error) { return r.request(ctx, req) })
	if err != nil || !r.cfg.Stream {
		return checkEmulator(resp, err)
	}
	if !strings.HasPrefix(resp.ContentType, eventstream.ContentType) {
		_ = resp.Body.Close()
		return nil, runnel.Errorf(runnel.Unavailable, "the function's Invoke API does not stream").Because(fmt.Errorf("content type %.80q", resp.ContentType))
	}
	// What the runtime declared does not come along; a head shows in the bytes.
	body := &eventBody{frames: eventstream.NewReader(resp.Body), body: resp.Body}
	resp.Body, resp.Streamed = body, true
	head, err := body.begin()
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	resp.ContentType = "application/octet-stream"
	if head {
		resp.ContentType = IntegrationType
	}
	return resp, nil
}

func (r *remote) request(ctx context.Context, in Request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(in.Payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if in.ClientContext != "" {
		req.Header.Set("X-Amz-Client-Context", in.ClientContext)
	}
	if r.credentials == nil {
		return req, nil
	}
	credentials, err := r.credentials.Retrieve(ctx)
	if err != nil {
		return nil, runnel.Errorf(runnel.Denied, "there are no credentials for the function").Because(err)
	}
	sum := sha256.Sum256(in.Payload)
	err = r.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), signingName, r.region, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	return req, nil
}

// checkEmulator finds the failures that the runtime interface emulator does not
// call so: it answers 200 with a failure's document, or with a bare sentence.
func checkEmulator(resp *Response, err error) (*Response, error) {
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxPayload+1))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(data, &said) == nil && said["errorType"] != nil && said["errorMessage"] != nil && said["statusCode"] == nil {
		return nil, readFailure(data, "")
	}
	if bytes.HasPrefix(data, []byte("Task timed out after ")) {
		return nil, newFailure(typeTimeout, "%.200s", data)
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

// An eventBody is the payload of InvokeWithResponseStream.
type eventBody struct {
	frames *eventstream.Reader
	body   io.Closer
	rest   []byte // what has come and was not read
	err    error  // after rest
}

// begin waits for the beginning of the answer, and reports whether it is a [Head].
// The error is that of an answer that does not begin.
func (b *eventBody) begin() (head bool, err error) {
	var first []byte
	for {
		b.more()
		first = append(first, b.rest...)
		is, open := looksLikeHead(first)
		if b.rest = first; !open || b.err != nil {
			if len(first) == 0 && !errors.Is(b.err, io.EOF) {
				return false, b.err
			}
			return is, nil
		}
		b.rest = nil
	}
}

// more reads the next piece, or the end.
func (b *eventBody) more() {
	for len(b.rest) == 0 && b.err == nil {
		m, err := b.frames.Read()
		failure, failed := errors.AsType[*Failure](err)
		switch {
		case failed: // out of time
			b.err = failure
		case errors.Is(err, io.EOF): // without InvokeComplete
			b.err = newFailure(typeBroken, "Error: the function broke off its answer")
		case err != nil:
			b.err = runnel.Errorf(runnel.Unavailable, "the function's answer is unreadable").Because(err)
		case string(m.Header(":message-type")) != "event":
			b.err = readFailure(m.Payload, string(m.Header(":exception-type")))
		case string(m.Header(":event-type")) == "PayloadChunk":
			b.rest = m.Payload
		case string(m.Header(":event-type")) == "InvokeComplete":
			b.err = invokeComplete(m.Payload)
		}
	}
}

// invokeComplete reads the last frame: [io.EOF] unless the function failed.
func invokeComplete(payload []byte) error {
	var said struct{ ErrorCode, ErrorDetails string }
	switch err := json.Unmarshal(payload, &said); {
	case err != nil:
		return runnel.Errorf(runnel.Unavailable, "the function's answer is unreadable").Because(err)
	case said.ErrorCode != "":
		return readFailure([]byte(said.ErrorDetails), said.ErrorCode)
	}
	return io.EOF
}

// Read implements [io.Reader].
func (b *eventBody) Read(p []byte) (int, error) {
	b.more()
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements [io.Closer].
func (b *eventBody) Close() error { return b.body.Close() }

// looksLikeHead reports whether an answer seems to begin with a [Head]: an object
// and NULs behind it. It is open while too little of it is known.
func looksLikeHead(first []byte) (is, open bool) {
	if len(first) == 0 {
		return false, true
	}
	if first[0] != '{' || len(first) > maxHead {
		return false, false
	}
	dec := json.NewDecoder(bytes.NewReader(first))
	var head json.RawMessage
	if err := dec.Decode(&head); err != nil {
		return false, errors.Is(err, io.ErrUnexpectedEOF)
	}
	rest := first[dec.InputOffset():]
	if len(rest) < len(headEnd) {
		return false, strings.HasPrefix(headEnd, string(rest))
	}
	return bytes.HasPrefix(rest, []byte(headEnd)), false
}
