package function_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/function"
)

func TestTransport(t *testing.T) {
	t.Parallel()
	set, log := serve(t, child("f", ""))
	client := &http.Client{Transport: set.Transport(&http.Transport{})}
	post := func(url, body, kind string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Invocation-Type", kind)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	if resp, text := post("function://f", `{"echo":"x"}`, ""); resp.StatusCode != 200 || text != `"x"` || resp.Header.Get("X-Amz-Function-Error") != "" {
		t.Errorf("got %s, %s", resp.Status, text)
	}
	if resp, text := post("function://f", `{"fail":"Unauthorized"}`, ""); resp.StatusCode != 200 || !strings.Contains(text, `"errorMessage":"Unauthorized"`) || resp.Header.Get("X-Amz-Function-Error") == "" {
		t.Errorf("a failure: %s, %s", resp.Status, text)
	}
	if resp, _ := post("function://nobody", "{}", ""); resp.StatusCode != 404 {
		t.Errorf("nobody: %s", resp.Status)
	}
	if resp, _ := post("function://f", `{"log":"ran by itself"}`, "Event"); resp.StatusCode != 202 {
		t.Errorf("an event: %s", resp.Status)
	}
	await(t, func() bool { return strings.Contains(log.String(), "ran by itself") })
	if name, ok := function.Named("function://f"); name != "f" || !ok {
		t.Errorf("got %q, %v", name, ok)
	}
	if name, ok := function.Named("https://f"); ok {
		t.Errorf("got %q", name)
	}
}
