package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAttackFraming hides a request behind another whose end is ambiguous. The
// cases are those of server: TestFraming; here a door reads the body.
func TestAttackFraming(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	const hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, tt := range map[string]struct {
		head, body string
		want       int
	}{
		"a length and chunks":     {"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "12\r\n" + hello + "\r\n0\r\n\r\n", 200},
		"a folded header":         {"Content-Length: 6\r\nTransfer-Encoding:\r\n chunked\r\n", "12\r\n" + hello + "\r\n0\r\n\r\n", 200},
		"a bare line feed":        {"Content-Length: 6\nTransfer-Encoding: chunked\r\n", "12\r\n" + hello + "\r\n0\r\n\r\n", 200},
		"two lengths":             {"Content-Length: 18\r\nContent-Length: 60\r\n", hello, 400},
		"a length with a sign":    {"Content-Length: +18\r\n", hello, 400},
		"a space before a colon":  {"Content-Length : 18\r\n", hello, 400},
		"an odd encoding":         {"Transfer-Encoding: xchunked\r\n", hello, 501},
		"a line feed in a chunk":  {"Transfer-Encoding: chunked\r\n", "12\n" + hello + "\r\n0\r\n\r\n", 400},
		"a carriage return alone": {"X: a\rContent-Length: 18\r\n", hello, 400},
		"a NUL":                   {"X: a\x00\r\nContent-Length: 18\r\n", hello, 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := f.talk(t, "POST /v1/sessions/framing/prompts HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nX-Api-Key: "+f.service+"\r\n"+
				tt.head+"\r\n"+tt.body+hidden)
			if !slices.Equal(got, []int{tt.want}) {
				t.Errorf("got %v, want %d and no more", got, tt.want)
			}
			f.healthy(t)
		})
	}
}

// TestAttackHeaders sends heads that are too large.
func TestAttackHeaders(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	long := strings.Repeat("a", 128<<10)
	for name, head := range map[string]string{
		"one long":  "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + long + "\r\n\r\n",
		"a URL":     "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"many":      "GET /healthz HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: b\r\n", 16<<10) + "\r\n",
		"a trailer": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Api-Key: " + f.service + "\r\n\r\n0\r\nX-Long: " + long + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			want := http.StatusRequestHeaderFieldsTooLarge
			if name == "a trailer" {
				want = http.StatusBadRequest // the body could not be read
			}
			if got := f.talk(t, head); !slices.Equal(got, []int{want}) {
				t.Errorf("got %v, want %d", got, want)
			}
			f.healthy(t)
		})
	}
}

// TestAttackNames puts into names what means something elsewhere: to file
// systems, to HTTP, to C.
func TestAttackNames(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	around := filepath.Dir(f.args[slices.Index(f.args, "--data-dir")+1])
	before := names(t, around)
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + f.addr + path // as it is
		req.Header.Set("X-Api-Key", f.service)
		return do(t, req)
	}
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/v1/sessions/a%0d%0aSet-Cookie:%20x=y", 400},
		{"/v1/sessions/a%00b", 400},
		{"/v1/sessions/a%ff", 400},
		{"/v1/sessions/" + strings.Repeat("a", 257), 400},
		{"/v1/sessions/..%2f..%2fetc%2fpasswd", 200}, // a name like any other
		{"/v1/sessions/%2e%2e%2f%2e%2e", 200},
		{"/v1/generations/..%2f..%2fetc%2fpasswd", 404},
		{"/v1/generations/a%0d%0ab", 404},
		{"/../../../../etc/passwd", 404},
		{"/dev/../../etc/passwd", 404},
		{"/%2e%2e/%2e%2e/etc/passwd", 404},
		{"/..%2f..%2fetc%2fpasswd/@connections/x", 403},
		{"/dev%00/@connections/x", 403},
		{"/dev%0d%0aX:y/@connections/x", 403},
	} {
		t.Run(tt.path[:min(len(tt.path), 50)], func(t *testing.T) {
			code, body := get(tt.path)
			if code != tt.want || strings.Contains(body, "root:") {
				t.Errorf("got %d %s, want %d", code, body, tt.want)
			}
			f.healthy(t)
		})
	}
	req := f.request(t, `{"prompt":"hello","sessionId":"a\r\nb"}`)
	req.URL.Path = "/"
	req.Header.Set("X-Api-Key", f.service)
	if code, body := do(t, req); code != http.StatusBadRequest {
		t.Errorf("a line break in a body's session: %d %s", code, body)
	}
	if after := names(t, around); !slices.Equal(before, after) {
		t.Errorf("beside the data: %v, before it was %v", after, before)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestAttackWebSocket opens a WebSocket from another site's page.
func TestAttackWebSocket(t *testing.T) {
	t.Parallel()
	f := newFortress(t, "--cors-origins", "https://chat.test")
	for origin, want := range map[string]int{"": 101, "https://chat.test": 101, "http://" + f.addr: 101, "https://evil.test": 403, "null": 403} {
		t.Run(origin, func(t *testing.T) {
			conn := dial(t, f.gateway)
			defer conn.Close()
			head := "GET /dev HTTP/1.1\r\nHost: " + f.addr + "\r\nX-Api-Key: " + f.service + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
			if origin != "" {
				head += "Origin: " + origin + "\r\n"
			}
			_, _ = io.WriteString(conn, head+"\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Errorf("got %s, want %d", resp.Status, want)
			}
			f.healthy(t)
		})
	}
}

// TestAttackGuessing asks for another user's session and generation, and for
// ones that nobody has. The answers are the same but for the name; that they
// cost the same is session: TestForeignCostsTheSame.
func TestAttackGuessing(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	req := f.request(t, hello)
	req.URL.Path = "/v1/sessions/taken/prompts"
	req.Header.Set("X-Api-Key", f.ann)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	taken := resp.Header.Get("Runnel-Generation")
	free := "01JZ0000000000000000000000"
	if len(taken) != len(free) {
		t.Fatalf("%s %q", resp.Status, taken)
	}
	answer := func(method, path string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, f.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", f.bob)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		resp.Header.Del("Date")
		resp.Header.Del("X-Request-Id")
		all, err := httputil.DumpResponse(resp, !strings.HasSuffix(path, "/events")) // which do not end
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	for _, tt := range []struct{ method, path, taken, free string }{
		{"GET", "/v1/sessions/%s", "taken", "freed"},
		{"GET", "/v1/sessions/%s/events", "taken", "freed"},
		{"GET", "/v1/generations/%s", taken, free},
		{"POST", "/v1/generations/%s/cancel", taken, free},
	} {
		theirs := answer(tt.method, fmt.Sprintf(tt.path, tt.taken))
		nobodys := answer(tt.method, fmt.Sprintf(tt.path, tt.free))
		if strings.ReplaceAll(theirs, tt.taken, tt.free) != nobodys {
			t.Errorf("%s %s:\n%s\nbut of one that is free:\n%s", tt.method, tt.path, theirs, nobodys)
		}
	}
	f.healthy(t)
}
