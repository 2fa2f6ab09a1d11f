package lambda

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/peer"
)

// An event is what the handler of a function URL gets: payload 2.0.
type event struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        eventContext      `json:"requestContext"`
	Body                  *string           `json:"body,omitempty"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

type eventContext struct {
	AccountID    string      `json:"accountId"`
	APIID        string      `json:"apiId"`
	Authorizer   *authorizer `json:"authorizer,omitempty"`
	DomainName   string      `json:"domainName"`
	DomainPrefix string      `json:"domainPrefix"`
	HTTP         eventHTTP   `json:"http"`
	RequestID    string      `json:"requestId"`
	RouteKey     string      `json:"routeKey"`
	Stage        string      `json:"stage"`
	Time         string      `json:"time"`
	TimeEpoch    int64       `json:"timeEpoch"`
}

type eventHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type authorizer struct {
	IAM iamCaller `json:"iam"`
}

type iamCaller struct {
	AccessKey       string  `json:"accessKey"`
	AccountID       string  `json:"accountId"`
	CallerID        string  `json:"callerId"`
	CognitoIdentity *string `json:"cognitoIdentity"`
	PrincipalOrgID  *string `json:"principalOrgId"`
	UserARN         string  `json:"userArn"`
	UserID          string  `json:"userId"`
}

const defaultKey = "$default"

// newEvent returns the event of a request to the function's URL, whose path is
// what follows the prefix.
func newEvent(r *http.Request, name, path, id string, body []byte, now time.Time) ([]byte, error) {
	now = now.UTC()
	host := hostname(r.Host)
	prefix, _, _ := strings.Cut(host, ".")
	headers, cookies := eventHeaders(r)
	e := event{
		Version: "2.0", RouteKey: defaultKey, RawPath: path, RawQueryString: r.URL.RawQuery,
		Cookies: cookies, Headers: headers, QueryStringParameters: joined(r.URL.Query()),
		RequestContext: eventContext{
			AccountID: "anonymous", APIID: name, DomainName: r.Host, DomainPrefix: prefix,
			HTTP: eventHTTP{
				Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: headers["x-forwarded-for"], UserAgent: r.UserAgent(),
			},
			RequestID: id, RouteKey: defaultKey, Stage: defaultKey,
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		},
	}
	if key, signed := strings.CutPrefix(runnel.PrincipalFrom(r.Context()).ID, "iam:"); signed {
		e.RequestContext.AccountID = function.Account
		e.RequestContext.Authorizer = &authorizer{iamCaller{
			AccessKey: key, AccountID: function.Account, CallerID: key, UserARN: "arn:aws:iam::" + function.Account + ":user/" + key, UserID: key,
		}}
	}
	if len(body) > 0 {
		text := string(body)
		if e.IsBase64Encoded = !textual(r.Header.Get("Content-Type"), body); e.IsBase64Encoded {
			text = base64.StdEncoding.EncodeToString(body)
		}
		e.Body = &text
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("lambda: encode event: %w", err)
	}
	return data, nil
}

// eventHeaders returns the headers as handlers see them: lower-case, joined, with
// what AWS's front adds, and without the cookies, which stand by themselves.
func eventHeaders(r *http.Request) (headers map[string]string, cookies []string) {
	headers = make(map[string]string, len(r.Header)+5)
	for name, values := range r.Header {
		switch name {
		case "Connection":
		case "Cookie":
			for _, line := range values {
				for cookie := range strings.SplitSeq(line, ";") {
					if cookie = strings.TrimSpace(cookie); cookie != "" {
						cookies = append(cookies, cookie)
					}
				}
			}
		default:
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	proto, port := "http", "80"
	if r.TLS != nil {
		proto, port = "https", "443"
	}
	if _, given, err := net.SplitHostPort(r.Host); err == nil {
		port = given
	}
	headers["host"] = r.Host
	headers["x-forwarded-for"] = peer.Addr(r).String()
	for name, value := range map[string]string{"x-forwarded-proto": proto, "x-forwarded-port": port} {
		if headers[name] == "" { // a proxy's word counts
			headers[name] = value
		}
	}
	if headers["x-amzn-trace-id"] == "" {
		headers["x-amzn-trace-id"] = newTrace(time.Now())
	}
	return headers, cookies
}

// newTrace returns an X-Ray trace id.
func newTrace(now time.Time) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("Root=1-%08x-%x", now.Unix(), b)
}

func joined(query map[string][]string) map[string]string {
	single := make(map[string]string, len(query))
	for name, values := range query {
		single[name] = strings.Join(values, ",")
	}
	return single
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// textual reports whether a body goes into the event as it is.
func textual(contentType string, body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	if mediaType == "" || strings.HasPrefix(mediaType, "text/") {
		return true
	}
	switch mediaType {
	case "application/json", "application/xml", "application/javascript", "application/x-ndjson":
		return true
	}
	return strings.HasSuffix(mediaType, "+json") || strings.HasSuffix(mediaType, "+xml")
}
