package appsync

import (
	"context"
	"errors"
	"io"
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
	out := sse.NewWriter(w, h.cfg.WriteTimeout)
	if _, err = out.Write(alive()); err == nil {
		err = h.copy(ctx, src, out, frames{
			framer: framer{head: "event: next\ndata: ", tail: "\n\n"}, last: "event: complete\ndata: \n\n", alive: alive(),
		})
	}
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

// alive is a comment: browsers want something before they say that a stream is open,
// and proxies now and then.
func alive() []byte { return []byte(":\n\n") }

// frames are what an operation's results come in.
type frames struct {
	framer
	last  string // behind them
	alive []byte // while there are none; nil: somebody else sees to that
}

// copy writes what src has until its end.
func (h *Handler) copy(ctx context.Context, src source, w io.Writer, out frames) error {
	for {
		out.buf = out.buf[:0]
		beat, stop := ctx, func() {}
		if out.alive != nil {
			beat, stop = context.WithTimeout(ctx, h.cfg.Heartbeat)
		}
		err := src.next(beat, &out.framer)
		stop()
		quiet := err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
		switch {
		case errors.Is(context.Cause(ctx), errStopped):
			return nil
		case quiet:
			out.buf = append(out.buf, out.alive...)
		case errors.Is(err, errOver), errors.Is(context.Cause(ctx), errInvalidated):
			err = errOver
			out.buf = append(out.buf, out.last...)
		case err != nil:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			response := graphql.Response{Errors: errorsOf(err)}
			out.raw(response.AppendJSON(nil))
			out.buf = append(out.buf, out.last...)
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
