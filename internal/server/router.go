package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// A router finds the handler of a request. There is one mux for each first
// segment of a path, and one for patterns that leave the first segment open:
// in a single mux, "/model/{id}/converse" and "/{stage}/@connections/{id}"
// would be a conflict. So a first segment that some pattern names is never
// matched by an open one.
type router struct {
	muxes map[string]*http.ServeMux // by first segment
	own   map[string]bool           // first segments with origin rules of their own
	home  bool                      // somebody serves GET /
}

const (
	openSegment = "{}" // the key of patterns that leave it open
	homePattern = "GET /{$}"
)

// add registers a pattern like [http.ServeMux.Handle], which panics at one that
// is malformed or in conflict; add returns that as an error.
func (rt *router) add(pattern string, h http.Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("server: route %q: %v", pattern, v)
		}
	}()
	segment := patternSegment(pattern)
	mux := rt.muxes[segment]
	if mux == nil {
		mux = http.NewServeMux()
		rt.muxes[segment] = mux
	}
	mux.Handle(pattern, h)
	rt.home = rt.home || pattern == homePattern
	return nil
}

// patternSegment returns the key of the mux that a pattern belongs to.
func patternSegment(pattern string) string {
	switch segment := firstSegment(pattern[strings.IndexByte(pattern, '/'):]); {
	case segment == "{$}":
		return ""
	case strings.HasPrefix(segment, "{"):
		return openSegment
	default:
		return segment
	}
}

// ownOrigins reports whether a request is for a door with origin rules of its own.
func (rt *router) ownOrigins(r *http.Request) bool {
	segment, err := url.PathUnescape(firstSegment(r.URL.EscapedPath()))
	return err == nil && rt.own[segment]
}

func firstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return segment
}

// ServeHTTP implements [http.Handler].
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segment, err := url.PathUnescape(firstSegment(r.URL.EscapedPath()))
	mux := rt.muxes[segment]
	if mux == nil || err != nil {
		mux = rt.muxes[openSegment]
	}
	var refusal http.Handler
	if mux != nil {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r) // not h: the mux sets the path's values
			return
		}
		refusal = h
	}
	refuse(w, r, refusal)
}

// refusedBodyTimeout is what net/http may look for a body that nobody reads.
const refusedBodyTimeout = 10 * time.Second

// refuse answers a request that no route matches as the mux would, 404 or 405
// with Allow, but in JSON.
func refuse(w http.ResponseWriter, r *http.Request, refusal http.Handler) {
	// net/http looks for the body that nobody has read.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBodyTimeout))
	said := recorder{header: make(http.Header), code: http.StatusNotFound}
	if refusal != nil {
		refusal.ServeHTTP(&said, r)
	}
	if said.code == http.StatusMethodNotAllowed {
		allow := said.header.Get("Allow")
		w.Header().Set("Allow", allow)
		writeError(w, said.code, runnel.Errorf(runnel.Invalid, "%s is not possible here; %s is", r.Method, allow))
		return
	}
	writeError(w, http.StatusNotFound, runnel.Errorf(runnel.NotFound, "nothing is served at %.200q", r.URL.Path))
}

// A recorder keeps the head of a response, to say the same in other words.
type recorder struct {
	header http.Header
	code   int
}

func (rec *recorder) Header() http.Header         { return rec.header }
func (rec *recorder) WriteHeader(code int)        { rec.code = code }
func (rec *recorder) Write(p []byte) (int, error) { return len(p), nil }

// writeError answers with a failure in the native form.
func writeError(w http.ResponseWriter, code int, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	type failure struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	body, _ := json.Marshal(map[string]failure{ // strings always encode
		"error": {runnel.KindOf(err).String(), runnel.PublicMessage(err)},
	})
	_, _ = w.Write(append(body, '\n'))
}

// cleanPath makes one slash of several, as clients with a base URL that ends in
// one send them. A mux would redirect, which SDKs do not follow. The request
// URI stays as it came, for signatures are made over that.
func cleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw := r.URL.EscapedPath()
		if !strings.Contains(raw, "//") {
			next.ServeHTTP(w, r)
			return
		}
		parts := strings.Split(raw, "/")
		parts = slices.DeleteFunc(parts[1:], func(s string) bool { return s == "" })
		clean := "/" + strings.Join(parts, "/")
		if strings.HasSuffix(raw, "/") && clean != "/" {
			clean += "/"
		}
		u := *r.URL
		path, err := url.PathUnescape(clean)
		if err != nil {
			writeError(w, http.StatusBadRequest, runnel.Errorf(runnel.Invalid, "the path is malformed"))
			return
		}
		u.Path, u.RawPath = path, clean
		r2 := *r
		r2.URL = &u
		next.ServeHTTP(w, &r2)
	})
}
