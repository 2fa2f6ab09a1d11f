package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "localhost:8080", "ftp://x", "http://", "http://x/?a=b", ":"} {
		if _, err := client.New(u); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("New(%q): %v", u, err)
		}
	}
}

// A lost acknowledgement makes the client submit again, under the same key.
func TestSubmitOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var keys, bodies []string
		want := runnel.Receipt{Session: "a/b ..", Generation: "g", Cursor: cursor(3)}
		c, _ := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
			if r.Method != http.MethodPost || r.URL.EscapedPath() != "/v1/sessions/a%2Fb%20../prompts" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("unexpected request %s %s %v", r.Method, r.URL.EscapedPath(), r.Header)
			}
			if len(keys) == 1 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusAccepted)
			_ = json.NewEncoder(w).Encode(want)
		}))
		got, err := c.Submit(t.Context(), "a/b ..", client.Prompt{Text: "why?", Model: "fast"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("receipt differs (-want +got):\n%s", diff)
		}
		if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
			t.Errorf("the keys were %q, want the same one twice", keys)
		}
		if want := `{"prompt":"why?","model":"fast"}`; bodies[1] != want {
			t.Errorf("the body was %s, want %s", bodies[1], want)
		}
	})
}

func TestCallErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply http.HandlerFunc
		kind  runnel.Kind
		msg   string
		tries int
	}{
		"ours": {func(w http.ResponseWriter, _ *http.Request) {
			(&writer{ResponseWriter: w}).refuse(http.StatusBadRequest, runnel.Invalid, "the prompt is empty")
		}, runnel.Invalid, "the prompt is empty", 1},
		"limited": {func(w http.ResponseWriter, _ *http.Request) {
			(&writer{ResponseWriter: w}).refuse(http.StatusTooManyRequests, runnel.Limited, "slowly")
		}, runnel.Limited, "slowly", 4},
		"timeout":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(408) }, runnel.Invalid, "the gateway answered 408 Request Timeout", 4},
		"proxy":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, runnel.Unavailable, "the gateway answered 502 Bad Gateway", 4},
		"cut":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, runnel.Unavailable, "the gateway cannot be reached", 4},
		"not json": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, runnel.Internal, "internal error", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				c, _ := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					tries++
					tt.reply(w, r)
				}))
				_, err := c.Generation(t.Context(), "g")
				if runnel.KindOf(err) != tt.kind || runnel.PublicMessage(err) != tt.msg || tries != tt.tries {
					t.Errorf("got %v of kind %v after %d tries, want %q of kind %v after %d", err, runnel.KindOf(err), tries, tt.msg, tt.kind, tt.tries)
				}
			})
		})
	}
}

func TestCancelAndTranscript(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /v1/generations/g/cancel", func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(runnel.Generation{ID: "g", State: runnel.Running, Cancelling: true})
		})
		mux.HandleFunc("GET /v1/sessions/s", func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(runnel.Transcript{Session: "s", Cursor: cursor(4)})
		})
		c, _ := connect(t, mux)
		g, err := c.Cancel(t.Context(), "g")
		if err != nil || !g.Cancelling {
			t.Errorf("got %+v, %v", g, err)
		}
		tr, err := c.Transcript(t.Context(), "s")
		if err != nil || tr.Cursor != cursor(4) {
			t.Errorf("got %+v, %v", tr, err)
		}
	})
}

// The key goes along with calls and streams; without one nothing does.
func TestAPIKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"": "", "rnl_1": "Bearer rnl_1"} {
		seen := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization")
			w.WriteHeader(http.StatusUnauthorized)
		}))
		c, err := client.New(server.URL, client.WithHTTPClient(server.Client()), client.WithAPIKey(key))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Transcript(t.Context(), "s"); runnel.KindOf(err) != runnel.Unauthenticated {
			t.Errorf("the call: %v", err)
		}
		if got := <-seen; got != want {
			t.Errorf("the call showed %q, want %q", got, want)
		}
		for _, err := range c.Stream(t.Context(), "s", runnel.Cursor{}) {
			if runnel.KindOf(err) != runnel.Unauthenticated {
				t.Errorf("the stream: %v", err)
			}
		}
		if got := <-seen; got != want {
			t.Errorf("the stream showed %q, want %q", got, want)
		}
		server.Close()
	}
}
