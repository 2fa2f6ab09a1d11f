package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/config"
)

const (
	callersTrace  = "0af7651916cd43dd8448eb211c80319c"
	callersParent = "00-" + callersTrace + "-b7ad6b7169203331-01"
)

// A collectorServer takes spans as an OpenTelemetry collector does.
type collectorServer struct {
	url string

	mu    sync.Mutex
	spans []*tracepb.Span
	raw   bytes.Buffer
}

func newCollector(t testing.TB) *collectorServer {
	c := new(collectorServer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			var plain io.Reader
			if plain, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(plain)
			}
		}
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, of := range request.ResourceSpans {
			for _, in := range of.ScopeSpans {
				c.spans = append(c.spans, in.Spans...)
			}
		}
		answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// find returns the spans of a trace that have the name, in the order of their beginnings.
func (c *collectorServer) find(trace, name string) (found []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == trace && s.Name == name {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *tracepb.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return found
}

// one returns the only such span.
func (c *collectorServer) one(t *testing.T, trace, name string) *tracepb.Span {
	t.Helper()
	found := c.find(trace, name)
	if len(found) != 1 {
		t.Fatalf("%d spans %q in the trace, want 1", len(found), name)
	}
	return found[0]
}

func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return words(a.Value)
		}
	}
	return ""
}

func words(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *common.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	case *common.AnyValue_ArrayValue:
		var all []string
		for _, item := range v.ArrayValue.Values {
			all = append(all, words(item))
		}
		return strings.Join(all, ",")
	}
	return "?"
}

// A tracedModel fails once and then answers. It notes which trace it is told of.
type tracedModel struct {
	url string

	mu      sync.Mutex
	parents []string
}

func newTracedModel(t *testing.T, failures int) *tracedModel {
	m := new(tracedModel)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.parents = append(m.parents, r.Header.Get("Traceparent"))
		calls := len(m.parents)
		m.mu.Unlock()
		if calls <= failures {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			fmt.Fprintf(w, "data: {\"model\":\"real-name\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", secretAnswer)
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
		fmt.Fprint(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

// told returns the trace parents that the model was told, one per call.
func (m *tracedModel) told() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.parents)
}

func askTraced(t *testing.T, node *app.App, path, body string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+node.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", callersParent)
	req.Header.Set("Tracestate", "vendor=value")
	req.Header.Set("Accept", "text/event-stream")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %v", resp.Status, err)
	}
}

// TestTraces follows one prompt from its caller to the model servers: a call that
// is repeated, and falls over to the next model.
func TestTraces(t *testing.T) {
	t.Parallel()
	c, broken, model := newCollector(t), newTracedModel(t, 100), newTracedModel(t, 0)
	cfg := settings(t, "")
	cfg.Model = []string{"openai/broken?base_url=" + broken.url, "openai/good?base_url=" + model.url}
	cfg.OTLPEndpoint, cfg.Retries = c.url, 1
	node, _ := start(t, cfg)
	askTraced(t, node, "/v1/sessions/s/prompts", fmt.Sprintf(`{"prompt":%q}`, secretPrompt))
	if err := node.Stop(); err != nil {
		t.Fatal(err)
	}

	accept := c.one(t, callersTrace, "runnel accept")
	if got := hex.EncodeToString(accept.ParentSpanId); got != callersParent[36:52] {
		t.Errorf("the parent of the first span is %s, not the caller's", got)
	}
	if accept.TraceState != "vendor=value" {
		t.Errorf("trace state %q", accept.TraceState)
	}
	attempt := c.one(t, callersTrace, "runnel attempt")
	for _, s := range []*tracepb.Span{c.one(t, callersTrace, "runnel queue"), attempt} {
		if !bytes.Equal(s.ParentSpanId, accept.SpanId) {
			t.Errorf("%s is not below the span of its acceptance", s.Name)
		}
	}
	failed, answered := c.find(callersTrace, "chat broken"), c.one(t, callersTrace, "chat good")
	for _, s := range append(slices.Clip(failed), answered, c.one(t, callersTrace, "runnel stream"), c.one(t, callersTrace, "runnel commit")) {
		if !bytes.Equal(s.ParentSpanId, attempt.SpanId) {
			t.Errorf("%s is not below its attempt", s.Name)
		}
	}
	var told, want []string
	told = append(broken.told(), model.told()...)
	for _, s := range append(failed, answered) {
		want = append(want, "00-"+callersTrace+"-"+hex.EncodeToString(s.SpanId)+"-01")
	}
	if diff := cmp.Diff(want, told); diff != "" || len(failed) != 2 {
		t.Errorf("what the model servers were told (-want +got):\n%s", diff)
	}

	got := map[string]string{}
	for _, key := range []string{
		"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.finish_reasons",
		"gen_ai.conversation.id", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "error.type", "runnel.try",
	} {
		got[key] = attribute(answered, key)
	}
	if diff := cmp.Diff(map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "good", "gen_ai.response.model": "real-name",
		"gen_ai.response.finish_reasons": "end_turn", "gen_ai.conversation.id": "s",
		"gen_ai.usage.input_tokens": "3", "gen_ai.usage.output_tokens": "5", "error.type": "", "runnel.try": "1",
	}, got); diff != "" {
		t.Errorf("the call's attributes (-want +got):\n%s", diff)
	}
	if attribute(answered, "gen_ai.response.time_to_first_chunk") == "" {
		t.Error("the call does not say when its first token came")
	}
	for i, s := range failed {
		if s.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || attribute(s, "error.type") != "unavailable" || attribute(s, "runnel.try") != fmt.Sprint(i+1) {
			t.Errorf("the failed call %d: %v", i+1, s)
		}
	}
	for _, secret := range []string{secretPrompt, secretAnswer} {
		if bytes.Contains(c.raw.Bytes(), []byte(secret)) {
			t.Errorf("the collector was told %s", secret)
		}
	}
}

// TestTraceGoesOn hands a running generation over to another process, which goes
// on in the same trace.
func TestTraceGoesOn(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	cfg := settings(t, "echo?ttft=0s&tps=1&tokens=1000")
	cfg.OTLPEndpoint, cfg.DrainTimeout = c.url, 100*time.Millisecond
	node, _ := start(t, cfg)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+node.Addr().String()+"/v1/sessions/s/prompts", strings.NewReader(`{"prompt":"go on"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", callersParent)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for seen := ""; !strings.Contains(seen, "event: delta"); {
		chunk := make([]byte, 4096)
		n, err := resp.Body.Read(chunk)
		if seen += string(chunk[:n]); err != nil {
			t.Fatal(err, seen)
		}
	}
	if err := node.Stop(); err != nil {
		t.Fatal(err)
	}

	cfg.Model = []string{"echo?ttft=0s&tps=0"}
	node, _ = start(t, cfg)
	askTraced(t, node, "/v1/sessions/s/prompts", `{"prompt":"after it"}`) // its turn comes when the other has ended
	if err := node.Stop(); err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for _, s := range c.find(callersTrace, "runnel attempt") {
		attempts = append(attempts, attribute(s, "runnel.attempt")+" "+attribute(s, "error.type"))
	}
	if diff := cmp.Diff([]string{"1 handed_over", "2 ", "1 "}, attempts); diff != "" {
		t.Errorf("the attempts (-want +got):\n%s", diff)
	}
}

// TestNoTraces makes sure that nothing is told to anybody unless it is asked for,
// and that a collector that is not there hurts nobody.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*config.Config){
		"off":                     func(*config.Config) {},
		"the collector is absent": func(c *config.Config) { c.OTLPEndpoint = "http://127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := newTracedModel(t, 0)
			cfg := settings(t, "openai/good?base_url="+model.url)
			set(&cfg)
			node, _ := start(t, cfg)
			askTraced(t, node, "/v1/sessions/s/prompts", `{"prompt":"hello"}`)
			if err := node.Stop(); err != nil {
				t.Fatal(err)
			}
			if told := model.told(); len(told) != 1 || (told[0] == "") != (name == "off") {
				t.Errorf("the model was told %q", told)
			}
		})
	}
}
