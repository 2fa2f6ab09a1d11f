package server

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/rs/cors"

	"github.com/runnelhq/runnel"
)

const requestIDHeader = "X-Request-Id"

// handler puts everything together, innermost first.
func (s *Server) handler() (http.Handler, error) {
	rt := &router{muxes: make(map[string]*http.ServeMux), own: make(map[string]bool)}
	var err error
	for _, d := range append(slices.Clip(s.cfg.Doors), s.own()) {
		d.Register(func(pattern string, h http.Handler) {
			if err == nil {
				err = rt.add(pattern, s.recoverPanics(&d, h))
			}
			if err == nil && d.OwnOrigins {
				rt.own[patternSegment(pattern)] = true
			}
		})
	}
	if err == nil && !rt.home {
		err = rt.add(homePattern, s.recoverPanics(&Door{Name: "page"}, page()))
	}
	if err != nil {
		return nil, err
	}
	clean := cleanPath(rt)
	checked := s.originRules(clean)
	ruled := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.ownOrigins(r) {
			clean.ServeHTTP(w, r)
			return
		}
		checked.ServeHTTP(w, r)
	})
	return s.cfg.Proxies.Resolve(s.identify(s.harden(ruled))), nil
}

// own is the door of what the server itself answers.
func (s *Server) own() Door {
	return Door{Name: "server", Register: func(handle func(string, http.Handler)) {
		handle("GET /healthz", http.HandlerFunc(healthz))
		handle("GET /readyz", http.HandlerFunc(s.readyz))
		if s.cfg.Metrics != nil {
			handle("GET /metrics", s.cfg.Metrics)
		}
		if s.cfg.OpenAPI != nil {
			handle("GET /openapi.yaml", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/yaml")
				_, _ = w.Write(s.cfg.OpenAPI)
			}))
		}
	}}
}

// identify gives each request an id, which its response carries, and logs it
// when it has been answered.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = strconv.FormatUint(rand.Uint64(), 36)
		}
		w.Header().Set(requestIDHeader, id)
		if s.cfg.Trace != nil && r.Header.Get("Traceparent") != "" {
			r = r.WithContext(s.cfg.Trace(r.Context(), r.Header))
		}
		if !s.log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		begin := time.Now()
		seen := &responseWriter{ResponseWriter: w}
		defer func() { // also when the connection is aborted
			s.log.DebugContext(r.Context(), "request", "request_id", id, "method", r.Method, "path", r.URL.Path,
				"proto", r.Proto, "remote", r.RemoteAddr, "status", seen.code, "took", time.Since(begin))
		}()
		next.ServeHTTP(seen, r)
	})
}

// validRequestID accepts ids that a proxy may have given, and nothing that
// would look odd in a log.
func validRequestID(id string) bool {
	for _, b := range []byte(id) {
		if b <= ' ' || b >= 0x7f || b == '"' || b == '\\' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}

// originRules keeps other sites' pages out: a browser sends their requests
// without asking when they look simple, and this port may trust whoever
// reaches it. Allowed origins get CORS.
func (s *Server) originRules(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.cfg.Local && !s.cfg.Origins.AllowHost(r.Host):
			writeError(w, http.StatusForbidden, runnel.Errorf(runnel.Denied,
				"nobody here asks for credentials, so this server answers to localhost only, not to %.200q; see the setting cors_origins", r.Host))
		case protection.Check(r) != nil && !s.cfg.Origins.Allow(r):
			writeError(w, http.StatusForbidden, runnel.Errorf(runnel.Denied,
				"pages from %.200q may not do this; see the setting cors_origins", r.Header.Get("Origin")))
		default:
			next.ServeHTTP(w, r)
		}
	})
	if s.cfg.Origins.None() {
		return guarded
	}
	return cors.New(s.corsOptions()).Handler(guarded)
}

func (s *Server) corsOptions() cors.Options {
	o := cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		// Any header: the doors' clients have many (Last-Event-ID,
		// Idempotency-Key, those of AWS), and it is the origin that is trusted.
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{
			"Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Runnel-Generation", "Runnel-Session", requestIDHeader,
			"X-Amz-Lex-Input-Mode", "X-Amz-Lex-Input-Transcript", "X-Amz-Lex-Interpretations", "X-Amz-Lex-Messages",
			"X-Amz-Lex-Request-Attributes", "X-Amz-Lex-Session-Id", "X-Amz-Lex-Session-State",
			"X-Amzn-Errortype", "X-Amzn-Requestid", "X-Amz-Apigw-Id", "X-Vercel-Ai-Ui-Message-Stream",
		},
		MaxAge: 7200, // seconds; the most that browsers heed
	}
	if s.cfg.Origins.Any() {
		o.AllowedOrigins = []string{"*"}
		return o
	}
	o.AllowOriginFunc = s.cfg.Origins.Lists
	o.AllowCredentials = true // cookies, of those whom the operator names
	return o
}

// recoverPanics turns a panic into the door's answer, or into a cut connection
// if an answer has begun, and logs where it came from.
func (s *Server) recoverPanics(d *Door, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &responseWriter{ResponseWriter: w}
		defer func() {
			v := recover()
			switch v {
			case nil:
				return
			case http.ErrAbortHandler:
				panic(v)
			}
			s.log.ErrorContext(r.Context(), "panic", "door", d.Name, "method", r.Method, "path", r.URL.Path,
				"request_id", w.Header().Get(requestIDHeader), "panic", v, "stack", string(debug.Stack()))
			if seen.code != 0 {
				panic(http.ErrAbortHandler)
			}
			d.fail(seen, fmt.Errorf("server: panic: %v", v))
		}()
		next.ServeHTTP(seen, r)
	})
}

// A responseWriter remembers how far a response has come.
type responseWriter struct {
	http.ResponseWriter
	code int // 0 until the head is written; 101 once the connection is hijacked
}

func (w *responseWriter) WriteHeader(code int) {
	if w.code == 0 && code >= 200 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements [http.Flusher].
func (w *responseWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Hijack implements [http.Hijacker].
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.code = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}
