package apigateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// An event is what a handler gets. Members without a value are absent: handlers
// in the field call .get on what they find.
type event struct {
	Headers    map[string]string   `json:"headers,omitempty"`
	AllHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Query      map[string]string   `json:"queryStringParameters,omitempty"`
	AllQuery   map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	Context    requestContext      `json:"requestContext"`
	Body       *string             `json:"body,omitempty"`
	Base64     bool                `json:"isBase64Encoded"`
}

type requestContext struct {
	RouteKey         string         `json:"routeKey"`
	Authorizer       map[string]any `json:"authorizer,omitempty"`
	MessageID        string         `json:"messageId,omitempty"`
	DisconnectStatus int            `json:"disconnectStatusCode,omitempty"`
	DisconnectReason *string        `json:"disconnectReason,omitempty"`
	EventType        string         `json:"eventType"`
	ExtendedRequest  string         `json:"extendedRequestId"`
	RequestTime      string         `json:"requestTime"`
	Direction        string         `json:"messageDirection"`
	Stage            string         `json:"stage"`
	ConnectedAt      int64          `json:"connectedAt"`
	RequestTimeEpoch int64          `json:"requestTimeEpoch"`
	Identity         identity       `json:"identity"`
	RequestID        string         `json:"requestId"`
	DomainName       string         `json:"domainName"`
	ConnectionID     string         `json:"connectionId"`
	APIID            string         `json:"apiId"`
}

type identity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
	AccessKey string `json:"accessKey,omitempty"`
	Caller    string `json:"caller,omitempty"`
	User      string `json:"user,omitempty"`
	UserARN   string `json:"userArn,omitempty"`
}

// The types of events.
const (
	eventConnect    = "CONNECT"
	eventMessage    = "MESSAGE"
	eventDisconnect = "DISCONNECT"
)

const requestTimeFormat = "02/Jan/2006:15:04:05 +0000"

// context returns what an event says of its connection.
func (c *connection) context(route, eventType, request string) requestContext {
	now := time.Now().UTC()
	return requestContext{
		RouteKey: route, EventType: eventType, Authorizer: c.authorizer,
		ExtendedRequest: request, RequestID: request,
		RequestTime: now.Format(requestTimeFormat), RequestTimeEpoch: now.UnixMilli(),
		Direction: "IN", Stage: c.stage, ConnectedAt: c.opened.UnixMilli(), Identity: c.identity,
		DomainName: c.domain, ConnectionID: c.id, APIID: c.api.Name,
	}
}

// connectEvent is what $connect gets of a handshake.
func (c *connection) connectEvent(r *http.Request) event {
	ev := event{Context: c.context("$connect", eventConnect, newID())}
	ev.AllHeaders = c.headers(r)
	ev.Headers = lastOf(ev.AllHeaders)
	ev.AllQuery = r.URL.Query()
	ev.Query = lastOf(ev.AllQuery)
	return ev
}

// headers returns those of a handshake in their usual spelling, without those
// that are for the next hop only and with those of the one before.
func (c *connection) headers(r *http.Request) map[string][]string {
	all := make(map[string][]string, len(r.Header)+5)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Content-Length", "Keep-Alive", "Transfer-Encoding":
			continue
		}
		if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
			name = "Sec-WebSocket-" + rest
		}
		all[name] = values
	}
	proto, port := "http", "80"
	if r.TLS != nil {
		proto, port = "https", "443"
	}
	if _, given, err := net.SplitHostPort(r.Host); err == nil {
		port = given
	}
	all["Host"] = []string{r.Host}
	all["X-Forwarded-For"] = []string{c.identity.SourceIP}
	all["X-Forwarded-Port"] = []string{port}
	all["X-Forwarded-Proto"] = []string{proto}
	return all
}

// lastOf returns the value of each name that is shown where only one fits.
func lastOf(all map[string][]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	single := make(map[string]string, len(all))
	for name, values := range all {
		if len(values) > 0 {
			single[name] = values[len(values)-1]
		}
	}
	return single
}

// messageEvent is what a route gets of a message.
func (c *connection) messageEvent(route, request string, body []byte) event {
	text := string(body)
	ev := event{Context: c.context(route, eventMessage, request), Body: &text}
	ev.Context.MessageID = newID()
	return ev
}

// disconnectEvent is what $disconnect gets of the end.
func (c *connection) disconnectEvent(code int, reason string) event {
	ev := event{Context: c.context("$disconnect", eventDisconnect, newID())}
	ev.Headers = map[string]string{"Host": c.domain, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
	ev.AllHeaders = make(map[string][]string, len(ev.Headers))
	for name, value := range ev.Headers {
		ev.AllHeaders[name] = []string{value}
	}
	switch {
	case code == 1005:
		reason = "Client-side close frame status not set"
	case code == 1000:
		reason = cmp.Or(reason, "Connection Closed Normally")
	case code == 1001:
		reason = cmp.Or(reason, "Going away")
	}
	ev.Context.DisconnectStatus, ev.Context.DisconnectReason = code, &reason
	return ev
}

// encode writes an event. It cannot fail: what it holds are texts and numbers,
// and claims that came as JSON.
func encode(ev any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ev); err != nil {
		panic("apigateway: encode event: " + err.Error())
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// authorizerOf returns what events say of the caller: what an authorizer or a
// token's issuer has said, as strings. It is nil for those whom neither knows.
func authorizerOf(p *runnel.Principal, took time.Duration) map[string]any {
	if p.ID == "" || len(p.Claims) == 0 {
		return nil
	}
	all := make(map[string]any, len(p.Claims)+2)
	for name, value := range p.Claims {
		all[name] = asString(value)
	}
	if _, named := all["principalId"]; !named {
		all["principalId"] = all["sub"]
	}
	all["integrationLatency"] = took.Milliseconds()
	return all
}

func asString(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return string(encode(value))
}

// identityOf returns what events say of somebody who signed the handshake.
func identityOf(p *runnel.Principal) (id identity) {
	if key, ok := strings.CutPrefix(p.ID, "iam:"); ok {
		id.AccessKey, id.Caller, id.User = key, key, key
		id.UserARN = "arn:aws:iam::" + account + ":user/" + key
	}
	return id
}
