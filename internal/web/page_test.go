package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFile serves a file of the test's own: the page itself may not be built.
func TestFile(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("body { color: red }\n", 50)
	f, err := newFile("assets/style-0a1b.css", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	index, err := newFile("index.html", []byte("<p>"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&Page{files: map[string]file{"assets/style-0a1b.css": f, "index.html": index, "admin.html": index}}).Register(mux.Handle)
	get := func(path string, header ...string) *http.Response {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Result()
	}

	plain := get("/assets/style-0a1b.css", "Accept-Encoding", "br, gzip;q=0")
	if body, _ := io.ReadAll(plain.Body); string(body) != text || plain.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("plain: %v %q", plain.Header, body)
	}
	if got := plain.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("a file with a hash in its name: %q", got)
	}
	small := get("/assets/style-0a1b.css", "Accept-Encoding", "br, gzip")
	unzipped, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(unzipped); string(body) != text || small.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("compressed: %v %q", small.Header, body)
	}
	if a, b := plain.Header.Get("Etag"), small.Header.Get("Etag"); a == b || a == "" {
		t.Errorf("two bodies with the tags %s and %s", a, b)
	}
	for _, tag := range []string{plain.Header.Get("Etag"), `"x", ` + plain.Header.Get("Etag")} {
		if again := get("/assets/style-0a1b.css", "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
			t.Errorf("asked for anew: %s", again.Status)
		}
	}
	if admin := get("/admin"); admin.StatusCode != http.StatusOK || admin.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("another page: %s %v", admin.Status, admin.Header)
	}
	home := get("/")
	if got := home.Header.Get("Cache-Control"); home.StatusCode != http.StatusOK || got != "no-cache" {
		t.Errorf("the page itself: %s, %q", home.Status, got)
	}
	if _, err := newFile("index.exe", nil); err == nil {
		t.Error("a file of no known type is served")
	}
}

// TestNew: with or without the page, the binary starts.
func TestNew(t *testing.T) {
	t.Parallel()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if p != nil && p.files[index].data == nil {
		t.Error("a page without a page")
	}
}
