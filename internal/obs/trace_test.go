package obs_test

import (
	"context"
	"log/slog"
	"net/http"
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
