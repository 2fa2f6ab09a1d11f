package openai_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/openai"
)

const why = `{"model":"test","input":"why?"`

func TestResponseStream(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(all()...)
	golden(t, "response.sse", read(t, r.post(t, "/v1/responses", why+`,"stream":true,"instructions":"be brief"}`)))
}

// A told event is one of a response's stream, as far as it matters here.
type told struct {
	Type   string `json:"type"`
	Number int    `json:"sequence_number"`
	Delta  string `json:"delta"`
}

func events(t *testing.T, body string) (all []told) {
	t.Helper()
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var ev told
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			all = append(all, ev)
		}
	}
	return all
}

// said joins the deltas, each with its kind.
func said(all []told) map[string]string {
	m := make(map[string]string)
	for _, ev := range all {
		m[ev.Type] += ev.Delta
	}
	return m
}

// TestStartingAfter: whoever names the number of any event gets exactly the
// rest, and one who names a number within a delta the rest of that.
func TestStartingAfter(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(all()...)
	resp := r.post(t, "/v1/responses", why+`,"stream":true}`)
	whole := events(t, read(t, resp))
	url := "/v1/responses/resp_" + string(generation(resp)) + "?stream=true&starting_after="
	for i, ev := range whole {
		rest := events(t, read(t, r.send(t, http.MethodGet, url+strconv.Itoa(ev.Number), "")))
		if diff := cmp.Diff(whole[i+1:], rest, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("after %d (-want +got):\n%s", ev.Number, diff)
		}
		if got, want := said(slices.Concat(whole[:i+1], rest)), said(whole); !cmp.Equal(got, want) {
			t.Errorf("after %d: %v, want %v", ev.Number, got, want)
		}
	}
	for n := range whole[len(whole)-1].Number {
		rest := events(t, read(t, r.send(t, http.MethodGet, url+strconv.Itoa(n), "")))
		if len(rest) == 0 || rest[0].Number <= n || rest[len(rest)-1].Type != "response.completed" {
			t.Errorf("after %d: %v", n, rest)
		}
	}
	if resp := r.send(t, http.MethodGet, url+"x", ""); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a number that is none: %s", resp.Status)
	}
}

func TestBackground(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	queued := decode(t, r.post(t, "/v1/responses", why+`,"background":true}`))
	if queued["status"] != "queued" || queued["background"] != true {
		t.Fatalf("got %v", queued)
	}
	id, _ := queued["id"].(string)
	r.says(text("Because."), ends(runnel.EndTurn))
	r.await(t, runnel.GenerationID(strings.TrimPrefix(id, "resp_")))
	golden(t, "response.json", read(t, r.send(t, http.MethodGet, "/v1/responses/"+id, "")))

	// The next one goes on where it ended.
	<-r.asked
	r.says(text("So."), ends(runnel.MaxTokens))
	next := decode(t, r.post(t, "/v1/responses", `{"model":"test","input":[{"role":"user","content":"and?"}],"previous_response_id":"`+id+`"}`))
	if next["status"] != "incomplete" || next["previous_response_id"] != id {
		t.Errorf("got %v", next)
	}
	var heard []string
	for _, m := range (<-r.asked).Messages {
		heard = append(heard, m.Text())
	}
	if diff := cmp.Diff([]string{"why?", "Because.", "and?"}, heard); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.says(text("half"))
	resp := r.post(t, "/v1/responses", why+`,"background":true,"stream":true}`)
	id := "resp_" + string(generation(resp))
	<-r.asked
	if got := decode(t, r.post(t, "/v1/responses/"+id+"/cancel", "")); got["status"] != "cancelled" {
		t.Errorf("the answer is %v", got)
	}
	all := events(t, read(t, resp))
	if last := all[len(all)-1]; last.Type != "response.incomplete" {
		t.Errorf("the stream ends with %v", last)
	}
	got := decode(t, r.send(t, http.MethodGet, "/v1/responses/"+id, ""))
	if output, _ := json.Marshal(got["output"]); got["status"] != "cancelled" || !strings.Contains(string(output), "half") {
		t.Errorf("afterwards: %v", got)
	}
	if resp := r.post(t, "/v1/responses/resp_unknown/cancel", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown one: %s", resp.Status)
	}
}

func TestResponseFails(t *testing.T) {
	t.Parallel()
	r := start(t, openai.Config{})
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "the vendor says no")}
	all := events(t, read(t, r.post(t, "/v1/responses", why+`,"stream":true}`)))
	var types []string
	for _, ev := range all {
		types = append(types, ev.Type)
	}
	if diff := cmp.Diff([]string{"response.created", "response.in_progress", "response.failed"}, types); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.steps <- step{err: runnel.Errorf(runnel.Limited, "the vendor says no")}
	if resp := r.post(t, "/v1/responses", why+"}"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("as a whole: %s", resp.Status)
	}
}
