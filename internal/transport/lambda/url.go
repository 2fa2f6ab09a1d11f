package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/sse"
)

// URLs is the door of function URLs.
type URLs struct {
	cfg   Config
	rules map[string]cross // by the function's name
}

// NewURLs returns the door of those functions that have a URL.
func NewURLs(cfg Config) *URLs {
	u := &URLs{cfg: cfg.withDefaults(), rules: map[string]cross{}}
	for _, f := range cfg.Functions.All() {
		if f.URL != nil {
			u.rules[f.Name] = newCross(f.URL)
		}
	}
	return u
}

// Register hands each route's pattern and handler to handle.
func (u *URLs) Register(handle func(pattern string, handler http.Handler)) {
	handle("/functions/{name}", http.HandlerFunc(u.serve))
	handle("/functions/{name}/{path...}", http.HandlerFunc(u.serve))
}

// WriteURLError answers a request of a function URL with a failure.
func WriteURLError(w http.ResponseWriter, err error) {
	code, body := http.StatusBadGateway, "Internal Server Error"
	limit, large := errors.AsType[*http.MaxBytesError](err)
	switch kind := runnel.KindOf(err); {
	case large:
		code, body = http.StatusRequestEntityTooLarge, fmt.Sprintf(`{"Message":"Request must be smaller than %d bytes"}`, limit.Limit)
	case kind == runnel.Unauthenticated || kind == runnel.Denied:
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		code, body = http.StatusForbidden, forbidden
	case kind == runnel.NotFound:
		code, body = http.StatusForbidden, `{"Message":null}`
	case kind == runnel.Limited:
		w.Header().Set("Retry-After", retryAfter(err))
		code, body = http.StatusTooManyRequests, `{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`
	case kind == runnel.Invalid:
		code, body = http.StatusBadRequest, `{"Message":"Bad Request"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

const forbidden = `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, ` +
	`see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`

func (u *URLs) serve(w http.ResponseWriter, r *http.Request) {
	id := function.NewRequestID()
	w.Header().Set("X-Amzn-Requestid", id)
	name := r.PathValue("name")
	f, _ := u.cfg.Functions.Lookup(name)
	rules, ok := u.rules[name]
	if !ok {
		WriteURLError(w, runnel.Errorf(runnel.NotFound, "there is no such function URL"))
		return
	}
	if rules.preflight(w, r) {
		return
	}
	if !rules.admits(r) {
		WriteURLError(w, runnel.Errorf(runnel.Denied, "pages of this origin may not do this"))
		return
	}
	if err := u.answer(w, r, f, rules, id); err != nil {
		u.cfg.record(r, name, id, err)
		rules.allow(w.Header(), r)
		WriteURLError(w, err)
	}
}

// answer has the function answer a request. The error is one of before the
// first byte.
func (u *URLs) answer(w http.ResponseWriter, r *http.Request, f *function.Function, rules cross, id string) error {
	body := sync.OnceValues(func() ([]byte, error) { return u.cfg.readBody(w, r, function.MaxPayload) })
	ctx, release, err := u.admit(r, f, body)
	if err != nil {
		return err
	}
	defer release()
	data, err := body()
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return err
		}
		return runnel.Errorf(runnel.Invalid, "the body could not be read").Because(err)
	}
	ctx, cancel := outlives(ctx, f.URL.Linger)
	defer cancel()
	r = r.WithContext(ctx)
	payload, err := newEvent(r, f.Name, pathBehind(r), id, data, time.Now())
	if err != nil {
		return err
	}
	request := function.Request{ID: id, Payload: payload, Trace: r.Header.Get("X-Amzn-Trace-Id")}
	if f.URL.Mode == function.ModeStream {
		return u.stream(w, r, f, rules, request)
	}
	return u.buffer(w, r, f, rules, request)
}

// admit lets those in who may use the function's URL.
func (u *URLs) admit(r *http.Request, f *function.Function, body func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
	if f.URL.Auth == function.AuthNone {
		return runnel.WithPrincipal(r.Context(), &runnel.Principal{}), func() {}, nil
	}
	ctx, release, err := u.cfg.Authenticate(r, "lambda:InvokeFunctionUrl", body)
	if err == nil && f.URL.Auth == function.AuthIAM && runnel.PrincipalFrom(ctx).Scheme != "sigv4" {
		release()
		return nil, nil, runnel.Errorf(runnel.Denied, "the request is not signed")
	}
	return ctx, release, err
}

// pathBehind returns the path that the function sees, encoded as it came.
func pathBehind(r *http.Request) string {
	parts := strings.SplitN(r.URL.EscapedPath(), "/", 4)
	if len(parts) < 4 {
		return "/"
	}
	return "/" + parts[3]
}

func (u *URLs) buffer(w http.ResponseWriter, r *http.Request, f *function.Function, rules cross, request function.Request) error {
	res, err := f.Invoke(r.Context(), request)
	if err != nil {
		return err
	}
	if res.Failure != nil {
		return res.Failure
	}
	rep, err := parseReply(res.Payload)
	if err != nil {
		return err
	}
	if err := writeHead(w, r, rep.head, rules); err != nil {
		return err
	}
	_, _ = sse.NewWriter(w, u.cfg.WriteTimeout).Write(rep.body) // a client that has left is not a failure
	return nil
}

func (u *URLs) stream(w http.ResponseWriter, r *http.Request, f *function.Function, rules cross, request function.Request) error {
	resp, err := f.Stream(r.Context(), request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	head := function.Head{Headers: map[string]string{"Content-Type": resp.ContentType}}
	var first []byte
	if function.Integrates(resp.ContentType) {
		head, first, err = function.ReadHead(resp.Body)
		if runnel.KindOf(err) == runnel.Invalid {
			err = badReply(err) // it is not the request that is bad
		}
		if err != nil {
			return err
		}
	} else if first, err = firstPiece(resp.Body); err != nil {
		return err
	}
	if err := writeHead(w, r, head, rules); err != nil {
		return err
	}
	_ = http.NewResponseController(w).Flush()
	out := sse.NewWriter(w, u.cfg.WriteTimeout)
	if err := copyPieces(out, io.MultiReader(bytes.NewReader(first), resp.Body)); err != nil {
		u.cfg.record(r, f.Name, request.ID, err)
		panic(http.ErrAbortHandler) // so that no client takes half an answer for a whole one
	}
	return nil
}

// firstPiece waits for the beginning of an answer; nothing is one, too.
func firstPiece(body io.Reader) ([]byte, error) {
	buf := make([]byte, maxPiece)
	for {
		n, err := body.Read(buf)
		switch {
		case n > 0 || errors.Is(err, io.EOF):
			return buf[:n], nil // the body tells of its end again
		case err != nil:
			return nil, err
		}
	}
}

// copyPieces sends an answer, each piece as it comes, until its end. A client
// that takes nothing any more does not end it.
func copyPieces(out io.Writer, body io.Reader) error {
	buf, gone := make([]byte, maxPiece), false
	for {
		n, err := body.Read(buf)
		if n > 0 && !gone {
			_, werr := out.Write(buf[:n])
			gone = werr != nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
