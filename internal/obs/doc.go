// Package obs is what the gateway tells its operators: the log's handler, the
// metrics, and traces for an OpenTelemetry collector. It declares no interface; the parts that report say what they
// need, and [Metrics] has it.
package obs
