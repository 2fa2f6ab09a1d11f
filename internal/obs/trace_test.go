package obs_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/obs"
)

// TestTracesWanted sets the variables that OpenTelemetry has for it.
func TestTracesWanted(t *testing.T) {
	const collector = "http://127.0.0.1:1"
	for name, tt := range map[string]struct {
		env      map[string]string
		endpoint string
		on       bool
		err      string
	}{
		"nobody asks":              {},
		"a setting":                {endpoint: collector, on: true},
		"a variable":               {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector}, on: true},
		"a variable for traces":    {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector + "/v1/traces"}, on: true},
		"by its name":              {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, on: true},
		"none":                     {env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}, endpoint: collector},
		"disabled":                 {env: map[string]string{"OTEL_SDK_DISABLED": "true"}, endpoint: collector},
		"another exporter":         {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, err: "zipkin"},
		"another protocol":         {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, endpoint: collector, err: "http/protobuf only"},
		"another, and nobody asks": {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}},
		"this protocol": {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
			endpoint: collector, on: true},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			tracer, err := obs.OpenTracer(t.Context(), obs.TraceConfig{Endpoint: tt.endpoint, Logger: slog.New(slog.DiscardHandler)})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || (tracer != nil) != tt.on {
				t.Fatalf("got %v, %v; want on: %v", tracer, err, tt.on)
			}
			if tracer != nil {
				if err := tracer.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func openTracer(t testing.TB) *obs.Tracer {
	tracer, err := obs.OpenTracer(context.Background(), obs.TraceConfig{Endpoint: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = tracer.Close(ctx) // there is no collector
	})
	return tracer
}

// FuzzExtract reads what callers may send in place of a trace: it is nothing, or
// something that can be handed on.
func FuzzExtract(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", strings.Repeat("k", 250)+"="+strings.Repeat("v", 250)+",b=c,d="+strings.Repeat("v", 250))
	f.Add("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	f.Add("00-00000000000000000000000000000000-0000000000000000-01", "a=b")
	f.Add("", "a=b")
	tracer := openTracer(f)
	f.Fuzz(func(t *testing.T, parent, state string) {
		head := http.Header{"Traceparent": {parent}, "Tracestate": {state}}
		got := runnel.TraceFrom(tracer.Extract(t.Context(), head))
		if got.Parent == "" && got.State != "" || got.Parent != "" && len(got.Parent) != 55 || len(got.State) > 512 {
			t.Errorf("got %q", got)
		}
		if again := runnel.TraceFrom(tracer.Extract(t.Context(), http.Header{"Traceparent": {got.Parent}, "Tracestate": {got.State}})); again != got {
			t.Errorf("got %q, and handed on %q", got, again)
		}
	})
}

func BenchmarkStep(b *testing.B) {
	tracer := openTracer(b)
	step := runnel.Step{Name: runnel.StepCall, Session: "s", Generation: "g", Model: "openai/gpt", Try: 1}
	b.ReportAllocs()
	for b.Loop() {
		_, done := tracer.Begin(context.Background(), step)
		done(runnel.Outcome{FirstToken: time.Second})
	}
}

// TestTransport calls a handler within a trace, and with a collector that refuses.
func TestTransport(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer refusing.Close()
	var told []string
	handler := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told = append(told, r.Header.Get("Traceparent")+" "+r.Header.Get("Tracestate"))
	}))
	defer handler.Close()
	var log bytes.Buffer
	tracer, err := obs.OpenTracer(t.Context(), obs.TraceConfig{Endpoint: refusing.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: tracer.Transport(base)}
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	ctx := runnel.WithTrace(t.Context(), runnel.Trace{Parent: "00-" + trace + "-" + span + "-01", State: "a=b"})
	for _, ctx := range []context.Context{ctx, t.Context()} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, handler.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if len(req.Header) > 0 {
			t.Errorf("the caller's request was changed: %v", req.Header)
		}
	}
	if within := told[0]; !strings.HasPrefix(within, "00-"+trace+"-") || strings.Contains(within, span) || !strings.HasSuffix(within, "-01 a=b") {
		t.Errorf("within a trace the handler was told %q", within)
	}
	if without := told[1]; len(without) != len("00--01 ")+32+1+16 || strings.Contains(without, trace) {
		t.Errorf("without one it was told %q", without)
	}
	if err := tracer.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "traces are lost") {
		t.Errorf("the log does not say that the collector refuses: %s", &log)
	}
}
