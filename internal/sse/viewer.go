package sse

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/runnelhq/runnel"
)

// Why a stream is ended from outside; found by [context.Cause].
var (
	errLeft   = errors.New("the client has left")
	errEnding = errors.New("the server is stopping")
)

// maxIgnored bounds what a client may send after its request.
const maxIgnored = 4 << 10

// maxKept is the largest buffer that goes back to the pool.
const maxKept = 4 * maxWrite

// lastWords is what a client may take to accept what is left for it when its
// credentials have ended.
const lastWords = time.Second

// A Source says what a stream shows.
type Source struct {
	Session runnel.SessionID
	After   runnel.Cursor
	// Generation limits the stream to the events of one generation; it ends
	// with the terminal one. Empty means all events, without end.
	Generation runnel.GenerationID
	// First holds events that were already read after After.
	First []runnel.Event
}

// A viewer is one open stream.
type viewer struct {
	set    *Viewers
	out    link
	conn   net.Conn // nil unless it was taken off net/http
	src    Source
	cancel context.CancelCauseFunc
}

// A link is the way to a client.
type link interface {
	io.Writer
	endBy(last time.Time) // sets the last moment of any write
}

// run copies the session to the client until either side ends. The error is nil
// if the stream was complete.
func (v *viewer) run(ctx context.Context, head []byte) error {
	// A client that does not read must not keep what it may no longer have.
	stop := context.AfterFunc(ctx, func() {
		if withdrawn(context.Cause(ctx)) {
			v.out.endBy(time.Now().Add(lastWords))
		}
	})
	defer stop()
	if err := v.write(ctx, v.set.appendPreamble(head)); err != nil {
		return err
	}
	done, err := v.forward(ctx, v.src.First)
	v.src.First = nil
	for !done && err == nil {
		if done, err = v.copy(ctx); !done && err == nil {
			err = v.write(ctx, []byte(": ping\n\n"))
		}
	}
	return err
}

// copy copies until it is time for a heartbeat or the stream is done. One
// context serves all its reads: a new one for each would cost more than they do.
func (v *viewer) copy(ctx context.Context) (done bool, err error) {
	beat, stop := context.WithTimeout(ctx, v.set.cfg.Heartbeat)
	defer stop()
	for {
		asked := time.Now()
		events, err := v.set.sessions.Read(beat, v.src.Session, v.src.After)
		switch {
		case err == nil:
			if done, err := v.forward(ctx, events); done || err != nil {
				return done, err
			}
			v.observe(events, asked)
		case ctx.Err() != nil:
			return false, v.end(ctx)
		case beat.Err() != nil:
			return false, nil
		default:
			v.fail(ctx, err)
			return false, err
		}
	}
}

// forward writes events, many at a time, and reports whether the stream is
// complete.
func (v *viewer) forward(ctx context.Context, events []runnel.Event) (done bool, err error) {
	pooled := v.set.buffer()
	buf := (*pooled)[:0]
	defer func() {
		if cap(buf) <= maxKept {
			*pooled = buf
			v.set.buffers.Put(pooled)
		}
	}()
	for i := range events {
		ev := &events[i]
		if !ev.Cursor.IsZero() {
			v.src.After = ev.Cursor
		}
		if v.src.Generation != "" && ev.Generation != v.src.Generation {
			continue
		}
		buf = AppendEvent(buf, ev)
		if v.src.Generation != "" && ev.Type.Terminal() {
			done = true
			break
		}
		if len(buf) >= maxWrite {
			if err := v.write(ctx, buf); err != nil {
				return false, err
			}
			buf = buf[:0]
		}
	}
	if len(buf) > 0 {
		err = v.write(ctx, buf)
	}
	return done, err
}

// write writes whole frames, unless the stream has been ended.
func (v *viewer) write(ctx context.Context, frames []byte) error {
	if ctx.Err() != nil {
		return v.end(ctx)
	}
	_, err := v.out.Write(frames)
	if cause := context.Cause(ctx); err != nil && withdrawn(cause) {
		v.report(ctx, cause) // there may be half a frame on the wire: nothing can follow
		return cause
	}
	return err
}

// observe reports the delay of the newest event, if it was stored while the
// client waited for it: the age of history says nothing about us.
func (v *viewer) observe(events []runnel.Event, asked time.Time) {
	if v.set.cfg.Lag == nil || len(events) == 0 {
		return
	}
	if stored := events[len(events)-1].Time; stored.After(asked) {
		v.set.cfg.Lag(time.Since(stored))
	}
}

// end takes leave of a client whose stream is ended from outside, and returns
// why it is.
func (v *viewer) end(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errEnding):
		// What cannot be said any more cannot be helped either.
		_, _ = v.out.Write(AppendRetry(nil, rand.N(v.set.drainSpread())))
	case withdrawn(cause):
		v.fail(ctx, cause)
	}
	return cause
}

// withdrawn reports whether a stream is ended by something to tell its client:
// that its credentials are no longer good.
func withdrawn(cause error) bool {
	_, ok := errors.AsType[*runnel.Error](cause)
	return ok
}

// fail says on the stream why it ends early.
func (v *viewer) fail(ctx context.Context, err error) {
	_, _ = v.out.Write(AppendError(nil, err))
	v.report(ctx, err)
}

func (v *viewer) report(ctx context.Context, err error) {
	level := slog.LevelDebug
	if kind := runnel.KindOf(err); kind == runnel.Internal || kind == runnel.Unavailable {
		level = slog.LevelWarn
	}
	v.set.log.Log(ctx, level, "a stream ends early", "session_id", v.src.Session, "cursor", v.src.After.String(), "err", err)
	if v.set.cfg.Failed != nil {
		v.set.cfg.Failed(runnel.KindOf(err))
	}
}

// watch ends the stream when the client closes its side, which nothing but a
// read tells. One who keeps talking is not an event stream's client.
func (v *viewer) watch() {
	b := make([]byte, 1)
	for range maxIgnored {
		if _, err := v.conn.Read(b); err != nil {
			break
		}
	}
	v.cancel(errLeft)
}

func (vs *Viewers) appendPreamble(dst []byte) []byte {
	// Half to one and a half of the setting: clients that lost the server at
	// the same moment do not come back at the same moment.
	wait := vs.cfg.Retry/2 + rand.N(vs.cfg.Retry)
	// The comment brings the head to clients that wait for the first line.
	return AppendRetry(append(dst, ": runnel\n"...), wait)
}
