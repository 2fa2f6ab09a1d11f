package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// decoder understands the frames "stopped" and "end"; anything else is text.
type decoder struct{ stopped bool }

func (d *decoder) Decode(dst []runnel.Delta, frame []byte) ([]runnel.Delta, error) {
	switch string(frame) {
	case "stopped":
		d.stopped = true
		return dst, nil
	case "end":
		return append(dst, runnel.Delta{End: &runnel.End{StopReason: "end"}}), nil
	case "text and failure":
		return append(dst, runnel.Delta{Text: "text"}), &upstream.Failure{Status: 529, Detail: "key k3y"}
	}
	return append(dst, runnel.Delta{Text: string(frame)}), nil
}

func (d *decoder) Finished() *runnel.End {
	if d.stopped {
		return &runnel.End{StopReason: "stopped"}
	}
	return nil
}

func client(t *testing.T, url string) *upstream.Client {
	t.Helper()
	c, err := upstream.NewClient(upstream.Config{
		Provider: "acme", Model: "road-runner", BaseURL: url,
		Header: http.Header{"X-Key": {"k3y"}}, Secret: "k3y",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read returns what a generation says: its texts, its stop reason, its error.
func read(ctx context.Context, c *upstream.Client) (said []string, err error) {
	c.Generate(ctx, "/v1/say", []byte("{}"), upstream.EventStream(), &decoder{}, func(d runnel.Delta, e error) bool {
		switch {
		case e != nil:
			err = e
		case d.End != nil:
			said = append(said, string(d.End.StopReason))
		default:
			said = append(said, d.Text)
		}
		return true
	})
	return said, err
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	return web
}

// TestConnectionIsUsedAgain has whole answers, which leave the connection to the
// next, and one that is left early, which does not.
func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: a\n\ndata: end\n\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/long" {
			<-r.Context().Done()
		}
	}))
	var connections atomic.Int32
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	web.Start()
	t.Cleanup(web.Close)
	c := client(t, web.URL)
	for range 3 {
		if said, err := read(t.Context(), c); err != nil || strings.Join(said, " ") != "a end" {
			t.Fatalf("got %q, %v", said, err)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("3 answers took %d connections, want 1", got)
	}
	c.Generate(t.Context(), "/long", nil, upstream.EventStream(), &decoder{}, func(runnel.Delta, error) bool { return false })
	if _, err := read(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := connections.Load(); got != 2 {
		t.Errorf("after an answer that was left early: %d connections, want 2", got)
	}
}

// TestHTTP2 has a server that offers HTTP/2: leaving an answer ends its stream
// and keeps the connection.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	protocol := make(chan string, 2)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol <- r.Proto + " " + r.RemoteAddr
		_, _ = io.WriteString(w, "data: a\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	c := client(t, web.URL)
	c.Trust(web.Client().Transport.(*http.Transport))
	var seen [2]string
	for i := range seen {
		c.Generate(t.Context(), "", nil, upstream.EventStream(), &decoder{}, func(_ runnel.Delta, err error) bool {
			if err != nil {
				t.Error(err)
			}
			return false
		})
		select {
		case <-gone:
		case <-time.After(time.Second):
			t.Fatal("the stream is still open after a second")
		}
		seen[i] = <-protocol
	}
	if !strings.HasPrefix(seen[0], "HTTP/2.0") || seen[0] != seen[1] {
		t.Errorf("got %q, want HTTP/2.0 twice on one connection", seen)
	}
}

func TestTextBeforeFailure(t *testing.T) {
	t.Parallel()
	web := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: text and failure\n\n")
	})
	said, err := read(t.Context(), client(t, web.URL))
	if len(said) != 1 || runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("got %q, %v", said, err)
	}
	// The server's own text may quote the prompt: it is not part of the error's.
	if want := "the model server has failed: acme: status 529"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if f, ok := errors.AsType[*upstream.Failure](err); !ok || f.Told() != "key [key]" {
		t.Errorf("the server said %+v", f)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]runnel.Kind{
		204: runnel.Unavailable, 302: runnel.Unavailable, 307: runnel.Unavailable,
		400: runnel.Invalid, 401: runnel.Denied, 402: runnel.Denied, 403: runnel.Denied, 404: runnel.Invalid, 405: runnel.Invalid,
		408: runnel.Unavailable, 409: runnel.Unavailable, 413: runnel.Invalid, 422: runnel.Invalid, 425: runnel.Unavailable,
		429: runnel.Limited, 500: runnel.Unavailable, 502: runnel.Unavailable, 529: runnel.Unavailable,
	} {
		var followed atomic.Bool
		web := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Store(true)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		if _, err := read(t.Context(), client(t, web.URL)); runnel.KindOf(err) != want {
			t.Errorf("%d: got %v, want kind %v", status, err, want)
		} else if status == 404 && !strings.Contains(runnel.PublicMessage(err), "road-runner") {
			t.Errorf("%d: %q does not name the model", status, runnel.PublicMessage(err))
		}
		if followed.Load() {
			t.Errorf("%d: the redirect was followed", status)
		}
	}
}

// TestEndlessErrorBody has a server that goes on and on about its failure.
func TestEndlessErrorBody(t *testing.T) {
	t.Parallel()
	web := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("no ", 1000)); err != nil {
				return
			}
		}
	})
	_, err := read(t.Context(), client(t, web.URL))
	if runnel.KindOf(err) != runnel.Unavailable || len(err.Error()) > 4<<10 {
		t.Errorf("got %d bytes of error, kind %v", len(err.Error()), runnel.KindOf(err))
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	web := serve(t, func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path })
	for base, want := range map[string]string{"": "/v1/say", "/": "/v1/say", "/a/b": "/a/b/v1/say", "/a/b/": "/a/b/v1/say"} {
		_, _ = read(t.Context(), client(t, web.URL+base))
		if got := <-paths; got != want {
			t.Errorf("base %q: got path %s, want %s", base, got, want)
		}
	}
	for _, base := range []string{"", "acme", "acme:80", "ftp://acme", "http://", "http://a b", ":"} {
		if _, err := upstream.NewClient(upstream.Config{Provider: "acme", BaseURL: base}); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("base %q: got %v, want an Invalid error", base, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		seconds, milliseconds string
		want                  time.Duration
	}{
		{"", "", 0},
		{"3", "", 3 * time.Second},
		{"0.5", "", 500 * time.Millisecond},
		{"3", "250", 250 * time.Millisecond},
		{"3", "soon", 3 * time.Second},
		{"Thu, 01 Jan 2026 12:00:30 GMT", "", 30 * time.Second},
		{"Thu, 01 Jan 2026 11:00:00 GMT", "", 0},
		{"-5", "", 0},
		{"NaN", "", 0},
		{"1e300", "", 24 * time.Hour},
		{"Inf", "", 24 * time.Hour},
		{"soon", "", 0},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.seconds}, "Retry-After-Ms": {tt.milliseconds}}
		if got := upstream.RetryAfter(h, now); got != tt.want {
			t.Errorf("%v: got %v, want %v", h, got, tt.want)
		}
	}
}

func TestContextError(t *testing.T) {
	t.Parallel()
	if err := upstream.ContextError(t.Context()); err != nil {
		t.Errorf("got %v from a live context", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := upstream.ContextError(late); runnel.KindOf(err) != runnel.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v after the deadline", err)
	}
	stopped, stop := context.WithCancelCause(t.Context())
	stop(fmt.Errorf("somebody stopped it"))
	if err := upstream.ContextError(stopped); runnel.KindOf(err) != runnel.Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after a stop", err)
	}
}
