package lex_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/transport/lex"
)

// TestPage: the folder's files come as they are, and what it lacks is made up.
func TestPage(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(outside, "secret"): "secret", filepath.Join(dir, "a.js"): "the bundle", filepath.Join(dir, "sub", "b.css"): "c",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	page, err := lex.OpenPage(dir, "Prod", "t")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	mux := http.NewServeMux()
	page.Register(mux.Handle)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for path, want := range map[string]string{
		"":                              `<script src="runnel-endpoints.js">`,
		"a.js":                          "the bundle",
		"sub/b.css":                     "c",
		"runnel-endpoints.js":           "XMLHttpRequest",
		"lex-web-ui-loader-config.json": `"streamingWebSocketEndpoint":"ws://` + strings.TrimPrefix(srv.URL, "http://") + `/Prod"`,
		"sub":                           "404",
		"link":                          "404",
		"none.js":                       "404",
		"..%2Fsecret":                   "404",
	} {
		resp, err := http.Get(srv.URL + "/lex/" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if missing := want == "404"; err != nil || (resp.StatusCode == 404) != missing || !missing && !strings.Contains(string(body), want) {
			t.Errorf("%s: got %d, %.80q, %v", path, resp.StatusCode, body, err)
		}
	}
	// What the operator has written is not written over.
	if err := os.WriteFile(filepath.Join(dir, "lex-web-ui-loader-config.json"), []byte(`{"mine":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(srv.URL + "/lex/lex-web-ui-loader-config.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != `{"mine":1}` {
		t.Errorf("got %s", body)
	}
}
