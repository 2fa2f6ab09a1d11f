package reply_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/sse"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	for kind, want := range map[runnel.Kind]int{
		runnel.Internal: 500, runnel.Invalid: 400, runnel.Unauthenticated: 401, runnel.Denied: 403, runnel.NotFound: 404,
		runnel.Conflict: 409, runnel.Gone: 410, runnel.Limited: 429, runnel.Unavailable: 503, runnel.Cancelled: 499,
	} {
		err := error(runnel.Errorf(kind, "no"))
		if got := reply.Status(err); got != want {
			t.Errorf("%v is %d, want %d", kind, got, want)
		}
		h := http.Header{}
		reply.RetryAfter(h, err)
		if got := h.Get("Retry-After"); (got == "1") != (want == 429 || want == 503) {
			t.Errorf("%v: Retry-After is %q", kind, got)
		}
	}
	if got := reply.Status(reply.StatusError{418, runnel.Errorf(runnel.Invalid, "no")}); got != 418 {
		t.Errorf("a status of its own is %d", got)
	}
	h := http.Header{}
	reply.RetryAfter(h, &runnel.Error{Kind: runnel.Limited, RetryAfter: 1500 * time.Millisecond})
	if got := h.Get("Retry-After"); got != "2" {
		t.Errorf("a second and a half is %q", got)
	}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body string
		want int
	}{{"12345", 0}, {"123456", http.StatusRequestEntityTooLarge}} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
		data, err := reply.ReadBody(httptest.NewRecorder(), r, 5, time.Minute)
		if tt.want == 0 && (err != nil || string(data) != tt.body) || tt.want != 0 && reply.Status(err) != tt.want {
			t.Errorf("%q: %q, %v", tt.body, data, err)
		}
	}
}

// A slow answer ends at a moment.
type slow time.Time

func (s slow) Read(ctx context.Context, _ runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	if after.IsZero() {
		return []runnel.Event{{Cursor: runnel.Cursor{Epoch: "e", Seq: 1}, Type: runnel.EventStarted, Model: "m"}}, nil
	}
	select {
	case <-time.After(time.Until(time.Time(s))):
		return []runnel.Event{{Cursor: runnel.Cursor{Epoch: "e", Seq: 2}, Type: runnel.EventDone}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// plain frames say what happens.
type plain struct{ opens string }

func (p plain) Open(dst []byte) []byte { return append(dst, p.opens...) }

func (plain) Fail(dst []byte, err error) []byte { return append(dst, "failed: "+err.Error()...) }

func (plain) Frame(dst []byte, pieces []answer.Piece) []byte {
	for _, p := range pieces {
		if p.End != nil {
			dst = append(dst, "end"...)
		}
	}
	return dst
}

func TestStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		begun, err := reply.Stream(t.Context(), w, answer.Follow(slow(time.Now().Add(25*time.Second)), runnel.Receipt{}), plain{}, sse.Config{Heartbeat: 10 * time.Second})
		if want := ": ping\n\n: ping\n\nend"; !begun || err != nil || w.Body.String() != want {
			t.Errorf("%v, %v: %q", begun, err, w.Body)
		}
	})
}

func TestStreamTellsWhyItEnds(t *testing.T) {
	t.Parallel()
	for opens, want := range map[string]string{"": "", "open ": "open failed: stopping"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			stopping := errors.New("stopping")
			time.AfterFunc(time.Second, func() { cancel(stopping) })
			w := httptest.NewRecorder()
			begun, err := reply.Stream(ctx, w, answer.Follow(slow(time.Now().Add(time.Minute)), runnel.Receipt{}), plain{opens}, sse.Config{})
			if begun != (opens != "") || !errors.Is(err, stopping) || w.Body.String() != want {
				t.Errorf("%v, %v: %q, want %q", begun, err, w.Body, want)
			}
		})
	}
}
