package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

// A lost acknowledgement makes the client publish again, under the same key.
func TestPublishOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var keys, bodies []string
		c, _ := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
			if r.Method != http.MethodPost || r.URL.EscapedPath() != "/v1/sessions/s/events" {
				t.Errorf("unexpected request %s %s", r.Method, r.URL.EscapedPath())
			}
			if len(keys) == 1 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusAccepted)
			_ = json.NewEncoder(w).Encode(runnel.Receipt{Session: "s", Generation: "g", Cursor: cursor(3)})
		}))
		got, err := c.Publish(t.Context(), "s", client.Piece{Type: runnel.EventDelta, Data: json.RawMessage(`{"n":1}`), Model: "mine"})
		if err != nil || got.Generation != "g" {
			t.Fatalf("%+v, %v", got, err)
		}
		if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
			t.Errorf("the keys were %q, want the same one twice", keys)
		}
		if want := `{"data":{"n":1},"model":"mine","text":"","type":"delta"}`; bodies[1] != want {
			t.Errorf("the body was %s, want %s", bodies[1], want)
		}
	})
}

func TestPublishStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			(&writer{ResponseWriter: w}).refuse(http.StatusConflict, runnel.Cancelled, "the generation was stopped")
		}))
		if _, err := c.Publish(t.Context(), "s", client.Piece{Type: runnel.EventDone}); runnel.KindOf(err) != runnel.Cancelled {
			t.Errorf("got %v, want it to be cancelled", err)
		}
	})
}
