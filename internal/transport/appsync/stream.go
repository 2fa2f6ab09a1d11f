package appsync

import (
	"context"
	"errors"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/sse"
)

// stream answers a request as the protocol GraphQL over SSE has it, on a connection
// of its own.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, p *runnel.Principal, req graphql.Request) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.life, func() { cancel(context.Cause(h.life)) })()
	src, err := h.streamed(ctx, r, p, req, cancel)
	if err != nil {
		src = &once{(&graphql.Response{Errors: errorsOf(err)}).AppendJSON(nil)}
	}
	defer src.close()
	sse.SetHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	err = h.copy(ctx, src, sse.NewWriter(w, h.cfg.WriteTimeout))
	if err != nil && ctx.Err() == nil {
		h.failed(ctx, err)
	}
}

func (h *Handler) streamed(ctx context.Context, r *http.Request, p *runnel.Principal, req graphql.Request, end context.CancelCauseFunc) (source, error) {
	op, errs := h.api.schema.Prepare(req)
	switch {
	case errs != nil:
		return nil, errs
	case op.Kind() == "subscription":
		return h.source(ctx, p, op, "", end, nil)
	case op.Kind() == "mutation" && r.Method == http.MethodGet:
		return nil, runnel.Errorf(runnel.Invalid, "Use POST for mutations.")
	}
	return &once{h.execute(ctx, p, op).AppendJSON(nil)}, nil
}

// copy writes what src has until its end, with a comment as a sign of life.
func (h *Handler) copy(ctx context.Context, src source, w *sse.Writer) error {
	out := framer{head: "event: next\ndata: ", tail: "\n\n"}
	alive := []byte(":\n\n")
	if _, err := w.Write(alive); err != nil {
		return err
	}
	for {
		out.buf = out.buf[:0]
		beat, stop := context.WithTimeout(ctx, h.cfg.Heartbeat)
		err := src.next(beat, &out)
		stop()
		quiet := err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
		switch {
		case quiet:
			out.buf = append(out.buf, alive...)
		case errors.Is(err, errOver), errors.Is(context.Cause(ctx), errInvalidated):
			err = errOver
			out.buf = append(out.buf, "event: complete\ndata: \n\n"...)
		case err != nil:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			response := graphql.Response{Errors: errorsOf(err)}
			out.raw(response.AppendJSON(nil))
			out.buf = append(out.buf, "event: complete\ndata: \n\n"...)
		}
		if _, failed := w.Write(out.buf); failed != nil {
			return failed
		}
		if err != nil && !quiet {
			if errors.Is(err, errOver) {
				return nil
			}
			return err
		}
	}
}

// errorsOf returns an error as a response has it.
func errorsOf(err error) graphql.Errors {
	if errs, ok := errors.AsType[graphql.Errors](err); ok {
		return errs
	}
	if e, ok := errors.AsType[*graphql.Error](err); ok {
		return graphql.Errors{e}
	}
	f := newFailure(err)
	return graphql.Errors{{Type: f.Type, Message: f.Message}}
}
