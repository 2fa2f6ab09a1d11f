package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTraceSurvivesKill kills the process while a model answers. The one that
// follows calls the model in the trace of the client whose prompt it was.
func TestTraceSurvivesKill(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 16) // more than a prompt is attempted
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a word\"}}]}\n\n")
		_ = http.NewResponseController(w).Flush()
		calls <- r.Header.Get("Traceparent")
		<-r.Context().Done()
	}))
	defer model.Close()
	// What becomes of the spans is not the matter: nobody takes them.
	g := newGateway(t, "--model", "openai/m?base_url="+model.URL, "--otlp-endpoint", "http://127.0.0.1:1")
	const trace = "0af7651916cd43dd8448eb211c80319c"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url("/v1/sessions/s/prompts"), strings.NewReader(`{"prompt":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	before := <-calls
	g.kill()
	g.start()
	after := <-calls
	g.kill() // before the model's server, which waits for its clients
	for _, told := range []string{before, after} {
		if !strings.HasPrefix(told, "00-"+trace+"-") {
			t.Errorf("the model was told %q, the client's trace is %s", told, trace)
		}
	}
	if before == after {
		t.Errorf("both calls are the span %s", before)
	}
}
