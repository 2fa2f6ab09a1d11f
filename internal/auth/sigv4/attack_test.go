package sigv4_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

// TestAttacks changes one good request in ways that must not pass.
func TestAttacks(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			before := r.Header.Get("Authorization")
			after := strings.Replace(before, old, new, 1)
			if before == after {
				panic("nothing to replace: " + old)
			}
			r.Header.Set("Authorization", after)
		}
	}
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	target := func(target string) func(*http.Request) {
		return func(r *http.Request) { r.RequestURI = target }
	}
	signature := func(change func(string) string) func(*http.Request) {
		return func(r *http.Request) {
			head, sig, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", head+"Signature="+change(sig))
		}
	}
	const body = `{"n":1}`
	tests := []struct {
		name string
		edit func(*http.Request)
		want sigv4.Code
	}{
		{"no signature", set("Authorization"), sigv4.MissingToken},
		{"another scheme", set("Authorization", "Bearer x"), sigv4.MissingToken},
		{"another algorithm", edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), sigv4.Incomplete},
		{"the algorithm alone", set("Authorization", "AWS4-HMAC-SHA256"), sigv4.Incomplete},
		{"two signatures", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, sigv4.Incomplete},
		{"two kinds of signature", target("/dev/@connections/a%3D?x=1&X-Amz-Signature=" + strings.Repeat("0", 64)), sigv4.Incomplete},
		{"no credential", edit("Credential=", "Credentials="), sigv4.Incomplete},
		{"no signed headers", edit("SignedHeaders=", "Headers="), sigv4.Incomplete},
		{"repeated parameter", edit("SignedHeaders=", "Signature=x, SignedHeaders="), sigv4.Incomplete},

		{"unknown access key", edit(accessKey, "AKIDEXAMPLF"), sigv4.UnknownClient},
		{"access key with a slash", edit(accessKey, "AKID/EXAMPLE"), sigv4.Incomplete},
		{"scope too short", edit("/us-east-1", ""), sigv4.Incomplete},
		{"scope without end", edit("aws4_request", "aws4_reques"), sigv4.Incomplete},
		{"empty region", edit("us-east-1", ""), sigv4.Incomplete},
		{"another region", edit("us-east-1", "us-east-2"), sigv4.InvalidSignature},
		{"another day", edit("20250102", "20250103"), sigv4.InvalidSignature},
		{"another known service", edit("execute-api", "lambda"), sigv4.InvalidSignature},
		{"an unknown service", edit("execute-api", "s3"), sigv4.InvalidSignature},

		{"empty signature", signature(func(string) string { return "" }), sigv4.Incomplete},
		{"upper case", signature(strings.ToUpper), sigv4.Incomplete},
		{"truncated", signature(func(s string) string { return s[:63] }), sigv4.Incomplete},
		{"too long", signature(func(s string) string { return s + "0" }), sigv4.Incomplete},
		{"zeros", signature(func(string) string { return strings.Repeat("0", 64) }), sigv4.InvalidSignature},

		{"path", target("/dev/@connections/b%3D?x=1"), sigv4.InvalidSignature},
		{"path decoded", target("/dev/@connections/a=?x=1"), sigv4.InvalidSignature},
		{"path encoded again", target("/dev/%40connections/a%3D?x=1"), sigv4.InvalidSignature},
		{"detour in path", target("/dev/x/../@connections/a%3D?x=1"), sigv4.InvalidSignature},
		{"query", target("/dev/@connections/a%3D?x=2"), sigv4.InvalidSignature},
		{"query gone", target("/dev/@connections/a%3D"), sigv4.InvalidSignature},
		{"query doubled", target("/dev/@connections/a%3D?x=1&x=1"), sigv4.InvalidSignature},
		{"query broken", target("/dev/@connections/a%3D?x=%1"), sigv4.Incomplete},
		{"method", func(r *http.Request) { r.Method = "DELETE" }, sigv4.InvalidSignature},
		{"host", func(r *http.Request) { r.Host = "evil.example.com" }, sigv4.InvalidSignature},
		{"signed header", set("Content-Type", "text/plain"), sigv4.InvalidSignature},
		{"signed header gone", set("Content-Type"), sigv4.InvalidSignature},
		{"signed header doubled", set("Content-Type", "application/json", "application/json"), sigv4.InvalidSignature},
		{"list shortened", edit("content-type;", ""), sigv4.InvalidSignature},

		{"no date", set("X-Amz-Date"), sigv4.Incomplete},
		{"two dates", set("X-Amz-Date", "20250102T120000Z", "20250102T120000Z"), sigv4.Incomplete},
		{"another time", set("X-Amz-Date", "20250102T120001Z"), sigv4.InvalidSignature},
		{"odd time", set("X-Amz-Date", "20250102T120000.5Z"), sigv4.Incomplete},
		{"host not signed", edit("host;", ""), sigv4.Incomplete},
		{"header listed twice", edit("host;", "host;host;"), sigv4.Incomplete},
		{"header in capitals", edit("host;", "Host;"), sigv4.Incomplete},
		{"line end in a name", edit("host;", "host\nx;"), sigv4.Incomplete},
		{"many headers", edit("host;", "host;"+strings.Repeat("a;", 200)), sigv4.Incomplete},
		{"header that is not there", edit("host;", "host;x-custom;"), sigv4.InvalidSignature},

		{"added target", set("X-Amz-Target", "DynamoDB_20120810.PutItem"), sigv4.InvalidSignature},
		{"added token", set("X-Amz-Security-Token", "x"), sigv4.InvalidSignature},
		{"added hash", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), sigv4.InvalidSignature},
		{"added user agent", set("X-Amz-User-Agent", "aws-amplify/3"), ""},
		{"added by a proxy", set("X-Amz-Cf-Id", "abc"), ""},
		{"added header without meaning", set("X-Forwarded-For", "10.0.0.1"), ""},
	}
	v := newVerifier(t, noon(), sigv4.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := call{
				url: "https://gateway.example.com/dev/@connections/a%3D?x=1", body: body,
				header: http.Header{"Content-Type": {"application/json"}},
			}
			r := c.sign(t)
			if _, err := verify(v, r, body); err != nil {
				t.Fatalf("the good request: %v", err)
			}
			tt.edit(r)
			if _, err := verify(v, r, body); tt.want != "" || err != nil {
				wantCode(t, err, tt.want)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	const streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	tests := []struct {
		name, service, declared, signed, body string
		want                                  sigv4.Code
	}{
		{"not declared", "bedrock", "", hashOf("b"), "b", ""},
		{"declared", "bedrock", hashOf("b"), hashOf("b"), "b", ""},
		{"declared for another body", "bedrock", hashOf("a"), hashOf("a"), "b", sigv4.InvalidSignature},
		{"declared in capitals", "bedrock", strings.ToUpper(hashOf("b")), strings.ToUpper(hashOf("b")), "b", sigv4.InvalidSignature},
		{"unsigned", "bedrock", "UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", "b", sigv4.InvalidSignature},
		{"unsigned where that is usual", "lex", "UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", "b", ""},
		{"signed there nevertheless", "lex", hashOf("a"), hashOf("a"), "b", sigv4.InvalidSignature},
		{"in pieces", "lex", streaming, streaming, "b", sigv4.InvalidSignature},
	}
	v := newVerifier(t, noon(), sigv4.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := call{url: "https://h/x", body: tt.body, service: tt.service, hash: tt.signed, header: http.Header{}}
			if tt.declared != "" {
				c.header.Set("X-Amz-Content-Sha256", tt.declared)
			}
			if _, err := verify(v, c.sign(t), tt.body); tt.want != "" || err != nil {
				wantCode(t, err, tt.want)
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		expires time.Duration
		now     time.Duration // after signing
		want    sigv4.Code
	}{
		{"header, late", 0, 5 * time.Minute, ""},
		{"header, too late", 0, 5*time.Minute + time.Second, sigv4.InvalidSignature},
		{"header, early", 0, -5 * time.Minute, ""},
		{"header, too early", 0, -5*time.Minute - time.Second, sigv4.InvalidSignature},
		{"presigned, old", 7 * 24 * time.Hour, 7 * 24 * time.Hour, ""},
		{"presigned, ended", time.Hour, time.Hour + time.Second, sigv4.RequestExpired},
		{"presigned, ended soon", time.Second, 2 * time.Second, sigv4.RequestExpired},
		{"presigned, early", time.Hour, -5 * time.Minute, ""},
		{"presigned, too early", time.Hour, -5*time.Minute - time.Second, sigv4.InvalidSignature},
		{"presigned for too long", 7*24*time.Hour + time.Second, 0, sigv4.Incomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := call{method: "GET", url: "wss://gateway.example.com/Prod?sessionId=a+b", expires: tt.expires}.sign(t)
			v := newVerifier(t, noon().Add(tt.now), sigv4.Config{})
			if _, err := verify(v, r, ""); tt.want != "" || err != nil {
				wantCode(t, err, tt.want)
			}
		})
	}
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	good := call{
		method: "GET", url: "wss://gateway.example.com:8443/Prod?sessionId=a%20b%2Bc", expires: time.Hour, token: "tok/en==",
	}.sign(t)
	tests := []struct {
		name     string
		old, new string
		want     sigv4.Code
	}{
		{"as it is", "sessionId", "sessionId", ""},
		{"plus for space", "a%20b", "a+b", ""},
		{"needless encoding", "sessionId", "%73essionId", ""},
		{"session", "a%20b", "a%20c", sigv4.InvalidSignature},
		{"more", "sessionId", "x=1&sessionId", sigv4.InvalidSignature},
		{"another token", "tok%2Fen", "tok%2Fem", sigv4.InvalidSignature},
		{"longer life", "X-Amz-Expires=3600", "X-Amz-Expires=7200", sigv4.InvalidSignature},
		{"no life", "X-Amz-Expires=3600", "X-Amz-Expires=0", sigv4.Incomplete},
		{"negative life", "X-Amz-Expires=3600", "X-Amz-Expires=-1", sigv4.Incomplete},
		{"empty life", "X-Amz-Expires=3600", "X-Amz-Expires=", sigv4.Incomplete},
		{"repeated life", "X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-Expires=3600", sigv4.Incomplete},
		{"repeated signature", "X-Amz-Signature=", "X-Amz-Signature=&X-Amz-Signature=", sigv4.Incomplete},
		{"no signature", "X-Amz-Signature=", "x=", sigv4.Incomplete},
		{"no algorithm", "X-Amz-Algorithm=", "x=", sigv4.Incomplete},
		{"no host", "X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=x", sigv4.Incomplete},
		{"lower case names", "X-Amz-Date", "x-amz-date", sigv4.Incomplete},
	}
	v := newVerifier(t, noon(), sigv4.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := good.Clone(t.Context())
			r.RequestURI = strings.Replace(good.RequestURI, tt.old, tt.new, 1)
			if tt.old != tt.new && r.RequestURI == good.RequestURI {
				t.Fatalf("no %s in %s", tt.old, r.RequestURI)
			}
			if _, err := verify(v, r, ""); tt.want != "" || err != nil {
				wantCode(t, err, tt.want)
			}
		})
	}
}

// TestBodyComesLast makes sure that nobody without a good claim makes us read.
func TestBodyComesLast(t *testing.T) {
	t.Parallel()
	r := call{url: "https://h/x", body: "b"}.sign(t)
	read := func() ([]byte, error) {
		t.Error("the body was read")
		return nil, nil
	}
	late := newVerifier(t, noon().Add(time.Hour), sigv4.Config{})
	_, err := late.Verify(sigv4.FromHTTP(r, read), "")
	wantCode(t, err, sigv4.InvalidSignature)
	stranger := newVerifier(t, noon(), sigv4.Config{Keys: []sigv4.Key{{AccessKey: "OTHER", Secret: secret}}})
	_, err = stranger.Verify(sigv4.FromHTTP(r, read), "")
	wantCode(t, err, sigv4.UnknownClient)
	_, err = newVerifier(t, noon(), sigv4.Config{}).Verify(sigv4.FromHTTP(r, read), "lambda")
	wantCode(t, err, sigv4.InvalidSignature)
}
