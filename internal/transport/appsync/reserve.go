package appsync

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/wire"
)

// GraphQL over SSE on a single connection: PUT reserves a stream, GET opens it,
// POSTs run operations whose results come on it, DELETE stops one of them.
const (
	streamTokenHeader = "X-Graphql-Event-Stream-Token"
	// streamTokenPrefix tells the ?token= of a stream from one that is credentials.
	streamTokenPrefix = "stream-"
	// reserved is how long a stream that was reserved may take to be opened.
	reserved = 30 * time.Second
	// maxReserved is how many streams one caller may have, open or not.
	maxReserved = 100
)

var (
	errNoStream    = runnel.Errorf(runnel.NotFound, "Stream not found")
	errStreamEnded = errors.New("appsync: the stream has ended")
)

// reservations are the streams of a node, by their tokens.
type reservations struct {
	unused time.Duration // how long one may take to be opened

	work sync.WaitGroup // of all operations; nothing is added when closed

	mu      sync.Mutex
	closed  bool
	byToken map[string]*reservation
	count   map[string]int // by account
}

// A reservation is a stream that operations share. Nothing waits in it: each
// operation holds one frame until the stream takes it.
type reservation struct {
	token   string
	owner   string // principal
	account string
	place   *limit.Connection
	ctx     context.Context //nolint:containedctx // of the stream and its operations
	end     context.CancelCauseFunc
	opened  chan struct{}
	unused  *time.Timer // ends it, unless it is opened

	mu   sync.Mutex
	gone bool
	open bool
	ops  map[string]context.CancelCauseFunc
	work sync.WaitGroup // of this stream's operations; nothing is added when it is gone

	writing sync.Mutex
	out     io.Writer // set when it is opened
}

// end waits until the operations have ended, whose context has.
func (all *reservations) end(ctx context.Context) error {
	all.mu.Lock()
	all.closed = true
	all.mu.Unlock()
	done := make(chan struct{})
	go func() {
		all.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin counts an operation until it is done.
func (all *reservations) begin() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if !all.closed {
		all.work.Add(1)
	}
	return !all.closed
}

func ownerOf(p *runnel.Principal) string { return p.Scheme + "\x00" + p.ID }

// streamToken returns the token of a stream that a request is about, if any, and
// the request without it: it is not the caller's credentials.
func streamToken(r *http.Request) (token string, bare *http.Request) {
	if token = r.Header.Get(streamTokenHeader); token != "" {
		return token, r
	}
	q := r.URL.Query()
	if token = q.Get("token"); !strings.HasPrefix(token, streamTokenPrefix) {
		return "", r
	}
	q.Del("token")
	bare = r.Clone(r.Context())
	bare.URL.RawQuery = q.Encode()
	return token, bare
}

// onReservation answers the requests of clients with one stream for all operations,
// if r is one. Its body was read.
func (h *Handler) onReservation(w http.ResponseWriter, r *http.Request, p *runnel.Principal, token string, body []byte) (ok bool) {
	if r.Method == http.MethodPut {
		h.reserve(w, r, p)
		return true
	}
	if token == "" && r.Method != http.MethodDelete {
		return false
	}
	res, err := h.reservationOf(token, p)
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case r.Method == http.MethodDelete:
		res.stop(r.URL.Query().Get("operationId"))
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		ctx, release := h.cfg.Bind(r.Context(), p)
		defer release()
		h.openReserved(ctx, w, r, res)
	default:
		h.operate(w, r, p, res, body)
	}
	return true
}

// reserve answers PUT.
func (h *Handler) reserve(w http.ResponseWriter, r *http.Request, p *runnel.Principal) {
	res := &reservation{
		token: streamTokenPrefix + rand.Text(), owner: ownerOf(p), account: cmp.Or(p.Account, p.ID),
		opened: make(chan struct{}), ops: make(map[string]context.CancelCauseFunc),
	}
	all := h.reservations
	all.mu.Lock()
	if all.count[res.account] >= maxReserved {
		all.mu.Unlock()
		h.refuse(w, r, runnel.Errorf(runnel.Limited, "too many streams: %d at the same time are allowed", maxReserved))
		return
	}
	all.count[res.account]++
	all.byToken[res.token] = res
	all.mu.Unlock()
	res.ctx, res.end = context.WithCancelCause(h.life)
	var err error
	if res.place, err = h.cfg.Limits.Connect(p); err != nil {
		h.release(res)
		h.refuse(w, r, err)
		return
	}
	res.unused = time.AfterFunc(all.unused, func() { h.release(res) })
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, res.token) // a client that has left is not a failure
}

// release ends a stream and its operations, without waiting for them.
func (h *Handler) release(res *reservation) {
	res.mu.Lock()
	gone := res.gone
	res.gone = true
	res.mu.Unlock()
	if gone {
		return
	}
	res.end(errStreamEnded)
	res.place.Release()
	all := h.reservations
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.byToken, res.token)
	if all.count[res.account]--; all.count[res.account] == 0 {
		delete(all.count, res.account)
	}
}

// reservationOf returns a caller's stream. Somebody else's is not there.
func (h *Handler) reservationOf(token string, p *runnel.Principal) (*reservation, error) {
	h.reservations.mu.Lock()
	defer h.reservations.mu.Unlock()
	res := h.reservations.byToken[token]
	if res == nil || res.owner != ownerOf(p) {
		return nil, errNoStream
	}
	return res, nil
}

// openReserved answers GET: the stream itself, until one side ends it.
func (h *Handler) openReserved(ctx context.Context, w http.ResponseWriter, r *http.Request, res *reservation) {
	res.mu.Lock()
	opened := res.open || res.gone
	res.open = true
	res.mu.Unlock()
	if opened {
		h.refuse(w, r, runnel.Errorf(runnel.Conflict, "Stream already open"))
		return
	}
	res.unused.Stop()
	defer res.work.Wait() // they write
	defer h.release(res)
	defer context.AfterFunc(ctx, func() { res.end(context.Cause(ctx)) })()
	sse.SetHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	res.out = sse.NewWriter(w, h.cfg.WriteTimeout)
	close(res.opened)
	beat := time.NewTicker(h.cfg.Heartbeat)
	defer beat.Stop()
	for {
		if _, err := res.Write(alive()); err != nil {
			return
		}
		select {
		case <-beat.C:
		case <-res.ctx.Done():
			return
		}
	}
}

// Write waits until the stream is open, and for its turn.
func (res *reservation) Write(p []byte) (int, error) {
	select {
	case <-res.opened:
	case <-res.ctx.Done():
		return 0, context.Cause(res.ctx)
	}
	res.writing.Lock()
	defer res.writing.Unlock()
	if res.ctx.Err() != nil {
		return 0, context.Cause(res.ctx)
	}
	n, err := res.out.Write(p)
	if err != nil {
		res.end(err)
	}
	return n, err
}

// operate answers POST: the operation's results come on the stream.
func (h *Handler) operate(w http.ResponseWriter, r *http.Request, p *runnel.Principal, res *reservation, body []byte) {
	req, err := queryOf(r, body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	id := operationID(body)
	if !validID(id) {
		h.refuse(w, r, runnel.Errorf(runnel.Invalid, "Operation ID is missing"))
		return
	}
	op, errs := h.api.schema.Prepare(req)
	if errs != nil {
		writeBody(w, http.StatusBadRequest, (&graphql.Response{Errors: errs}).AppendJSON(nil))
		return
	}
	r = r.Clone(context.Background())
	ctx, release := h.cfg.Bind(context.WithValue(withKey(res.ctx, r.Header.Get("Idempotency-Key")), requestKey{}, r), p)
	ctx, cancel := context.WithCancelCause(ctx)
	err = res.begin(h.reservations, id, cancel, func() {
		defer release()
		defer cancel(nil)
		h.operateOn(ctx, res, p, id, op, cancel)
	})
	if err != nil {
		cancel(nil)
		release()
		h.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// operationID returns the name that the client gives an operation.
func operationID(body []byte) string {
	v, err := graphql.ParseJSON(body)
	if err != nil {
		return ""
	}
	return v.Get("extensions", "operationId").Text()
}

// begin runs an operation on a goroutine that the stream and the door wait for.
func (res *reservation) begin(all *reservations, id string, cancel context.CancelCauseFunc, run func()) error {
	res.mu.Lock()
	defer res.mu.Unlock()
	switch {
	case res.gone:
		return errNoStream
	case res.ops[id] != nil:
		return runnel.Errorf(runnel.Conflict, "Operation with ID already exists")
	case len(res.ops) >= maxSubscriptions:
		return runnel.Errorf(runnel.Limited, "%s", errTooMany.Message)
	case !all.begin():
		return errNoStream
	}
	res.ops[id] = cancel
	res.work.Go(func() {
		defer all.work.Done()
		run()
	})
	return nil
}

// operateOn writes an operation's results to the stream.
func (h *Handler) operateOn(
	ctx context.Context, res *reservation, p *runnel.Principal, id string, op *graphql.Operation, cancel context.CancelCauseFunc,
) {
	defer res.forget(id)
	var src source = &once{}
	if op.Kind() != "subscription" {
		src = &once{h.execute(ctx, p, op).AppendJSON(nil)}
	} else if s, err := h.source(ctx, p, op, "", cancel, nil); err == nil {
		src = s
	} else {
		src = &once{(&graphql.Response{Errors: errorsOf(err)}).AppendJSON(nil)}
	}
	defer src.close()
	named := string(wire.AppendString([]byte(`{"id":`), id))
	err := h.copy(ctx, src, res, frames{
		framer: framer{head: "event: next\ndata: " + named + `,"payload":`, tail: "}\n\n"},
		last:   "event: complete\ndata: " + named + "}\n\n",
	})
	if err != nil && ctx.Err() == nil {
		h.failed(ctx, err)
	}
}

// stop ends an operation at the client's wish; it hears no more of it.
func (res *reservation) stop(id string) {
	res.mu.Lock()
	defer res.mu.Unlock()
	if cancel := res.ops[id]; cancel != nil {
		cancel(errStopped)
	}
}

func (res *reservation) forget(id string) {
	res.mu.Lock()
	defer res.mu.Unlock()
	delete(res.ops, id)
}
