package server_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/server"
)

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	settings, trust := certificate(t)
	r := run(t, server.Config{TLS: settings, HSTS: true, Doors: []server.Door{door("d", "GET /x")}})
	resp, body := r.do(t, "GET", "/")
	h := resp.Header
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'sha256-", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := h.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("the page's %s is %q", name, got)
		}
	}
	policy := h.Get("Content-Security-Policy")
	if !strings.HasSuffix(policy, "; base-uri 'none'; frame-ancestors 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(body, "<script") {
		t.Errorf("the page's policy is %q", policy)
	}
	if got := h.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("without TLS: %q", got)
	}
	resp, err := client(t, trust, 2).Get(strings.Replace(r.url, "http", "https", 1) + "/x")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("with TLS: %q", got)
	}
	if resp.Header.Get("Content-Security-Policy") != "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("an answer that is no page: %v", resp.Header)
	}
}

// TestLocal: a site that leads its name here gets nothing.
func TestLocal(t *testing.T) {
	t.Parallel()
	r := run(t, server.Config{Local: true, Origins: origins(t, "https://chat.test"), Doors: []server.Door{door("d", "GET /x")}})
	for host, want := range map[string]string{"localhost": "200", "127.0.0.1:8080": "200", "chat.test": "200", "evil.test": "403", "evil.test:8080": "403"} {
		conn := r.dial(t, "GET /x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+want) {
			t.Errorf("%s: %q, %v", host, answer, err)
		}
	}
}

// TestFraming sends requests whose end two parties could see differently. None
// may hide another request behind its own.
func TestFraming(t *testing.T) {
	t.Parallel()
	reads := server.Door{Name: "reads", Register: func(handle func(string, http.Handler)) {
		handle("POST /read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
		}))
	}}
	r := run(t, server.Config{Doors: []server.Door{reads}})
	const hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, tt := range map[string]struct {
		head, body string
		refused    bool // with 4xx or 5xx; else the request itself is served
	}{
		"chunked and a length":               {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", false},
		"chunked over two lines":             {"Content-Length: 4\r\nTransfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n", false},
		"chunked after a bare line feed":     {"Content-Length: 4\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", false},
		"chunked alone":                      {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n", false},
		"two lengths":                        {"Content-Length: 0\r\nContent-Length: 39\r\n", "", true},
		"two lengths in one line":            {"Content-Length: 0, 39\r\n", "", true},
		"a signed length":                    {"Content-Length: +0\r\n", "", true},
		"a space before the colon":           {"Content-Length : 39\r\n", "", true},
		"chunked twice":                      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", true},
		"not quite chunked":                  {"Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", true},
		"chunked, but for a vertical tab":    {"Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n", true},
		"a carriage return within a value":   {"X: a\rTransfer-Encoding: chunked\r\n", "", true},
		"a NUL within a value":               {"X: a\x00b\r\n", "", true},
		"a line that begins with a space":    {" Content-Length: 39\r\n", "", true},
		"a bare line feed after a chunk":     {"Transfer-Encoding: chunked\r\n", "1\nX\r\n0\r\n\r\n", true},
		"a chunk whose extension has a feed": {"Transfer-Encoding: chunked\r\n", "1;a\nb\r\nX\r\n0\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := "POST /read HTTP/1.1\r\nHost: a\r\n"
			if strings.HasPrefix(tt.head, " ") {
				head = "POST /read HTTP/1.1\r\n"
			}
			conn := r.dial(t, "")
			_, _ = io.WriteString(conn, head+tt.head+"\r\n"+tt.body+hidden)
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if refused := resp.StatusCode >= 400; refused != tt.refused {
				t.Errorf("got %s", resp.Status)
			}
			if next, err := http.ReadResponse(in, nil); err == nil {
				t.Errorf("the hidden request was answered: %s", next.Status)
			}
		})
	}
	if resp, _ := r.do(t, "GET", "/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}
