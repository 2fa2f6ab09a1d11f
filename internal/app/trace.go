package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/runnelhq/runnel/internal/obs"
	"github.com/runnelhq/runnel/internal/session"
)

// traceTimeout bounds what the node's end waits for the collector.
const traceTimeout = 2 * time.Second

// openTracer begins to send traces, if somebody has said where to.
func (a *App) openTracer(ctx context.Context) (err error) {
	version := "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
	}
	a.tracer, err = obs.OpenTracer(ctx, obs.TraceConfig{Endpoint: a.cfg.OTLPEndpoint, Version: version, Node: a.node, Logger: a.log})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	return nil
}

// closeTracer sends what there is. That the collector does not take it is no
// fault of the node's end.
func (a *App) closeTracer() {
	if a.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceTimeout)
	defer cancel()
	if err := a.tracer.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("the last traces are lost", "err", err)
	}
}

// steps is what the sessions tell the steps of their generations.
func (a *App) steps() session.Tracer {
	if a.tracer == nil {
		return nil // an interface that holds nothing
	}
	return a.tracer
}

// extract is how the server finds the trace of a request.
func (a *App) extract() func(context.Context, http.Header) context.Context {
	if a.tracer == nil {
		return nil
	}
	return a.tracer.Extract
}

// traced has the requests of a transport name their traces.
func (a *App) traced(base http.RoundTripper) http.RoundTripper {
	if a.tracer == nil {
		return base
	}
	return a.tracer.Transport(base)
}
