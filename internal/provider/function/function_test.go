package function_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	handlers "github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/provider/function"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct {
		contentType string
		frame       func(format string, args ...any) []byte
	}{
		"lines":  {"application/x-ndjson", func(format string, args ...any) []byte { return fmt.Appendf(nil, format+"\n", args...) }},
		"events": {"text/event-stream", func(format string, args ...any) []byte { return fmt.Appendf(nil, "data: "+format+"\n\n", args...) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, vendor(form.contentType, form.frame))
		})
	}
}

func BenchmarkDelta(b *testing.B) {
	providertest.Bench(b, vendor("application/x-ndjson", func(format string, args ...any) []byte { return fmt.Appendf(nil, format+"\n", args...) }))
}

func vendor(contentType string, frame func(string, ...any) []byte) providertest.Vendor {
	v := providertest.Vendor{
		Open: open, ContentType: contentType, Request: "testdata/request.txt", Continue: "testdata/continue.txt",
		Failure: func(detail string) []byte {
			return frame(`{"type":"failed","kind":"unavailable","message":%s}`, quote(detail))
		},
		Huge:    func() []byte { return frame(`{"type":"delta","text":%s}`, quote(strings.Repeat("x", 5<<20))) },
		Garbage: frame("<html>this is not what was asked for</html>"),
	}
	v.Frames = func(a providertest.Answer) (content, end [][]byte) {
		for _, s := range a.Reasoning {
			content = append(content, frame(`{"type":"reasoning","text":%s}`, quote(s)))
		}
		for _, s := range a.Text {
			content = append(content, frame(`{"type":"delta","text":%s}`, quote(s)))
		}
		for i, call := range a.Tools {
			content = append(content, frame(`{"type":"tool","tool":{"index":%d,"id":%s,"name":%s}}`, i, quote(call.ID), quote(call.Name)))
			for _, input := range call.Input {
				content = append(content, frame(`{"type":"tool","tool":{"index":%d,"input":%s}}`, i, quote(input)))
			}
		}
		return content, [][]byte{frame(`{"type":"done","stop_reason":%s,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
			quote(string(a.Stop)), a.Usage.InputTokens, a.Usage.OutputTokens)}
	}
	return v
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// open returns a function behind a URL as a model.
func open(t testing.TB, address string) runnel.Provider {
	t.Helper()
	set, err := handlers.New([]handlers.Config{{Name: "f", HTTP: address, Concurrency: 64}}, handlers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := function.Opener(set)("f", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpen(t *testing.T) {
	t.Parallel()
	set, err := handlers.New([]handlers.Config{{Name: "f", HTTP: "http://h"}}, handlers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := function.Opener(set)("g", nil); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("an unknown function: %v", err)
	}
	if _, err := function.Opener(set)("f", url.Values{"a": {"b"}}); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("an unknown setting: %v", err)
	}
	for setting, want := range map[string]bool{"": false, "true": true, "false": false} {
		values := url.Values{}
		if setting != "" {
			values.Set("prefill", setting)
		}
		p, err := function.Opener(set)("f", values)
		if err != nil || p.(runnel.Continuer).Continues() != want {
			t.Errorf("prefill=%s: want %v, %v", setting, want, err)
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	const head = "application/vnd.awslambda.http-integration-response"
	nuls := strings.Repeat("\x00", 8)
	for _, tt := range []struct {
		name, contentType, body string
		want                    string
		kind                    runnel.Kind // of the error if want is empty
	}{
		{"text", "text/plain", "Grüße, 世界", "Grüße, 世界", 0},
		{"text of no type", "application/octet-stream", "\"hello\"", "hello", 0},
		{"bytes that are no text", "text/plain", "a\xffb", "a\uFFFDb", 0},
		{"a string", "application/json", `"hello"`, "hello", 0},
		{"an object", "application/json", `{"text":"hello","usage":{"output_tokens":1}}`, "hello", 0},
		{"a head, then text", head, `{"statusCode":200,"headers":{"content-type":"text/plain"}}` + nuls + "hello", "hello", 0},
		{"a head, then lines", head, `{"headers":{"Content-Type":"application/x-ndjson"}}` + nuls + `{"type":"delta","text":"hello"}` + "\n" + `{"type":"done"}`, "hello", 0},
		{"our own events", "application/x-ndjson", `{"v":1,"type":"generation.started","model":"m"}` + "\n" + `{"v":1,"type":"delta","text":"hello"}` + "\n" + `{"type":"generation.done","stop_reason":"end_turn"}`, "hello", 0},
		{"a status in the head", head, `{"statusCode":429}` + nuls + "slow down", "", runnel.Limited},
		{"another", head, `{"statusCode":404}` + nuls, "", runnel.Invalid},
		{"half a head", head, `{"statusCode":200`, "", runnel.Unavailable},
		{"it refuses", "application/x-ndjson", `{"type":"failed","kind":"invalid","message":"no"}`, "", runnel.Invalid},
		{"no JSON", "application/json", `hello`, "", runnel.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, end, err := providertest.Replay(t, func(url string) runnel.Provider { return open(t, url) }, tt.contentType, tt.body)
			if tt.want == "" {
				if err == nil || runnel.KindOf(err) != tt.kind {
					t.Errorf("got %q, %v, want an error of kind %v", got.Text, err, tt.kind)
				}
				return
			}
			if err != nil || end == nil || end.StopReason != runnel.EndTurn {
				t.Fatalf("the end is %+v, %v", end, err)
			}
			if diff := cmp.Diff([]string{tt.want}, got.Text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"type":"delta","text":"a"}`, `{"type":"tool","tool":{"input":{}}}`, `{"type":"progress","progress":{"a":[1]}}`, `{"type":"done"}`, "{", `{"type":"tool","tool":{"index":-1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, contentType := range []string{"application/x-ndjson", "text/event-stream", "application/json", "text/plain"} {
			function.Check(t, contentType, data)
		}
	})
}
