package obs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/runnelhq/runnel"
)

// maxTraceState is what the standard wants kept of a tracestate; a longer one is
// dropped, for it is stored with every prompt.
const maxTraceState = 512

// TraceConfig says where traces go.
type TraceConfig struct {
	// Endpoint is the base URL of a collector that speaks OTLP over HTTP; empty
	// leaves it to the variables that OpenTelemetry has for it.
	Endpoint string
	Version  string
	Node     string
	Logger   *slog.Logger
}

// A Tracer sends the steps of generations' lives to a collector, as spans. What
// is said in a generation is never in them. Its methods may be called
// concurrently, and never wait for the collector.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	w3c      propagation.TraceContext
}

// OpenTracer returns a tracer, to be closed; nil if neither cfg nor the
// environment names a collector.
func OpenTracer(ctx context.Context, cfg TraceConfig) (*Tracer, error) {
	wanted, err := tracesWanted(cfg.Endpoint)
	if err != nil || !wanted {
		return nil, err
	}
	var options []otlptracehttp.Option
	if cfg.Endpoint != "" {
		u, err := url.Parse(cfg.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("obs: the address of the collector: %w", err)
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.JoinPath("v1", "traces").String()))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("obs: export traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String(keyServiceName, "runnel"), attribute.String(keyServiceVersion, cfg.Version), attribute.String(keyInstance, cfg.Node),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("obs: what the environment says of this service: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&exporting{Exporter: exporter, log: cfg.Logger}), sdktrace.WithResource(about))
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/runnelhq/runnel")}, nil
}

// tracesWanted reads what OpenTelemetry's standard variables say that its
// library does not read itself.
func tracesWanted(endpoint string) (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	switch exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, fmt.Errorf("obs: OTEL_TRACES_EXPORTER is %q; there is only otlp, and none", exporter)
	}
	named := endpoint != "" || exporter != ""
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		named = named || os.Getenv(name) != ""
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); named && protocol != "" {
			if protocol != "http/protobuf" {
				return false, fmt.Errorf("obs: %s is %q; this server speaks http/protobuf only", name, protocol)
			}
			break // that of traces counts
		}
	}
	return named, nil
}

// Close sends what has not been sent, until ctx is done.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("obs: end traces: %w", err)
	}
	return nil
}

// Extract returns a context whose work is a part of the trace that the head of
// a request names, if it does.
func (t *Tracer) Extract(ctx context.Context, head http.Header) context.Context {
	found := t.w3c.Extract(context.Background(), propagation.HeaderCarrier(head))
	return runnel.WithTrace(ctx, t.written(found))
}

// written returns the span that ctx carries, as headers.
func (t *Tracer) written(ctx context.Context) runnel.Trace {
	headers := make(propagation.MapCarrier, 2)
	t.w3c.Inject(ctx, headers)
	w := runnel.Trace{Parent: headers["traceparent"], State: headers["tracestate"]}
	if len(w.State) > maxTraceState {
		w.State = ""
	}
	return w
}

// start starts a span that is a part of the trace of ctx.
func (t *Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := runnel.TraceFrom(ctx)
	above := t.w3c.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent.Parent, "tracestate": parent.State})
	with, span := t.tracer.Start(above, name, options...)
	return runnel.WithTrace(ctx, t.written(with)), span
}

// Begin begins a step.
func (t *Tracer) Begin(ctx context.Context, step runnel.Step) (context.Context, func(runnel.Outcome)) {
	options := []trace.SpanStartOption{trace.WithAttributes(stepAttributes(&step)...)}
	if !step.Begin.IsZero() {
		options = append(options, trace.WithTimestamp(step.Begin))
	}
	name := "runnel " + string(step.Name)
	if step.Name == runnel.StepCall {
		_, model := providerModel(step.Model)
		name = operationChat + " " + model
		options = append(options, trace.WithSpanKind(trace.SpanKindClient))
	}
	ctx, span := t.start(ctx, name, options...)
	return ctx, func(o runnel.Outcome) {
		span.SetAttributes(outcomeAttributes(&o)...)
		if o.Problem != "" && o.Problem != string(runnel.Stopped) {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func stepAttributes(s *runnel.Step) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String(keyConversation, string(s.Session)),
		attribute.String(keyGeneration, string(s.Generation)),
		attribute.String(keyNode, s.Node),
	}
	if s.Attempt > 0 {
		all = append(all, attribute.Int(keyAttempt, s.Attempt))
	}
	switch {
	case s.Name == runnel.StepCall:
		provider, model := providerModel(s.Model)
		all = append(all, attribute.String(keyOperation, operationChat), attribute.String(keyProvider, provider),
			attribute.String(keyRequestModel, model), attribute.Bool(keyRequestStream, true), attribute.Int(keyTry, s.Try))
	case s.Model != "":
		all = append(all, attribute.String(keyModel, s.Model))
	}
	return all
}

func outcomeAttributes(o *runnel.Outcome) []attribute.KeyValue {
	var all []attribute.KeyValue
	if o.Problem != "" {
		all = append(all, attribute.String(keyErrorType, o.Problem))
	}
	if o.FirstToken > 0 {
		all = append(all, attribute.Float64(keyFirstChunk, o.FirstToken.Seconds()))
	}
	if o.End == nil {
		return all
	}
	if o.End.StopReason != "" {
		all = append(all, attribute.StringSlice(keyFinishReasons, []string{string(o.End.StopReason)}))
	}
	if o.End.Model != "" {
		all = append(all, attribute.String(keyResponseModel, o.End.Model))
	}
	if u := o.End.Usage; u != nil {
		all = append(all, attribute.Int(keyInputTokens, u.InputTokens), attribute.Int(keyOutputTokens, u.OutputTokens))
		for key, n := range map[string]int{keyCacheRead: u.CacheReadTokens, keyCacheWrite: u.CacheWriteTokens, keyReasoning: u.ReasoningTokens} {
			if n > 0 {
				all = append(all, attribute.Int(key, n))
			}
		}
	}
	return all
}

// Transport returns a transport for requests to handlers of ours: each is a
// span, which the request names. It says the method and the host, no more.
func (t *Tracer) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{t, base}
}

type transport struct {
	tracer *Tracer
	base   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper]. The span ends with the head of the
// answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname())))
	defer span.End()
	r = r.Clone(ctx)
	runnel.TraceFrom(ctx).SetHeaders(r.Header.Set)
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		span.SetAttributes(attribute.String(keyErrorType, runnel.Unavailable.String()))
		span.SetStatus(codes.Error, "")
		return nil, err //nolint:wrapcheck // it is the base's
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	return resp, nil
}

// exporting says in the log, and not too often, that the collector does not
// take what it is sent. OpenTelemetry would say so past the log.
type exporting struct {
	*otlptrace.Exporter
	log *slog.Logger

	said time.Time // owned by the goroutine that exports
}

// exportComplaint is how often the log says that traces are lost.
const exportComplaint = time.Minute

// ExportSpans implements [sdktrace.SpanExporter].
func (e *exporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	if now := time.Now(); err != nil && now.Sub(e.said) > exportComplaint {
		e.said = now
		e.log.WarnContext(ctx, "traces are lost: the collector does not take them", "spans", len(spans), "err", err)
	}
	return nil
}
