package providertest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

func testBreak(t *testing.T, v Vendor) {
	s := serve(t, v, func(s *session) {
		content, _ := v.Frames(greeting())
		s.send(content...)
		s.hang()
	})
	for _, err := range s.provider.Generate(t.Context(), prompt()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	s.left(t)
}

func testCancel(t *testing.T, v Vendor) {
	s := serve(t, v, func(s *session) {
		content, _ := v.Frames(greeting())
		s.send(content...)
		s.hang()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.provider.Generate(ctx, prompt()) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v, want ctx's error", last)
	}
	checkError(t, last, runnel.Cancelled)
	s.left(t)
}

// testSilence lets the deadline pass before the header, before the first frame,
// and in the middle.
func testSilence(t *testing.T, v Vendor) {
	content, _ := v.Frames(greeting())
	scripts := map[string]func(*session){
		"no header": func(*session) {},
		"no frame":  func(s *session) { s.send(nil) },
		"half":      func(s *session) { s.send(content[0], content[1][:len(content[1])/2]) },
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, v, func(s *session) {
				script(s)
				s.hang()
			})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, _, err := collect(ctx, t, s.provider, prompt())
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want ctx's error", err)
			}
			checkError(t, err, runnel.Unavailable, runnel.Cancelled)
			s.left(t)
		})
	}
}

// testBroken has answers that stop, or go wrong, after two fragments.
func testBroken(t *testing.T, v Vendor) {
	garbage := v.Garbage
	if garbage == nil {
		garbage = []byte("<html>this is not what was asked for</html>\n\n")
	}
	content, end := v.Frames(greeting())
	scripts := map[string]func(*session){
		"cut in a frame":      func(s *session) { s.send(content[2][:len(content[2])/2]); s.cut() },
		"cut between frames":  func(s *session) { s.send(content[2]); s.cut() },
		"ends in a frame":     func(s *session) { s.send(content[2][:len(content[2])/2]) },
		"ends too early":      func(s *session) { s.send(content[2]) },
		"garbage":             func(s *session) { s.send(garbage); s.send(content[2:]...); s.send(end...) },
		"huge":                func(s *session) { s.send(v.Huge()); s.send(end...) },
		"garbage, then quiet": func(s *session) { s.send(garbage); s.send(content[2]); s.hang() },
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, v, func(s *session) {
				s.send(content[0], content[1])
				script(s)
			})
			got, _, err := collect(t.Context(), t, s.provider, prompt())
			checkError(t, err, runnel.Unavailable)
			if diff := cmp.Diff(greeting().Reasoning, got.Reasoning); diff != "" {
				t.Errorf("what came before is lost (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("not a stream", func(t *testing.T) {
		t.Parallel()
		s := serve(t, v, func(s *session) {
			s.w.Header().Set("Content-Type", "text/html")
			s.send([]byte("<html>" + detail + " " + Secret + "</html>"))
		})
		_, _, err := collect(t.Context(), t, s.provider, prompt())
		checkError(t, err, runnel.Unavailable)
	})
}

func testFailure(t *testing.T, v Vendor) {
	content, _ := v.Frames(greeting())
	s := serve(t, v, func(s *session) {
		s.send(content[0], content[1], v.Failure(detail+" "+Secret))
		s.hang()
	})
	got, _, err := collect(t.Context(), t, s.provider, prompt())
	checkError(t, err, runnel.Unavailable)
	if len(got.Reasoning) != 2 {
		t.Errorf("got %q before the failure", got.Reasoning)
	}
	s.left(t)
}

func testRefusals(t *testing.T, v Vendor) {
	for status, want := range map[int]runnel.Kind{
		400: runnel.Invalid, 401: runnel.Denied, 404: runnel.Invalid, 429: runnel.Limited, 500: runnel.Unavailable, 503: runnel.Unavailable,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			s := serve(t, v, func(s *session) {
				requests.Add(1)
				s.refuse(status)
			})
			_, _, err := collect(t.Context(), t, s.provider, prompt())
			checkError(t, err, want)
			if n := requests.Load(); n != 1 {
				t.Errorf("the provider tried %d times, want once", n)
			}
		})
	}
}

func testRetryAfter(t *testing.T, v Vendor) {
	s := serve(t, v, func(s *session) {
		s.w.Header().Set("Retry-After", "7")
		s.refuse(http.StatusTooManyRequests)
	})
	_, _, err := collect(t.Context(), t, s.provider, prompt())
	if e := checkError(t, err, runnel.Limited); e.RetryAfter != 7*time.Second {
		t.Errorf("got RetryAfter %v, want 7s", e.RetryAfter)
	}
}

func testNobody(t *testing.T, v Vendor) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, _, err := collect(t.Context(), t, v.Open(t, closed.URL), prompt())
	checkError(t, err, runnel.Unavailable)
}
