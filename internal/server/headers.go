package server

import (
	"net/http"
	"slices"
)

// hsts makes a browser that has come with TLS come with nothing else for a year.
const hsts = "max-age=31536000"

// harden sets what every answer carries, and what ends a connection.
func (s *Server) harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if s.cfg.HSTS && r.TLS != nil {
			h.Set("Strict-Transport-Security", hsts)
		}
		// Where a chunked body ends, a proxy that goes by a Content-Length beside
		// it may see differently; net/http takes that header away and does not
		// tell. What follows must not be taken for somebody's next request.
		if r.ProtoMajor == 1 && slices.Contains(r.TransferEncoding, "chunked") {
			h.Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Page serves what people look at: other sites cannot put it into a frame, and
// nothing runs on it but what policy names, a Content-Security-Policy without
// frame-ancestors and base-uri.
func Page(policy string, next http.Handler) http.Handler {
	policy += "; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer") // an address may hold a token
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
