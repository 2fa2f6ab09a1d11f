package function_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/function"
)

// behind returns a function of a server that answers as handler does.
func behind(t *testing.T, handler http.HandlerFunc, cfg func(url string) function.Config) *function.Function {
	t.Helper()
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	set, _ := serve(t, cfg(web.URL))
	return lookup(t, set, "f")
}

func overInvoke(stream bool) func(string) function.Config {
	return func(url string) function.Config {
		return function.Config{Name: "f", Invoke: &function.Remote{
			Endpoint: url, Function: "arn:aws:lambda:eu-west-1:123456789012:function:g", Stream: stream, Unsigned: true,
		}}
	}
}

func TestRemote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer, failed string
		want                 string // payload, or the failure's type
	}{
		{"an answer", `{"a":1}`, "", `{"a":1}`},
		{"nothing", "", "", "null"},
		{"a failure", `{"errorType":"E","errorMessage":"m"}`, "Unhandled", "E"},
		{"the emulator's failure", `{"errorType":"E","errorMessage":"m","trace":[]}`, "", "E"},
		{"an answer that only looks like it", `{"errorType":"E","errorMessage":"m","statusCode":500}`, "", `{"errorType":"E","errorMessage":"m","statusCode":500}`},
		{"the emulator's time-out", "Task timed out after 3.00 seconds", "", "Sandbox.Timedout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := behind(t, func(w http.ResponseWriter, r *http.Request) {
				if r.RequestURI != "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Ag/invocations" {
					t.Errorf("it asks at %s", r.RequestURI)
				}
				if tt.failed != "" {
					w.Header().Set("X-Amz-Function-Error", tt.failed)
				}
				fmt.Fprint(w, tt.answer)
			}, overInvoke(false))
			res := invoke(t, f, question{})
			got := string(res.Payload)
			if res.Failure != nil {
				got = res.Failure.Type
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRemoteRefusals(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]runnel.Kind{
		400: runnel.Invalid, 403: runnel.Denied, 404: runnel.Invalid, 429: runnel.Limited, 500: runnel.Unavailable, 502: runnel.Unavailable, 301: runnel.Unavailable,
	} {
		f := behind(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, overInvoke(false))
		if _, err := f.Invoke(t.Context(), function.Request{}); runnel.KindOf(err) != want {
			t.Errorf("%d: got %v, want kind %v", status, err, want)
		}
	}
}

func chunk(text string) []byte {
	return eventstream.Append(nil, []byte(text),
		eventstream.Header{Name: ":event-type", Value: "PayloadChunk"}, eventstream.Header{Name: ":message-type", Value: "event"})
}

func complete(payload string) []byte {
	return eventstream.AppendEvent(nil, "InvokeComplete", []byte(payload))
}

func TestRemoteStream(t *testing.T) {
	t.Parallel()
	const head = `{"statusCode":200}`
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   string
		head   bool
		failed string // the failure's type
	}{
		{"plain", [][]byte{chunk("a"), chunk("b"), complete("{}")}, "ab", false, ""},
		{"nothing", [][]byte{complete("{}")}, "", false, ""},
		{"a head", [][]byte{chunk(head + nuls + "a"), complete("{}")}, head + nuls + "a", true, ""},
		{"a head in pieces", [][]byte{chunk(head[:5]), chunk(head[5:]), chunk(nuls[:3]), chunk(nuls[3:] + "a"), complete("{}")}, head + nuls + "a", true, ""},
		{"lines of JSON", [][]byte{chunk(`{"a":1}` + "\n"), chunk("x"), complete("{}")}, `{"a":1}` + "\nx", false, ""},
		{"only JSON", [][]byte{chunk(`{"a":1}`), complete("{}")}, `{"a":1}`, false, ""},
		{"a failure in the middle", [][]byte{chunk("a"), complete(`{"ErrorCode":"Unhandled","ErrorDetails":"it broke"}`)}, "a", false, "Unhandled"},
		{"broken off", [][]byte{chunk("a")}, "a", false, "Runtime.TruncatedResponse"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := behind(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/response-streaming-invocations") {
					t.Errorf("it asks at %s", r.URL.Path)
				}
				w.Header().Set("Content-Type", eventstream.ContentType)
				for _, frame := range tt.frames {
					_, _ = w.Write(frame)
					_ = http.NewResponseController(w).Flush()
				}
			}, overInvoke(true))
			resp, err := f.Stream(t.Context(), function.Request{})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			failure, failed := errors.AsType[*function.Failure](err)
			if string(got) != tt.want || function.Integrates(resp.ContentType) != tt.head || failed != (tt.failed != "") || failed && failure.Type != tt.failed {
				t.Errorf("got %q, a head: %v, %v; want %q, %v, %s", got, function.Integrates(resp.ContentType), err, tt.want, tt.head, tt.failed)
			}
		})
	}
}

func TestWeb(t *testing.T) {
	t.Parallel()
	f := behind(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == `"fail"` {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		_, _ = w.Write(body)
	}, func(url string) function.Config { return function.Config{Name: "f", HTTP: url} })
	if got := invoke(t, f, "hello"); string(got.Payload) != `"hello"` || got.Failure != nil {
		t.Errorf("got %s, %v", got.Payload, got.Failure)
	}
	wantFailure(t, invoke(t, f, "fail"), "Unhandled", `"fail"`)
}

// As many calls run as the function may have, and no more.
func TestWebConcurrency(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	f := behind(t, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}, func(url string) function.Config { return function.Config{Name: "f", HTTP: url, Concurrency: 1} })
	first := make(chan error, 1)
	go func() {
		_, err := f.Invoke(t.Context(), function.Request{})
		first <- err
	}()
	<-entered
	if _, err := f.Invoke(t.Context(), function.Request{}); runnel.KindOf(err) != runnel.Limited {
		t.Errorf("got %v, want a Limited error", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
