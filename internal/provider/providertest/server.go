package providertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
)

// soon is how long something may take that should happen at once.
const soon = 5 * time.Second

// A server is a model server that follows a script.
type server struct {
	vendor   Vendor
	provider runnel.Provider
	gone     chan struct{} // gets a value when a client has left an unfinished answer
	over     chan struct{} // closed when the test ends
}

// A session is one request of a script.
type session struct {
	*server
	w       http.ResponseWriter
	request *http.Request
	body    []byte
}

// serve starts a server that runs script for each request.
func serve(t *testing.T, v Vendor, script func(*session)) *server {
	t.Helper()
	s := &server{vendor: v, gone: make(chan struct{}, 1), over: make(chan struct{})}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("server: read request: %v", err)
		}
		script(&session{server: s, w: w, request: r, body: body})
	}))
	t.Cleanup(func() {
		close(s.over)
		web.CloseClientConnections()
		web.Close()
	})
	s.provider = v.Open(t, web.URL)
	return s
}

// send writes frames, each in a packet of its own as far as that can be had.
func (s *session) send(frames ...[]byte) {
	if s.w.Header().Get("Content-Type") == "" {
		s.w.Header().Set("Content-Type", s.vendor.ContentType)
	}
	for _, frame := range frames {
		_, _ = s.w.Write(frame) // the client may be gone, which is for it to know
		_ = http.NewResponseController(s.w).Flush()
	}
}

// answer sends a whole answer.
func (s *session) answer(a Answer) {
	content, end := s.vendor.Frames(a)
	s.send(content...)
	s.send(end...)
}

// hang keeps the answer open until the client leaves.
func (s *session) hang() {
	select {
	case <-s.request.Context().Done():
		select {
		case s.gone <- struct{}{}:
		default:
		}
	case <-s.over:
	}
}

// cut breaks the connection without ending the body.
func (s *session) cut() { panic(http.ErrAbortHandler) }

// refuse answers with a status. The text holds what must not reach clients.
func (s *session) refuse(status int) {
	if s.vendor.Refuse != nil {
		s.vendor.Refuse(s.w, status, detail+" "+Secret)
		return
	}
	http.Error(s.w, detail+" "+Secret, status)
}

// left waits until the client has left.
func (s *server) left(t *testing.T) {
	t.Helper()
	select {
	case <-s.gone:
	case <-time.After(soon):
		t.Errorf("the upstream connection is still open after %v", soon)
	}
}
