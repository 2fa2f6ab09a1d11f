package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/wire"
)

const (
	// maxFrame bounds one event: an answer of 4 MiB whose every byte is escaped.
	maxFrame = 32 << 20
	// maxReset bounds the events of one reset, which are held back until the
	// last of them has come.
	maxReset = 128 << 20
	// quiet is how long a connection may show no life. Gateways send something
	// every 15 seconds unless they are told otherwise.
	quiet = time.Minute
)

// Stream yields the events of a session after the given position, in order and
// each exactly once, and waits for more until ctx is done or the caller leaves
// the loop. It reconnects by itself; only an error that trying again would not
// mend ends it, as its last element.
func (c *Client) Stream(ctx context.Context, id runnel.SessionID, after runnel.Cursor) iter.Seq2[runnel.Event, error] {
	return func(yield func(runnel.Event, error) bool) {
		s := stream{c: c, id: id, after: after, yield: yield}
		for {
			began := time.Now()
			err := s.connect(ctx)
			if time.Since(began) > longWait {
				s.backoff.tries = 0 // it was a good connection, if a quiet one
			}
			if err == nil {
				return // the caller has left
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			} else if temporary(ctx, err) {
				if err = s.backoff.wait(ctx, c, err); err == nil {
					continue
				}
			}
			yield(runnel.Event{}, fmt.Errorf("client: stream session %s: %w", id, err))
			return
		}
	}
}

// Follow yields the events of one generation, from its first to its terminal
// event, and then ends. Otherwise it is like [Client.Stream].
func (c *Client) Follow(ctx context.Context, r runnel.Receipt) iter.Seq2[runnel.Event, error] {
	return func(yield func(runnel.Event, error) bool) {
		for ev, err := range c.Stream(ctx, r.Session, r.Cursor) {
			if err == nil && ev.Type == runnel.EventReset && ev.Generation == "" {
				// The gateway has another log than the one we read. If it does
				// not know the generation either, no event of it will come.
				_, err = c.Generation(ctx, r.Generation)
			}
			if err != nil {
				yield(runnel.Event{}, err)
				return
			}
			if ev.Generation == r.Generation && (!yield(ev, nil) || ev.Type.Terminal()) {
				return
			}
		}
	}
}

// A stream is one reader's way through a session, over several connections.
type stream struct {
	c       *Client
	id      runnel.SessionID
	after   runnel.Cursor
	yield   func(runnel.Event, error) bool
	backoff backoff
}

// connect opens a connection and gives out what comes. It returns nil if the
// caller has left the loop.
func (s *stream) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A connection can die without a word; a gateway that lives sends
	// heartbeats.
	watch := time.AfterFunc(quiet, cancel)
	defer watch.Stop()

	header := http.Header{"Accept": {"text/event-stream"}}
	query := url.Values{"after": {s.after.String()}}
	resp, err := s.c.send(ctx, http.MethodGet, header, nil, []string{"sessions", string(s.id), "events"}, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s.backoff.recovered(s.c)
	return s.read(sse.NewReader(&watched{resp.Body, watch}, maxFrame))
}

func (s *stream) read(r *sse.Reader) error {
	var held []runnel.Event // of a reset that is not complete
	size := 0
	last := s.after.String()
	for {
		frame, err := r.Next()
		if err != nil {
			return unreachable(err)
		}
		if string(frame.Type) == "error" {
			return streamError(frame.Data)
		}
		ev := runnel.Event{Session: s.id}
		if err := wire.Decode(bytes.Clone(frame.Data), &ev); err != nil {
			return err
		}
		held = append(held, ev)
		if size += len(frame.Data); size > maxReset {
			return errors.New("a reset is longer than any session")
		}
		// The reader carries the last id over to frames that have none.
		if id := string(frame.ID); id != "" && id != last {
			if held[len(held)-1].Cursor, err = runnel.ParseCursor(id); err != nil {
				return err
			}
			last = id
			if !s.give(held) {
				return nil
			}
			held, size = held[:0], 0
		}
	}
}

// give hands complete events to the caller. All but the last have no cursor, so
// a break between them would make the next connection repeat them: they count
// as given together.
func (s *stream) give(events []runnel.Event) bool {
	for _, ev := range events {
		if !s.yield(ev, nil) {
			return false
		}
	}
	s.after = events[len(events)-1].Cursor
	s.backoff.tries = 0
	return true
}

// streamError reads the frame with which a gateway ends a stream early.
func streamError(data []byte) error {
	var f runnel.Failure
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("the stream ended with an error that cannot be read: %w", err)
	}
	kind := runnel.ParseKind(f.Kind)
	if kind == runnel.Internal {
		kind = runnel.Unavailable // like a status of 500: it may pass
	}
	return runnel.Errorf(kind, "%s", f.Message)
}

// A watched reader puts off the end of a connection whenever something comes.
type watched struct {
	io.Reader
	watch *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.watch.Reset(quiet)
	return n, err
}
