package sigv4_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// TestSuite checks the requests that AWS published. Those with dot segments are
// refused on purpose.
func TestSuite(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "aws.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	refused := []string{"get-relative", "get-relative-relative", "get-slash-dot-slash", "get-slash-pointless-dot"}
	for _, f := range archive.Files {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			r := readRequest(t, string(f.Data))
			if got, want := sigv4.Matches(r, exampleKey()), !slices.Contains(refused, f.Name); got != want {
				t.Errorf("matches: got %t, want %t", got, want)
			}
			other := exampleKey()
			other.Secret += "x"
			if sigv4.Matches(r, other) {
				t.Error("another secret made the same signature")
			}
		})
	}
	if len(archive.Files) < 26 {
		t.Errorf("only %d requests", len(archive.Files))
	}
}

// readRequest reads a request that is too odd for net/http.
func readRequest(t *testing.T, text string) sigv4.Request {
	t.Helper()
	in := textproto.NewReader(bufio.NewReader(strings.NewReader(text + "\n\n")))
	line, err := in.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	header, err := in.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "\n\n")
	method, target, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), " ")
	host := header.Get("Host")
	header.Del("Host")
	return sigv4.Request{
		Method: method, Target: target, Host: host, Header: http.Header(header),
		Body: func() ([]byte, error) { return []byte(body), nil },
	}
}

// TestAppSync checks signatures that Amplify made, of HTTP and of realtime.
func TestAppSync(t *testing.T) {
	t.Parallel()
	const (
		stamp      = "20250102T030405Z"
		query      = `{"query":"{\n  a\n}\n","variables":{}}`
		realtime   = "accept;content-encoding;content-type;host;x-amz-date"
		credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/appsync/aws4_request, SignedHeaders="
	)
	handshake := map[string]string{
		"accept": "application/json, text/javascript", "content-encoding": "amz-1.0",
		"content-type": "application/json; charset=UTF-8", "host": "localhost:18600", "x-amz-date": stamp,
	}
	tests := []struct {
		name, target, signed, body, signature string
		headers                               map[string]string
	}{
		{"query", "/graphql", "content-type;host;x-amz-date;x-amz-user-agent", query,
			"b04f9958f0c081ead59fb7a4b6ca9f629dc1f65c28123b44640dc43372bae613", map[string]string{
				"content-type": "application/json; charset=UTF-8", "host": "localhost:18600", "x-amz-date": stamp,
				"x-amz-user-agent": "aws-amplify/6.22.1 api/1 framework/100",
			}},
		{"connect", "/graphql/connect", realtime, "{}",
			"560bf65ec15e4cde71c752c81e1c8f41eac0f781e5c7d5ec3fca43c64a51a1d1", handshake},
		{"start", "/graphql", realtime, `{"query":"subscription S {\n  onX\n}\n","variables":{}}`,
			"27f9501ab7f5429203500006877ec0ce52b051e01e333d37b81af7bb0cdab5f7", handshake},
		{"events connect", "/event", realtime, "{}",
			"b1303c7989a1a42732eb7c195f47f86f8404079b17b013718d056a000c8b94c5", handshake},
		{"events subscribe", "/event", realtime, `{"channel":"default/chat"}`,
			"7e556bd205a4ecd1b3273a3d7a1b4e09a1584c8c92004fcbf7d4a03d563e1de8", handshake},
	}
	v := newVerifier(t, time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), sigv4.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			headers := map[string]string{"Authorization": credential + tt.signed + ", Signature=" + tt.signature}
			for name, value := range tt.headers {
				headers[name] = value
			}
			id, err := v.Verify(sigv4.Realtime(headers, tt.target, []byte(tt.body)), "appsync")
			if err != nil || id.AccessKey != accessKey || id.Service != "appsync" || id.Region != "us-east-1" {
				t.Fatalf("got %+v, %v", id, err)
			}

			_, err = v.Verify(sigv4.Realtime(headers, tt.target+"x", []byte(tt.body)), "appsync")
			wantCode(t, err, sigv4.InvalidSignature)
			_, err = v.Verify(sigv4.Realtime(headers, tt.target, []byte(tt.body+" ")), "appsync")
			wantCode(t, err, sigv4.InvalidSignature)
			headers["HOST"] = "localhost:18600"
			_, err = v.Verify(sigv4.Realtime(headers, tt.target, []byte(tt.body)), "appsync")
			wantCode(t, err, sigv4.InvalidSignature)
			delete(headers, "HOST")
			headers["authorization"] = headers["Authorization"]
			_, err = v.Verify(sigv4.Realtime(headers, tt.target, []byte(tt.body)), "appsync")
			wantCode(t, err, sigv4.Incomplete)
		})
	}
}

// TestClients checks requests that were recorded from boto3 and the JavaScript
// SDK on 2026-11-21, without the headers that they do not sign.
func TestClients(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "clients.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, time.Date(2026, 11, 21, 3, 22, 15, 0, time.UTC), sigv4.Config{})
	for line := range bytes.Lines(text) {
		var c struct {
			Name, Method, Target, Host, Body string
			Header                           http.Header
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r := sigv4.Request{
				Method: c.Method, Target: c.Target, Host: c.Host, Header: c.Header,
				Body: func() ([]byte, error) { return []byte(c.Body), nil },
			}
			if _, err := v.Verify(r, ""); err != nil {
				t.Error(err)
			}
			r.Method = "PATCH"
			_, err := v.Verify(r, "")
			wantCode(t, err, sigv4.InvalidSignature)
		})
	}
}
