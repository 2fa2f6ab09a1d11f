package providertest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
)

// Replay has a provider read an answer as it was recorded, and returns what came
// out, with the fragments of each kind joined, and how it ended. Suites use it
// for what only their vendor does.
func Replay(t *testing.T, open func(url string) runnel.Provider, contentType, body string) (got Answer, end *runnel.End, err error) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(web.Close)
	got, end, err = collect(t.Context(), t, open(web.URL), prompt())
	got.Text, got.Reasoning = join(got.Text), join(got.Reasoning)
	for i := range got.Tools {
		got.Tools[i].Input = join(got.Tools[i].Input)
	}
	return got, end, err
}

func join(fragments []string) []string {
	if len(fragments) == 0 {
		return nil
	}
	return []string{strings.Join(fragments, "")}
}

// Bench measures what a delta costs, from the bytes of a connection to the
// consumer: the time and the allocations of both ends.
func Bench(b *testing.B, v Vendor) {
	b.Helper()
	const deltas = 2000
	a := Answer{Text: make([]string, deltas), Stop: runnel.EndTurn, Usage: runnel.Usage{InputTokens: 1, OutputTokens: deltas}}
	for i := range a.Text {
		a.Text[i] = " word"
	}
	content, end := v.Frames(a)
	var body []byte
	for _, frame := range append(content, end...) {
		body = append(body, frame...)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", v.ContentType)
		_, _ = w.Write(body)
	}))
	b.Cleanup(web.Close)
	p := v.Open(b, web.URL)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		for _, err := range p.Generate(b.Context(), prompt()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
}
