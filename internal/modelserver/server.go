package modelserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	maxBody = 64 << 20 // prompts with images are large

	// maxCounted bounds the questions whose requests are counted for fail-first.
	maxCounted = 10_000

	shutdownTime = 2 * time.Second
)

// A Server answers like a language model. It is an [http.Handler].
type Server struct {
	options Options
	mux     *http.ServeMux
	stats   counters

	mu     sync.Mutex
	counts map[string]int // requests by question, for those with fail-first
}

var _ http.Handler = (*Server)(nil)

// New returns a server that answers as o says.
func New(o Options) *Server {
	if o.Tokens == 0 {
		o.Tokens = DefaultTokens
	}
	s := &Server{options: o, mux: http.NewServeMux(), counts: make(map[string]int)}
	s.mux.Handle("POST /v1/chat/completions", s.answer(openAI))
	s.mux.Handle("POST /v1/messages", s.answer(anthropic))
	s.mux.Handle("POST /model/{id}/converse", s.answer(converse))
	s.mux.Handle("POST /model/{id}/converse-stream", s.answer(converseStream))
	s.mux.Handle("POST /model/{id}/invoke", s.answer(invoke))
	s.mux.Handle("POST /model/{id}/invoke-with-response-stream", s.answer(invokeStream))
	s.mux.Handle("POST /api/chat", s.answer(ollama))
	s.mux.HandleFunc("GET /v1/models", serveModels)
	s.mux.HandleFunc("GET /stats", s.serveStats)
	s.mux.HandleFunc("DELETE /stats", s.serveReset)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Stats returns the server's counters.
func (s *Server) Stats() Stats { return s.stats.snapshot() }

// Run serves HTTP/1.1 and HTTP/2, both without TLS, on ln until ctx is done.
// It breaks off what is still being answered then.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler:           s,
		Protocols:         &protocols,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends the streams
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: math.MaxInt32},
	}
	served := make(chan error, 1) // Serve's only result
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err := srv.Shutdown(deadline)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close() // connections that never sent a request
	}
	<-served
	return err
}

// A dialect is one protocol's requests and errors.
type dialect struct {
	// parse reads a request and chooses the encoder of its answer.
	parse func(r *http.Request, body []byte) (question, encoder, error)
	// refuse writes an error; name may be empty.
	refuse func(w http.ResponseWriter, status int, name, message string)
}

// A question is what the server needs to know of a request.
type question struct {
	text      string // of the last user message
	words     int    // in all messages: what is reported as input tokens
	maxTokens int    // zero: no limit
	stream    bool
	beginning string // of the answer, which goes on from there
}

// answer returns the handler of a dialect's requests.
func (s *Server) answer(d dialect) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		s.stats.requests.Add(1)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.refuse(w, d, http.StatusBadRequest, "", err.Error())
			return
		}
		q, enc, err := d.parse(r, body)
		if err != nil {
			s.refuse(w, d, http.StatusBadRequest, "", err.Error())
			return
		}
		o, err := s.optionsFor(r, q)
		if err != nil {
			s.refuse(w, d, http.StatusBadRequest, "", err.Error())
			return
		}
		if status := s.refusal(&o, q); status != 0 {
			if o.Fault.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(o.Fault.RetryAfter.Seconds()))))
			}
			s.refuse(w, d, status, o.Fault.Error, "a fault that was asked for")
			return
		}
		if q.beginning != "" {
			s.stats.continued.Add(1)
		}
		st := newStream(s, w, q, enc, &o, start)
		if q.stream {
			st.run(r.Context())
		} else {
			st.whole(r.Context())
		}
	})
}

func (s *Server) refuse(w http.ResponseWriter, d dialect, status int, name, message string) {
	s.stats.refused.Add(1)
	d.refuse(w, status, name, message)
}

// optionsFor returns the server's options with a request's own settings.
func (s *Server) optionsFor(r *http.Request, q question) (Options, error) {
	o := s.options
	if err := o.Set(r.Header.Get("X-Model-Server")); err != nil {
		return o, err
	}
	return o, o.setMarkers(q.text)
}

// refusal returns the status with which a request is to fail, or zero.
func (s *Server) refusal(o *Options, q question) int {
	if o.Fault.FailFirst == 0 {
		return o.Fault.Status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.counts) >= maxCounted {
		clear(s.counts)
	}
	s.counts[q.text]++
	switch {
	case s.counts[q.text] > o.Fault.FailFirst:
		return 0
	case o.Fault.Status == 0:
		return http.StatusServiceUnavailable
	}
	return o.Fault.Status
}

func (s *Server) serveStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, s.Stats())
}

func (s *Server) serveReset(w http.ResponseWriter, _ *http.Request) {
	s.stats.reset()
	w.WriteHeader(http.StatusNoContent)
}

// writeJSON writes v. An error means that the client has gone: nobody is left
// to be told.
func writeJSON(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
