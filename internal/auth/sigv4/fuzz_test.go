package sigv4_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// FuzzVerify changes a good request. Nothing but the request itself, in a
// spelling that clients use, may pass.
func FuzzVerify(f *testing.F) {
	const query = "x=1&y=a%20b"
	good := call{url: "https://h/dev/%40c/a%3D?" + query, body: "b", header: http.Header{"X-Custom": {"v"}}}.sign(f)
	authorization := good.Header.Get("Authorization")
	f.Add("POST", good.RequestURI, "h", authorization, "20250102T120000Z", "v", "b")
	f.Add("GET", "/?X-Amz-Signature=", "", "", "", "", "")
	f.Add("GET", "/%?%zz&+=+&&;", "[::1", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=;;", "2025", "\n", "")
	presigned := call{method: "GET", url: "https://h/x", expires: 3600e9}.sign(f)
	f.Add("GET", presigned.RequestURI, "h", "", "", "", "")
	f.Add("POST", "//dev/%40c/a%3D?"+query, "h:1", authorization, "20250102T120000Z", " v ", "b")
	v := newVerifier(f, noon(), sigv4.Config{})
	f.Fuzz(func(t *testing.T, method, target, host, authorization, date, custom, body string) {
		r := sigv4.Request{
			Method: method, Target: target, Host: host,
			Header: http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}, "X-Custom": {custom}, "Content-Length": {"1"}},
			Body:   func() ([]byte, error) { return []byte(body), nil },
		}
		if r.Header["X-Amz-Date"][0] == "" {
			delete(r.Header, "X-Amz-Date")
		}
		if _, err := v.Verify(r, ""); err != nil {
			return
		}
		hostOK := host == "h" || strings.HasPrefix(host, "h:")
		if !hostOK || !(method == good.Method && body == "b" && strings.TrimSpace(custom) == "v" || method == "GET" && body == "") {
			t.Errorf("accepted %+v with body %q", r, body)
		}
		path, _, _ := strings.Cut(target, "?")
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		if path != "/dev/%40c/a%3D" && path != "/x" {
			t.Errorf("accepted the path %q", path)
		}
	})
}

// FuzzApolloBody checks that what is taken for signed is what a reader of the
// body sees.
func FuzzApolloBody(f *testing.F) {
	f.Add([]byte(`{"operationName":null,"variables":{},"extensions":{},"query":"{a}"}`))
	f.Add([]byte(`{"query":"{a}","Query":"{b}"}`))
	f.Add([]byte(`{"query":"{a}"} x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		signed, ok := sigv4.ApolloBody(body)
		if !ok {
			return
		}
		type request struct {
			OperationName, Variables, Query any
		}
		var got, want request
		if err := json.Unmarshal(signed, &got); err != nil {
			t.Fatalf("%s from %s: %v", signed, body, err)
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		a, errA := json.Marshal(got)
		b, errB := json.Marshal(want)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s is read as %s, %s as %s", signed, a, body, b)
		}
	})
}
