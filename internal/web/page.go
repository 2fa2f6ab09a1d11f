package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Policy returns the page's Content-Security-Policy: its own files, nothing inline,
// and requests to this node and to the other origins that are named.
func Policy(others ...string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " +
		strings.Join(append([]string{"'self'"}, others...), " ") + "; manifest-src 'self'; worker-src 'self'; form-action 'self'"
}

//go:embed all:static
var static embed.FS

const index = "index.html"

// types are the media types of what the page is made of.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".webmanifest": "application/manifest+json",
}

// A Page serves the files of the page.
type Page struct {
	files map[string]file // by path, without the first slash
}

type file struct {
	data    []byte
	gzipped func() []byte // nil if that makes it no smaller
	header  map[string]string
	tag     string
}

// New returns the page, or nil if this binary was built without it. The error
// says what is wrong with how it was built.
func New() (*Page, error) {
	built, err := fs.Sub(static, "static/page")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if _, err := fs.Stat(built, index); err != nil {
		return nil, nil //nolint:nilnil // there is none, and that is no fault
	}
	p := &Page{files: make(map[string]file)}
	err = fs.WalkDir(built, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(built, name)
		if err == nil {
			p.files[name], err = newFile(name, data)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return p, nil
}

func newFile(name string, data []byte) (file, error) {
	f := file{data: data, header: map[string]string{"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}}
	kind, known := types[path.Ext(name)]
	if !known {
		return f, fmt.Errorf("nobody knows what %s is", name)
	}
	f.header["Content-Type"] = kind
	if strings.HasPrefix(name, "assets/") {
		f.header["Cache-Control"] = "public, max-age=31536000, immutable"
	}
	sum := sha256.Sum256(data)
	f.tag = hex.EncodeToString(sum[:8])
	f.gzipped = sync.OnceValue(func() []byte { return compress(data) })
	return f, nil
}

// compress returns the data with gzip, or nil if that makes it no smaller.
func compress(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	_, _ = w.Write(data)                                  // a buffer takes it all
	_ = w.Close()
	if b.Len() >= len(data) {
		return nil
	}
	return b.Bytes()
}

// Register hands each file's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (p *Page) Register(handle func(pattern string, handler http.Handler)) {
	for name, f := range p.files {
		name = strings.TrimSuffix(name, ".html") // a page has the name of what it shows
		if name == "index" {
			name = "{$}"
		}
		handle("GET /"+name, f)
	}
}

// ServeHTTP implements [http.Handler].
func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range f.header {
		h.Set(name, value)
	}
	data, tag := f.data, f.tag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		if small := f.gzipped(); small != nil {
			data, tag = small, tag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
	}
	tag = `"` + tag + `"`
	h.Set("Etag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(data) // a client that has left is not a failure
}

func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(item), ";")
		if coding == "gzip" && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}
