package obs

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/runnelhq/runnel"
)

// Metrics holds what is counted, in a registry of its own. Its methods may be
// called concurrently and do not block; those called per token do not allocate.
type Metrics struct {
	registry *prometheus.Registry

	accept     prometheus.Histogram
	attempts   *prometheus.CounterVec
	takeovers  *prometheus.CounterVec
	ended      *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	firstToken *prometheus.HistogramVec
	tokenGap   *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	appended   prometheus.Counter
	logLag     prometheus.Histogram
	usage      *prometheus.CounterVec
	failures   *prometheus.CounterVec
	published  prometheus.Counter
	errors     *prometheus.CounterVec
	refused    *prometheus.CounterVec
}

// NewMetrics returns metrics that all start at zero, with those of the Go
// runtime and the process.
func NewMetrics() *Metrics {
	// What is ours to keep short, from 50 µs to 1.6 s; what a model takes, from
	// 1 ms to 65 s, and to 17 min for whole answers.
	shortBuckets := prometheus.ExponentialBuckets(50e-6, 2, 16)
	tokenBuckets := prometheus.ExponentialBuckets(1e-3, 2, 17)
	answerBuckets := prometheus.ExponentialBuckets(62.5e-3, 2, 15)
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		accept: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "runnel_accept_seconds", Help: "Time to make a prompt durable.", Buckets: shortBuckets}),
		attempts: counters("runnel_attempts_total", "Attempts to run a generation.", "model"),
		takeovers: counters("runnel_takeovers_total",
			"Attempts after the first, by what they do with what was said: continued, restarted, or refused by the model.", "model", "how"),
		ended:    counters("runnel_generations_total", "Generations that have ended.", "model", "outcome"),
		duration: histograms("runnel_generation_seconds", "Time from acceptance to the end of a generation.", answerBuckets, "model", "outcome"),
		firstToken: histograms("runnel_time_to_first_token_seconds",
			"Time from acceptance to the model's first fragment.", tokenBuckets, "model"),
		tokenGap: histograms("runnel_token_gap_seconds", "Time between two fragments of a model.", tokenBuckets, "model"),
		retries:  counters("runnel_upstream_retries_total", "Calls that failed before their first fragment.", "model", "kind"),
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "runnel_events_appended_total", Help: "Events stored in the log."}),
		logLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "runnel_log_lag_seconds", Help: "Time from storing an event to writing it to a client that waited for it.", Buckets: shortBuckets}),
		usage:    counters("runnel_usage_tokens_total", "Tokens that vendors have counted: input, output, cache_read, cache_write, reasoning.", "model", "type"),
		failures: counters("runnel_generation_failures_total", "Generations that have failed.", "model", "kind"),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "runnel_pieces_published_total", Help: "Pieces of answers from outside that were made durable."}),
		errors:  counters("runnel_errors_total", "Requests and streams that failed.", "transport", "kind"),
		refused: counters("runnel_limit_refusals_total", "What was refused because a principal is over a limit.", "limit"),
	}
	m.registry.MustRegister(m.accept, m.attempts, m.takeovers, m.ended, m.duration, m.firstToken, m.tokenGap, m.retries,
		m.usage, m.failures, m.published, m.appended, m.logLag, m.errors, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Handler returns the handler of /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Accepted records how long it took to make a prompt durable.
func (m *Metrics) Accepted(took time.Duration) { m.accept.Observe(took.Seconds()) }

// Started records that an attempt began to run.
func (m *Metrics) Started(model string) {
	m.attempts.WithLabelValues(model).Inc()
	for _, how := range [...]string{"continued", "restarted", "refused"} {
		m.takeovers.WithLabelValues(model, how) // a rate needs a zero before the one
	}
}

// TookOver records what an attempt does with what those before it have said.
func (m *Metrics) TookOver(model, how string) { m.takeovers.WithLabelValues(model, how).Inc() }

// FirstToken records the time from acceptance to the first fragment.
func (m *Metrics) FirstToken(model string, after time.Duration) {
	m.firstToken.WithLabelValues(model).Observe(after.Seconds())
}

// TokenGap records the time between two fragments.
func (m *Metrics) TokenGap(model string, gap time.Duration) {
	m.tokenGap.WithLabelValues(model).Observe(gap.Seconds())
}

// Retried records a call that failed before its first fragment.
func (m *Metrics) Retried(model string, kind runnel.Kind) {
	m.retries.WithLabelValues(model, kind.String()).Inc()
}

// Appended records that an event was stored.
func (m *Metrics) Appended() { m.appended.Inc() }

// Published records that a piece from outside was made durable.
func (m *Metrics) Published() { m.published.Inc() }

// Ended records the end of a generation.
func (m *Metrics) Ended(model string, t *runnel.Turn) {
	m.ended.WithLabelValues(model, string(t.State)).Inc()
	m.duration.WithLabelValues(model, string(t.State)).Observe(t.EndedAt.Sub(t.AcceptedAt).Seconds())
	if t.Failure != nil { // whose kind a publisher may have made up
		m.failures.WithLabelValues(model, runnel.ParseKind(t.Failure.Kind).String()).Inc()
	}
	if u := t.Usage; u != nil {
		for _, count := range []struct {
			of string
			n  int
		}{
			{"input", u.InputTokens}, {"output", u.OutputTokens}, {"cache_read", u.CacheReadTokens},
			{"cache_write", u.CacheWriteTokens}, {"reasoning", u.ReasoningTokens},
		} {
			if count.n > 0 { // it is the vendor's word, and a counter panics at less
				m.usage.WithLabelValues(model, count.of).Add(float64(count.n))
			}
		}
	}
}

// LogLag records the time from storing an event to writing it to a client.
func (m *Metrics) LogLag(lag time.Duration) { m.logLag.Observe(lag.Seconds()) }

// Failed returns what records the failures of a transport.
func (m *Metrics) Failed(transport string) func(runnel.Kind) {
	errs := m.errors.MustCurryWith(prometheus.Labels{"transport": transport})
	errs.WithLabelValues(runnel.Internal.String()) // shown from the start: a rate needs a zero before the one
	return func(kind runnel.Kind) { errs.WithLabelValues(kind.String()).Inc() }
}

// Refused records that a limit, of a fixed set of names, refused so often.
func (m *Metrics) Refused(limit string, times int) {
	m.refused.WithLabelValues(limit).Add(float64(times))
}

// Readers shows how many readers a transport has. Call it once per transport.
func (m *Metrics) Readers(transport string, open func() int) {
	m.gauge("runnel_readers", "Readers with an open stream.", prometheus.Labels{"transport": transport}, open)
}

// InFlight shows how many generations this node has leased. Call it once.
func (m *Metrics) InFlight(running func() int) {
	m.gauge("runnel_generations_in_flight", "Generations that this node runs or has waiting for their turn.", nil, running)
}

// QueueDepth shows how many prompts are queued. Call it once. The function is
// called at every scrape.
func (m *Metrics) QueueDepth(depth func() int) {
	m.gauge("runnel_queue_depth", "Accepted prompts whose generation has not ended.", nil, depth)
}

// Connections shows how many connections the port has. Call it once.
func (m *Metrics) Connections(open func() int) {
	m.gauge("runnel_connections", "Connections that the port has open, of whatever protocol.", nil, open)
}

// LogFigures are what the log tells of this node's readers.
type LogFigures struct {
	Sessions    int    // that have readers
	Gaps        uint64 // that live delivery left, and history filled
	Undecodable uint64 // events that were left out
}

// Log shows how the log's readers are served. Call it once. The function is
// called at every scrape.
func (m *Metrics) Log(figures func() LogFigures) {
	m.gauge("runnel_sessions_read", "Sessions that have readers on this node.", nil, func() int { return figures().Sessions })
	for name, c := range map[string]struct {
		help string
		f    func() uint64
	}{
		"runnel_log_gaps_healed_total":    {"Gaps in the live delivery of events that were filled from the log.", func() uint64 { return figures().Gaps }},
		"runnel_events_undecodable_total": {"Events of the log that could not be decoded, and were left out.", func() uint64 { return figures().Undecodable }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: c.help}, func() float64 { return float64(c.f()) }))
	}
}

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, f func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(f()) }))
}
