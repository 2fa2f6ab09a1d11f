package function

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

// The Runtime API, in the words of its clients.
const (
	headerRequestID     = "Lambda-Runtime-Aws-Request-Id"
	headerDeadline      = "Lambda-Runtime-Deadline-Ms"
	headerARN           = "Lambda-Runtime-Invoked-Function-Arn"
	headerTrace         = "Lambda-Runtime-Trace-Id"
	headerClientContext = "Lambda-Runtime-Client-Context"
	headerMode          = "Lambda-Runtime-Function-Response-Mode"
	headerErrorType     = "Lambda-Runtime-Function-Error-Type"
	trailerErrorBody    = "Lambda-Runtime-Function-Error-Body"
)

// handler is the Runtime API of one process.
func (pr *process) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", pr.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", pr.serveResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", pr.serveError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", pr.serveInitError)
	return mux
}

// serveNext gives the runtime its next event, when there is one.
func (pr *process) serveNext(w http.ResponseWriter, r *http.Request) {
	for pr.finish(); ; pr.pool.idled(pr) {
		select {
		case inv := <-pr.work:
			if pr.begin(inv) {
				pr.serveEvent(w, inv)
				return
			}
		case <-r.Context().Done(): // it asks again, or is about to die
			return
		case <-pr.exited:
			return
		}
	}
}

func (pr *process) serveEvent(w http.ResponseWriter, inv *invocation) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(inv.request.Payload)))
	h.Set(headerRequestID, inv.request.ID)
	h.Set(headerDeadline, strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set(headerARN, ARN(pr.pool.cfg.Name))
	if inv.request.Trace != "" {
		h.Set(headerTrace, inv.request.Trace)
	}
	if inv.request.ClientContext != "" {
		if data, err := base64.StdEncoding.DecodeString(inv.request.ClientContext); err == nil && json.Valid(data) {
			h.Set(headerClientContext, string(data))
		}
	}
	_, _ = w.Write(inv.request.Payload) // a runtime that does not get it dies, or runs out of time
}

// ARN returns the name by which a function's handler knows it.
func ARN(name string) string {
	return "arn:aws:lambda:" + region() + ":" + Account + ":function:" + name
}

// Account is the AWS account that functions believe to be in.
const Account = "000000000000"

// serveResponse passes an answer on to whoever asked, who reads it off the
// runtime's connection.
func (pr *process) serveResponse(w http.ResponseWriter, r *http.Request) {
	inv := pr.answer(r.PathValue("id"))
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
		return
	}
	b := &body{pr: pr, inv: inv, r: r, done: make(chan struct{}), limit: MaxPayload}
	if b.streamed = streams(r.Header); b.streamed || r.ContentLength < 0 { // Go's client never says which
		b.limit = maxStreamed
	}
	select {
	case inv.answered <- answer{body: b}:
	default: // the deadline was faster
		refuse(w, http.StatusGone, "RequestTimedOut")
		return
	}
	select {
	case <-b.done:
	case <-pr.exited:
	}
	switch {
	case b.tooLarge:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	default:
		accept(w)
	}
}

// streams reports whether a runtime sends its answer in pieces. Go's never says
// so, but its content type does.
func streams(h http.Header) bool {
	return h.Get(headerMode) == "streaming" || Integrates(h.Get("Content-Type"))
}

func (pr *process) serveError(w http.ResponseWriter, r *http.Request) {
	inv := pr.answer(r.PathValue("id"))
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
		return
	}
	f := said(r)
	pr.pool.answered(pr)
	pr.fail(inv, f)
	accept(w)
}

func (pr *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	f := said(r)
	pr.mu.Lock()
	pr.initErr = f
	pr.mu.Unlock()
	accept(w)
	_ = http.NewResponseController(w).Flush()
	pr.kill(f) // most would end by themselves now; some wait for ever
}

// said reads what a runtime says about a failure.
func said(r *http.Request) *Failure {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxFailure))
	if err != nil {
		return newFailure(typeBroken, "Error: the runtime broke off while it reported a failure")
	}
	return readFailure(payload, r.Header.Get(headerErrorType))
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, code int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `{"errorType":"`+kind+`","errorMessage":"`+http.StatusText(code)+`"}`)
}

// A body is an answer on its way from a runtime's connection to whoever asked.
type body struct {
	pr       *process
	inv      *invocation
	r        *http.Request
	streamed bool
	limit    int
	release  func() bool // ends the watch over the caller's context

	// Owned by the reader until done is closed.
	read     int
	err      error // sticky
	tooLarge bool
	tail     <-chan []byte

	once sync.Once
	done chan struct{} // closed when nobody reads any more
}

func (a answer) response() *Response {
	b := a.body
	return &Response{
		ContentType: b.r.Header.Get("Content-Type"), Streamed: b.streamed, Body: b,
		tail: func(ctx context.Context) []byte { return await(ctx, b.tail) },
	}
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Body.Read(p)
	b.read += n
	switch {
	case b.read > b.limit:
		b.tooLarge = true
		n, err = 0, newFailure(typeTooLarge, "Response payload size exceeded maximum allowed payload size (%d bytes).", b.limit)
	case errors.Is(err, io.EOF):
		err = b.ending()
	case err != nil:
		err = b.broken()
	}
	if err != nil {
		b.end(err)
	}
	return n, err
}

// ending returns what the trailers say about the end of an answer.
func (b *body) ending() error {
	kind := b.r.Trailer.Get(headerErrorType)
	text, err := base64.StdEncoding.DecodeString(b.r.Trailer.Get(trailerErrorBody))
	if kind == "" && len(text) == 0 {
		return io.EOF
	}
	if err != nil || len(text) == 0 {
		return newFailure(kind, "the runtime gave no reason")
	}
	return readFailure(text, kind)
}

// broken says why the runtime did not finish its answer.
func (b *body) broken() error {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-b.pr.exited:
		return b.pr.gone.of(b.inv.request.ID, nil)
	case <-timer.C:
		return newFailure(typeBroken, "Error: the runtime broke off its answer").of(b.inv.request.ID, nil)
	}
}

// end notes how the answer ended.
func (b *body) end(err error) {
	b.err = err
	b.once.Do(func() {
		b.tail = b.pr.logs.end()
		b.pr.pool.answered(b.pr)
		b.release()
		close(b.done)
	})
}

// Close implements [io.Closer].
func (b *body) Close() error {
	if b.err == nil {
		b.end(runnel.Errorf(runnel.Cancelled, "the answer was abandoned"))
		b.pr.abandon(b.inv)
	}
	return nil
}
