package lambda_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/function"
)

func buffered() *function.URL { return &function.URL{Auth: function.AuthNone} }

func streaming() *function.URL {
	return &function.URL{Auth: function.AuthNone, Mode: function.ModeStream}
}

const nuls = "\x00\x00\x00\x00\x00\x00\x00\x00"

func TestEvent(t *testing.T) {
	t.Parallel()
	g := open(t, buffered(), echo)
	resp, text := g.ask(t, "POST", "/functions/f/pa2%2Fth/1?a=1&a=2&b=%C3%A9", `{"prompt":"hi"}`,
		"Content-Type", "application/json", "Cookie", "c1=v1; c2=v2", "X-Two", "a", "X-Two", "b", "User-Agent", "test", "Accept-Encoding", "identity")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	got := decode(t, text)
	inner := got["requestContext"].(map[string]any)
	headers := got["headers"].(map[string]any)
	host := strings.TrimPrefix(g.url, "http://")
	for what, form := range map[any]string{
		inner["requestId"]: `^[0-9a-f-]{36}$`, inner["time"]: `^\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000$`, headers["x-amzn-trace-id"]: `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`,
	} {
		if !regexp.MustCompile(form).MatchString(what.(string)) {
			t.Errorf("%v is not like %s", what, form)
		}
	}
	delete(inner, "requestId")
	delete(inner, "time")
	delete(inner, "timeEpoch")
	delete(headers, "x-amzn-trace-id")
	delete(headers, "x-forwarded-port")
	want := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": "/pa2%2Fth/1", "rawQueryString": "a=1&a=2&b=%C3%A9",
		"cookies": []any{"c1=v1", "c2=v2"},
		"headers": map[string]any{
			"content-type": "application/json", "content-length": "15", "host": host, "x-two": "a,b", "user-agent": "test", "accept-encoding": "identity",
			"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http",
		},
		"queryStringParameters": map[string]any{"a": "1,2", "b": "é"},
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": "f", "domainName": host, "domainPrefix": "127", "routeKey": "$default", "stage": "$default",
			"http": map[string]any{"method": "POST", "path": "/pa2%2Fth/1", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"},
		},
		"body": `{"prompt":"hi"}`, "isBase64Encoded": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}

	_, text = g.ask(t, "GET", "/functions/f", "")
	got = decode(t, text)
	for _, absent := range []string{"body", "cookies", "queryStringParameters"} {
		if _, there := got[absent]; there {
			t.Errorf("an event without %s has one", absent)
		}
	}
	if got["rawPath"] != "/" {
		t.Errorf("the path is %v", got["rawPath"])
	}
	for contentType, encoded := range map[string]bool{
		"text/plain": false, "application/vnd.x+json": false, "multipart/form-data; boundary=x": true, "application/x-www-form-urlencoded": true, "image/png": true,
	} {
		_, text := g.ask(t, "POST", "/functions/f", "abc", "Content-Type", contentType)
		if got := decode(t, text); got["isBase64Encoded"] != encoded || got["body"] != map[bool]string{false: "abc", true: "YWJj"}[encoded] {
			t.Errorf("%s: got %v, %v", contentType, got["isBase64Encoded"], got["body"])
		}
	}
}

func TestBuffered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, result string
		status       int
		contentType  string
		body         string
	}{
		{"a proxy response", `{"statusCode":201,"headers":{"content-type":"text/x","X-N":1},"body":"hi","cookies":["a=b","c=d"]}`, 201, "text/x", "hi"},
		{"base64", `{"statusCode":200,"headers":{"content-type":"image/x"},"body":"AAEC","isBase64Encoded":true}`, 200, "image/x", "\x00\x01\x02"},
		{"no body", `{"statusCode":204,"headers":{"content-type":"text/x"}}`, 204, "text/x", ""},
		{"an object as body", `{"statusCode":200,"body":{"a":1}}`, 200, "application/json", `{"a":1}`},
		{"a list", `[ "a",3 ]`, 200, "application/json", `["a",3]`},
		{"an object", `{ "a": 1 }`, 200, "application/json", `{"a":1}`},
		{"a string", `"gr\u00fc\u00df"`, 200, "application/json", "grüß"},
		{"null", `null`, 200, "application/json", "null"},
		{"garbage", `<html>`, 502, "application/json", "Internal Server Error"},
		{"half", `{"statusCode":200,`, 502, "application/json", "Internal Server Error"},
		{"an odd status", `{"statusCode":7}`, 502, "application/json", "Internal Server Error"},
		{"bad base64", `{"statusCode":200,"body":"?","isBase64Encoded":true}`, 502, "application/json", "Internal Server Error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := open(t, buffered(), says("application/json", tt.result))
			resp, body := g.ask(t, "GET", "/functions/f", "")
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.contentType || body != tt.body {
				t.Errorf("got %d, %s, %q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
			if strings.Contains(tt.result, "cookies") && (!slices.Equal(resp.Header["Set-Cookie"], []string{"a=b", "c=d"}) || resp.Header.Get("X-N") != "1") {
				t.Errorf("the header is %v", resp.Header)
			}
		})
	}
	g := open(t, buffered(), fails)
	if resp, body := g.ask(t, "GET", "/functions/f", ""); resp.StatusCode != 502 || body != "Internal Server Error" {
		t.Errorf("a function that fails: %s, %s", resp.Status, body)
	}
	for _, path := range []string{"/functions/plain", "/functions/nobody/x"} {
		if resp, body := g.ask(t, "GET", path, ""); resp.StatusCode != 403 || body != `{"Message":null}` {
			t.Errorf("%s: %s, %s", path, resp.Status, body)
		}
	}
	if resp, _ := g.ask(t, "POST", "/functions/f", strings.Repeat("x", function.MaxPayload+1)); resp.StatusCode != 413 {
		t.Errorf("a large body: %s", resp.Status)
	}
}

func TestStreamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, contentType, answer string
		status                    int
		wantType, body            string
	}{
		{"plain", "text/event-stream", "data: x\n\n", 200, "text/event-stream", "data: x\n\n"},
		{"plain without a type", "application/octet-stream", "x", 200, "application/octet-stream", "x"},
		{"nothing", "text/plain", "", 200, "text/plain", ""},
		{"JSON that only looks like a head", "application/octet-stream", `{"statusCode":401,"body":"no"}`, 200, "application/octet-stream", `{"statusCode":401,"body":"no"}`},
		{"a head", function.IntegrationType, `{"statusCode":203,"headers":{"content-type":"text/x","Connection":"keep-alive","Content-Length":"1"},"cookies":["a=b","c=d"]}` + nuls + "body", 203, "text/x", "body"},
		{"an empty head", function.IntegrationType, `{}` + nuls + "body", 200, "application/octet-stream", "body"},
		{"a head alone", function.IntegrationType, `{"statusCode":204}` + nuls, 204, "application/octet-stream", ""},
		{"no head", function.IntegrationType, "", 502, "application/json", "Internal Server Error"},
		{"a head of 100", function.IntegrationType, `{"statusCode":100}` + nuls, 502, "application/json", "Internal Server Error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := open(t, streaming(), says(tt.contentType, tt.answer))
			resp, body := g.ask(t, "GET", "/functions/f", "")
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.wantType || body != tt.body {
				t.Errorf("got %d, %s, %q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
			if resp.Header.Get("Connection") != "" {
				t.Errorf("the connection is %s", resp.Header.Get("Connection"))
			}
			if strings.Contains(tt.answer, "cookies") && !slices.Equal(resp.Header["Set-Cookie"], []string{"a=b", "c=d"}) {
				t.Errorf("the header is %v", resp.Header)
			}
		})
	}
	g := open(t, streaming(), fails)
	if resp, body := g.ask(t, "GET", "/functions/f", ""); resp.StatusCode != 502 || body != "Internal Server Error" {
		t.Errorf("a function that fails: %s, %s", resp.Status, body)
	}
}

// Each piece comes out before the function writes the next, and a failure in the
// middle is one for the client, too.
func TestStreamPieces(t *testing.T) {
	t.Parallel()
	next, pieces := make(chan struct{}), []string{`{"statusCode":200,"hea`, `ders":{}}` + nuls[:3], nuls[3:] + "one", "two", "three"}
	g := open(t, streaming(), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", function.IntegrationType)
		for i, piece := range pieces {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
			if i >= 2 {
				<-next
			}
		}
		panic(http.ErrAbortHandler)
	})
	resp, err := g.client.Get(g.url + "/functions/f")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, want := range []string{"one", "two", "three"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(resp.Body); err == nil || len(rest) > 0 {
		t.Errorf("the body ends with %q as if it were whole", rest)
	}
}

// A function goes on for a while without its client, and no longer.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	gone, ended := make(chan struct{}), make(chan struct{})
	u := streaming()
	u.Linger = 50 * time.Millisecond
	g := open(t, u, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-gone
		<-r.Context().Done()
		close(ended)
	})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/functions/f", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	_ = resp.Body.Close()
	close(gone)
	<-ended
}

func TestAuth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		auth, who string
		want      int
	}{
		{function.AuthNone, "", 200}, {function.AuthGateway, "", 403}, {function.AuthGateway, user, 200},
		{function.AuthIAM, "", 403}, {function.AuthIAM, service, 403}, {function.AuthIAM, signer, 200},
	} {
		g := open(t, &function.URL{Auth: tt.auth}, echo)
		resp, body := g.ask(t, "GET", "/functions/f", "", "Authorization", tt.who)
		if resp.StatusCode != tt.want {
			t.Errorf("%s, %q: got %s, want %d", tt.auth, tt.who, resp.Status, tt.want)
		}
		if tt.want == 403 && (!strings.HasPrefix(body, `{"Message":"Forbidden`) || resp.Header.Get("X-Amzn-Errortype") != "AccessDeniedException") {
			t.Errorf("%s, %q: got %s", tt.auth, tt.who, body)
		}
		if tt.auth == function.AuthIAM && tt.want == 200 {
			inner := decode(t, body)["requestContext"].(map[string]any)
			if inner["accountId"] != function.Account || inner["authorizer"].(map[string]any)["iam"].(map[string]any)["accessKey"] != "AKID" {
				t.Errorf("the event has %v", inner)
			}
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const page = "https://page.example"
	u := buffered()
	u.CORS = &function.CORS{
		Origins: []string{page}, Methods: []string{"POST"}, Headers: []string{"content-type", "authorization"}, Expose: []string{"X-Seen"}, Credentials: true, MaxAge: time.Hour,
	}
	g := open(t, u, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"statusCode":200,"headers":{"access-control-allow-origin":"*","access-control-allow-methods":"PUT"},"body":"ran"}`)
	})
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "POST"}
	resp, body := g.ask(t, "OPTIONS", "/functions/f", "", preflight...)
	got := map[string]string{}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-") || name == "Vary" {
			got[name] = resp.Header.Get(name)
		}
	}
	want := map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type,authorization",
		"Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-Seen", "Access-Control-Max-Age": "3600", "Vary": "Origin",
	}
	if diff := cmp.Diff(want, got); diff != "" || body != "" || resp.StatusCode != 200 {
		t.Errorf("the preflight: %s, %q (-want +got):\n%s", resp.Status, body, diff)
	}
	resp, body = g.ask(t, "POST", "/functions/f", "", "Origin", page)
	if body != "ran" || resp.Header.Get("Access-Control-Allow-Origin") != page || resp.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("the request: %q, %v", body, resp.Header)
	}
	const other = "https://other.example"
	if resp, _ := g.ask(t, "OPTIONS", "/functions/f", "", "Origin", other, "Access-Control-Request-Method", "POST"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin passes the preflight")
	}
	if resp, body := g.ask(t, "POST", "/functions/f", "", "Origin", other); resp.StatusCode != 403 || body == "ran" {
		t.Errorf("another origin's request: %s, %s", resp.Status, body)
	}

	own := open(t, buffered(), says("", `"ran"`))
	if _, body := own.ask(t, "OPTIONS", "/functions/f", "", preflight...); body != "ran" {
		t.Errorf("without CORS settings the function is not asked: %s", body)
	}
	if _, body := own.ask(t, "POST", "/functions/f", "", "Origin", page); body != "ran" {
		t.Errorf("a page's request is kept from a function for everybody: %s", body)
	}
	node := open(t, &function.URL{Auth: function.AuthGateway}, says("", `"ran"`))
	if resp, _ := node.ask(t, "POST", "/functions/f", "", "Origin", page, "Sec-Fetch-Site", "cross-site", "Authorization", user); resp.StatusCode != 403 {
		t.Errorf("another origin's page uses what the node's callers may: %s", resp.Status)
	}
}

// Over HTTP/2 no header of the connection comes through, and a failure in the
// middle is one for the client.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	g := openWith(t, streaming(), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", function.IntegrationType)
		_, _ = io.WriteString(w, `{"statusCode":201,"headers":{"Connection":"keep-alive","Keep-Alive":"timeout=5","X-Own":"yes"}}`+nuls+"body")
		_ = http.NewResponseController(w).Flush()
		if strings.Contains(string(body), `"rawQueryString":"break"`) {
			panic(http.ErrAbortHandler)
		}
	}, true)
	resp, body := g.ask(t, "GET", "/functions/f", "")
	if resp.ProtoMajor != 2 || resp.StatusCode != 201 || body != "body" || resp.Header.Get("X-Own") != "yes" {
		t.Errorf("got %s %s, %q, %v", resp.Proto, resp.Status, body, resp.Header)
	}
	if resp.Header.Get("Connection") != "" || resp.Header.Get("Keep-Alive") != "" {
		t.Errorf("the header is %v", resp.Header)
	}
	resp, err := g.client.Get(g.url + "/functions/f?break")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the body ends with %q as if it were whole", text)
	}
}
