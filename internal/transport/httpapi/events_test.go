package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

func TestResume(t *testing.T) {
	t.Parallel()
	r := start(t, says("a", "b", "c"), nil)
	r.await(t, r.submit(t, "s", "why?").Generation)
	r.await(t, r.submit(t, "s", "and?").Generation) // the model has nothing more to say
	all := frames(r.do(t, "GET", "/v1/sessions/s/events", ""))
	var want []event
	for done := 0; done < 2; {
		ev := next(t, all)
		want = append(want, ev)
		if ev.Type == "generation.done" {
			done++
		}
	}
	for i := range want[:len(want)-1] {
		byQuery := frames(r.do(t, "GET", "/v1/sessions/s/events?after="+want[i].ID, ""))
		byHeader := frames(r.do(t, "GET", "/v1/sessions/s/events?after=latest", "", "Last-Event-ID: "+want[i].ID))
		for j := i + 1; j < len(want); j++ {
			if diff := cmp.Diff(want[j], next(t, byQuery)); diff != "" {
				t.Fatalf("after event %d by ?after= (-want +got):\n%s", i, diff)
			}
			if diff := cmp.Diff(want[j], next(t, byHeader)); diff != "" {
				t.Fatalf("after event %d by Last-Event-ID (-want +got):\n%s", i, diff)
			}
		}
	}
	// From the end on: the head comes at once, then only what is new.
	latest := frames(r.do(t, "GET", "/v1/sessions/s/events?after=latest", ""))
	last := frames(r.do(t, "GET", "/v1/sessions/s/events?after="+want[len(want)-1].ID, ""))
	gen := r.submit(t, "s", "so?").Generation
	for name, ev := range map[string]event{"latest": next(t, latest), "the last": next(t, last)} {
		if ev.Type != "generation.queued" || !strings.Contains(ev.Data, string(gen)) {
			t.Errorf("after %s event: got %v", name, ev)
		}
	}
}

func TestSessionInPath(t *testing.T) {
	t.Parallel()
	r := start(t, says("x"), nil)
	for path, want := range map[string]runnel.SessionID{
		"a%2Fb":           "a/b",
		"a%252Fb":         "a%2Fb",
		"%C3%A4%20+b":     "ä +b",
		"..%2F..%2Fetc":   "../../etc",
		"a%3Fb%23c%2F%2F": "a?b#c//",
	} {
		resp := r.do(t, "GET", "/v1/sessions/"+path, "")
		if got := decode[runnel.Transcript](t, resp); got.Session != want {
			t.Errorf("%s is %q, want %q", path, got.Session, want)
		}
	}
}

// An expired log has lost what is before a position.
type expired struct{ runnel.Sessions }

func (e expired) Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error) {
	if !after.IsZero() {
		return nil, runnel.Errorf(runnel.Gone, "this position is past its retention")
	}
	return e.Sessions.Read(ctx, id, after)
}

func TestGone(t *testing.T) {
	t.Parallel()
	r := start(t, says("x"), func(s runnel.Sessions) runnel.Sessions { return expired{s} })
	receipt := r.submit(t, "s", "why?")
	r.await(t, receipt.Generation)
	resp := r.do(t, "GET", "/v1/sessions/s/events?after="+receipt.Cursor.String(), "")
	if got := decode[struct{ Error runnel.Failure }](t, resp); resp.StatusCode != http.StatusGone || got.Error.Kind != "gone" {
		t.Errorf("%s: %+v", resp.Status, got)
	}
	// After the first byte it can only be said on the stream.
	stream := frames(r.do(t, "GET", "/v1/sessions/s/events", ""))
	for {
		ev := next(t, stream)
		if ev.Type == "error" {
			if want := `{"kind":"gone","message":"this position is past its retention"}`; ev.Data != want {
				t.Errorf("got %s, want %s", ev.Data, want)
			}
			break
		}
	}
	if _, err := stream.Next(); err == nil {
		t.Error("the stream goes on")
	}
}

// TestCursorOfAnOlderEpoch has a reader at the end of a log that has begun a new
// epoch: there is nothing to tell it yet, and its head must not wait for that.
func TestCursorOfAnOlderEpoch(t *testing.T) {
	t.Parallel()
	r := start(t, says("x"), nil)
	receipt := r.submit(t, "s", "why?")
	r.await(t, receipt.Generation)
	end := decode[runnel.Transcript](t, r.do(t, "GET", "/v1/sessions/s", "")).Cursor
	r.engine.Crash(0)
	if resp := r.do(t, "GET", "/v1/sessions/s/events", "", "Last-Event-ID: "+end.String()); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestEventSource reads a session as a browser does: it comes back where it was
// whenever it loses its connection, and sees each event once.
func TestEventSource(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, nil)
	r.submit(t, "s", "why?")
	go func() {
		for c := range strings.SplitSeq("the quick brown fox jumps over the lazy dog", "") {
			m <- c
		}
		close(m)
	}()
	var text strings.Builder
	last, seen := "", make(map[string]bool)
	for ended := false; !ended; {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", r.url+"/v1/sessions/s/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		stream := frames(resp)
		for range 3 { // then the connection is lost
			ev := next(t, stream)
			if seen[ev.ID] {
				t.Errorf("%s came twice", ev.ID)
			}
			seen[ev.ID], last = true, ev.ID
			got := decodeText(t, ev)
			text.WriteString(got)
			if ended = ev.Type == "generation.done"; ended {
				break
			}
		}
		cancel()
		_ = resp.Body.Close()
	}
	if got, want := text.String(), "the quick brown fox jumps over the lazy dog"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func decodeText(t *testing.T, ev event) string {
	t.Helper()
	if ev.Type != "delta" {
		return ""
	}
	return decode[struct{ Text string }](t, &http.Response{Body: io.NopCloser(strings.NewReader(ev.Data))}).Text
}

func FuzzCursor(f *testing.F) {
	core := session.New(memlog.New(), says(), session.Config{})
	mux := http.NewServeMux()
	httpapi.New(core, httpapi.Config{}).Register(mux.Handle)
	for _, s := range []string{"", "0", "latest", "abc-1", "abc-01", "-", "a-18446744073709551616", "é-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodHead, "/v1/sessions/s/events", nil)
		r.Header["Last-Event-Id"] = []string{cursor}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("cursor %q: %d %s", cursor, w.Code, w.Body)
		}
	})
}

// An outage passes, and an EventSource gives up for good on any status but 200.
func TestOutageDoesNotLosePages(t *testing.T) {
	t.Parallel()
	r := start(t, says(), func(s runnel.Sessions) runnel.Sessions {
		return failing{s, runnel.Errorf(runnel.Unavailable, "the engine does not answer")}
	})
	resp := r.do(t, "GET", "/v1/sessions/s/events", "", "Accept: text/event-stream")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := string(body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(got, "retry: ") || !strings.Contains(got, `event: error`+"\n"+`data: {"kind":"unavailable","message":"the engine does not answer"}`) {
		t.Errorf("got %d\n%s", resp.StatusCode, got)
	}
	if resp := r.do(t, "GET", "/v1/sessions/s/events", ""); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a client that did not ask for an event stream got %d", resp.StatusCode)
	}
}
