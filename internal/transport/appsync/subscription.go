package appsync

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// A source is where a subscription's data comes from. It is used by one goroutine.
type source interface {
	// next waits for more and appends it to out. After an error, which is
	// errOver at a good end, there is no more than what was appended.
	next(ctx context.Context, out *framer) error
	// close lets go of what the source holds.
	close()
}

var (
	// errOver is the good end of a source.
	errOver = errors.New("appsync: the subscription is complete")
	// errStopped ends a subscription whose client wants no more of it.
	errStopped = errors.New("appsync: the client has unsubscribed")
	// errMoved ends one that its client has begun again on another connection.
	errMoved = errors.New("appsync: the client goes on elsewhere")
)

// A framer puts payloads between what a protocol has before and behind them.
type framer struct {
	buf        []byte
	head, tail string
	text       bool // as WebSocket messages; else as they are
}

// frame appends a frame around what f appends.
func (o *framer) frame(f func(dst []byte) []byte) {
	start := len(o.buf)
	if o.text {
		o.buf = wsconn.BeginText(o.buf)
	}
	o.buf = append(f(append(o.buf, o.head...)), o.tail...)
	if o.text {
		o.buf = wsconn.EndText(o.buf, start)
	}
}

// raw appends the frame of a payload.
func (o *framer) raw(payload []byte) {
	o.frame(func(dst []byte) []byte { return append(dst, payload...) })
}

// project appends what a plan makes of an event. False means that it would be
// larger than a subscriber may get: nothing is appended.
func (o *framer) project(plan *graphql.Plan, ev graphql.Value) bool {
	start, size := len(o.buf), 0
	o.frame(func(dst []byte) []byte {
		before := len(dst)
		dst = plan.AppendPayload(dst, ev)
		size = len(dst) - before
		return dst
	})
	if size > maxPayload {
		o.buf = o.buf[:start]
		return false
	}
	return true
}

// A subscription is one of a socket's. Its goroutine sends all that its client
// hears of it, so that nothing comes before its acknowledgement or after its end.
type subscription struct {
	socket *socket
	id     string
	cancel context.CancelCauseFunc
	done   chan struct{}
	prev   *subscription // of the same id, which is about to end; nil: none
	acked  bool

	stopped atomic.Bool // by the client
	// keeper remembers how far a view has come; nil: nobody needs to. It is set
	// before anything is sent.
	keeper atomic.Pointer[keeper]
}

// begin runs a subscription on a goroutine of its own. open says what it is to
// show; its context ends with the subscription, and carries the caller if bind is
// called with it.
func (s *socket) begin(id string, open func(ctx context.Context, sub *subscription) error) {
	ctx, cancel := context.WithCancelCause(s.ws.Context())
	sub := &subscription{socket: s, id: id, cancel: cancel, done: make(chan struct{})}
	if err := s.add(sub); err != nil {
		cancel(nil)
		s.reject(id, err)
		return
	}
	s.work.Go(func() {
		defer close(sub.done)
		defer cancel(nil)
		if sub.prev != nil {
			<-sub.prev.done
			sub.prev = nil
		}
		err := open(ctx, sub)
		s.remove(sub)
		sub.end(ctx, err)
	})
}

// follow sends the acknowledgement, and then what comes from src. If ctx ends, its
// cause is what ends the subscription.
func (sub *subscription) follow(ctx context.Context, src source) error {
	err := sub.copy(ctx, src)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (sub *subscription) copy(ctx context.Context, src source) error {
	s := sub.socket
	if ack := s.dialect.ack(sub.id); ack != nil {
		if err := s.ws.Write(ctx, ack); err != nil {
			return err
		}
	}
	sub.acked = true
	out := s.dialect.framer(sub.id)
	for {
		out.buf = out.buf[:0]
		err := src.next(ctx, &out)
		if len(out.buf) > 0 {
			if failed := s.write(ctx, sub, out.buf); failed != nil {
				return failed
			}
		}
		if err != nil {
			return err
		}
		if cap(out.buf) > maxKeptFrames {
			out.buf = nil
		}
	}
}

// maxKeptFrames is the largest buffer that a subscription keeps.
const maxKeptFrames = 16 << 10

// end says that there will be no more, and why.
func (sub *subscription) end(ctx context.Context, err error) {
	s := sub.socket
	if s.ws.Context().Err() != nil {
		return
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var last []byte
	switch {
	case errors.Is(err, errStopped):
		last = s.dialect.stopped(sub.id)
	case errors.Is(err, errInvalidated):
		s.dialect.invalidated(s, sub.id)
	case err == nil, errors.Is(err, errOver), errors.Is(err, errMoved):
		last = s.dialect.complete(sub.id)
	default:
		s.door.failed(s.ws.Context(), err)
		last = s.dialect.fail(sub.id, err, sub.acked)
	}
	if last != nil {
		_ = s.ws.Write(s.ws.Context(), last) // the connection is gone, then
	}
}

// subscribe shows the caller what a request subscribes to.
func (sub *subscription) subscribe(ctx context.Context, p *runnel.Principal, req graphql.Request) error {
	h := sub.socket.door
	op, errs := h.api.schema.Prepare(req)
	if errs != nil {
		return errs
	}
	if op.Kind() != "subscription" && sub.socket.dialect.executes() {
		return sub.follow(ctx, &once{h.execute(ctx, p, op).AppendJSON(nil)})
	}
	src, err := h.source(ctx, p, op, sub.id, sub.cancel, sub)
	if err != nil {
		return err
	}
	defer src.close()
	return sub.follow(ctx, src)
}

// source returns what an operation subscribes to. id is the client's name for it, under
// which it may go on later; sub is stopped if it does, and may be nil. end ends the
// subscription early.
func (h *Handler) source(
	ctx context.Context, p *runnel.Principal, op *graphql.Operation, id string, end context.CancelCauseFunc, sub *subscription,
) (source, error) {
	s, refused := h.api.schema.Subscribe(op, callerOf(p))
	if refused != nil {
		return nil, refused
	}
	var src source
	var err error
	if b := h.api.views[s.Field]; b == nil || b.Do == gqlapi.Filter {
		src, err = h.newFanout(ctx, s, b)
	} else {
		src, err = h.newView(ctx, p, b, s, id, sub)
	}
	if err != nil {
		return nil, err
	}
	return h.endable(ctx, p, s, id, end, src)
}

// once is the source of one payload.
type once struct{ payload []byte }

func (o *once) next(_ context.Context, out *framer) error {
	out.raw(o.payload)
	return errOver
}

func (*once) close() {}
