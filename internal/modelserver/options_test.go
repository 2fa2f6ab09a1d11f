package modelserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/modelserver"
)

func TestSet(t *testing.T) {
	t.Parallel()
	var got modelserver.Options
	err := got.Set(" ttft=250ms tps=40.5  jitter=1 tokens=7 stamp=1 tag=x status=503 retry-after=2s fail-first=3 stall-after=9 inside=true error=e")
	if err != nil {
		t.Fatal(err)
	}
	want := modelserver.Options{
		TTFT: 250 * time.Millisecond, TPS: 40.5, Jitter: time.Second, Tokens: 7, Stamp: true, Tag: "x",
		Fault: modelserver.Fault{
			Status: 503, RetryAfter: 2 * time.Second, FailFirst: 3,
			Stream: modelserver.Stall, After: 9, Inside: true, Error: "e",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"x=1", "tokens", "tokens=x", "tokens=99999999", "tps=-1", "tps=Inf", "ttft=-1s", "ttft=x", "status=0", "stamp=maybe", "never-after=1"} {
		if err := new(modelserver.Options).Set(bad); err == nil {
			t.Errorf("Set(%q) accepted it", bad)
		}
	}
}

// FuzzMarkers holds any question to an answer, if only a refusal.
func FuzzMarkers(f *testing.F) {
	f.Add("a [[tokens=1]] [[fault:cut-after=2 inside=1]] [[link]] [[")
	f.Fuzz(func(t *testing.T, text string) {
		gone, cancel := context.WithCancel(t.Context())
		cancel() // so that nothing is waited for
		body := strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":` + quote(text) + "}]}")
		w := httptest.NewRecorder()
		modelserver.New(modelserver.Options{Tokens: 1}).ServeHTTP(w, httptest.NewRequestWithContext(gone, http.MethodPost, "/v1/chat/completions", body))
		if w.Code < 400 && w.Code != 200 {
			t.Errorf("%q was answered with %d", text, w.Code)
		}
	})
}
