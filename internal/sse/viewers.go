package sse

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

// Sessions is what streams need of [runnel.Sessions].
type Sessions interface {
	Read(ctx context.Context, id runnel.SessionID, after runnel.Cursor) ([]runnel.Event, error)
}

// Config holds the settings of streams. A zero field means the default beside it.
type Config struct {
	Heartbeat time.Duration // between signs of life on a quiet stream: 15 s
	// WriteTimeout is what a client may take to accept 16 KiB: 150 s. It is
	// generous because a kernel that has closed its window reopens it in steps
	// of up to 128 KiB, which a client at a kilobyte a second needs that long to
	// read. One that has stopped reading costs little meanwhile.
	WriteTimeout time.Duration
	Retry        time.Duration // before a client reconnects, give or take a half: 2 s
	// DrainSpread is the longest time over which clients reconnect when the server
	// stops: 10 s. Few clients take less, as they come a millisecond apart.
	DrainSpread time.Duration

	// Bind returns a context for a stream that outlives its request: it carries
	// the caller, and ends when the caller's credentials do. If its cause is a
	// [*runnel.Error] the client is told. Nil: it ends when the request's own
	// context has its deadline.
	Bind func(context.Context, *runnel.Principal) (context.Context, context.CancelFunc)

	// Hold keeps what a request takes up for a stream that outlives it, until it
	// is released. Nil: nothing.
	Hold func(request context.Context) (release func())

	Logger *slog.Logger        // discards
	Lag    func(time.Duration) // told how long after being stored an event was written
	Failed func(runnel.Kind)   // told why a stream ended early
}

// WithDefaults returns c with its zero fields set.
func (c Config) WithDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Heartbeat, 15 * time.Second},
		{&c.WriteTimeout, 150 * time.Second},
		{&c.Retry, 2 * time.Second},
		{&c.DrainSpread, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Viewers are the open streams of a door. The methods may be called
// concurrently.
type Viewers struct {
	sessions Sessions
	cfg      Config
	log      *slog.Logger
	buffers  sync.Pool // of *[]byte: held while writing only

	detached sync.WaitGroup // viewers that have left net/http, and their watchers

	mu     sync.Mutex
	live   map[*viewer]struct{}
	ending bool
	leave  int // how many streams there were when the end began
}

const (
	// drainPace is the time between two clients that come back, about.
	drainPace = time.Millisecond
	minSpread = time.Second
)

// NewViewers returns an empty set.
func NewViewers(sessions Sessions, cfg Config) *Viewers {
	cfg = cfg.WithDefaults()
	return &Viewers{sessions: sessions, cfg: cfg, log: cfg.Logger, live: make(map[*viewer]struct{})}
}

// Len returns how many streams are open.
func (vs *Viewers) Len() int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return len(vs.live)
}

// Serve answers r with the events of src. A stream without end leaves net/http
// where it can, on HTTP/1.1, and goes on when Serve has returned; every other
// has ended by then.
//
// A detached stream keeps the caller, by [Config.Bind], and nothing else of the
// request. Each stream ends when its context does.
func (vs *Viewers) Serve(w http.ResponseWriter, r *http.Request, src Source) {
	SetHeader(w.Header())
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	v := &viewer{set: vs, src: src}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	v.cancel = cancel
	if src.Generation == "" && vs.detach(w, r, v) {
		return
	}
	v.out = NewWriter(w, vs.cfg.WriteTimeout)
	w.WriteHeader(http.StatusOK)
	if !vs.add(v) {
		vs.refuse(v)
		return
	}
	defer vs.remove(v)
	vs.done(ctx, v, v.run(ctx, nil))
}

// Postpone answers r with a stream that says why it cannot be served now, and
// ends, so that the client comes back.
func (vs *Viewers) Postpone(w http.ResponseWriter, r *http.Request, err error) {
	SetHeader(w.Header())
	v := &viewer{set: vs, out: NewWriter(w, vs.cfg.WriteTimeout)}
	w.WriteHeader(http.StatusOK)
	if _, writeErr := v.out.Write(vs.appendPreamble(nil)); writeErr == nil {
		v.fail(r.Context(), err)
	}
}

// detach goes on with v on goroutines of its own, without net/http's buffers
// and stacks. It reports false, and has done nothing, if that is not possible.
func (vs *Viewers) detach(w http.ResponseWriter, r *http.Request, v *viewer) bool {
	conn, err := hijack(w, vs.cfg.WriteTimeout)
	if err != nil {
		return false // HTTP/2: the connection is not ours
	}
	v.out, v.conn = conn, conn.Conn
	var head bytes.Buffer
	_ = writeHead(&head, w.Header()) // cannot fail

	ctx, release := vs.bind(r.Context())
	ctx, v.cancel = context.WithCancelCause(ctx)
	letGo := func() {}
	if vs.cfg.Hold != nil {
		letGo = vs.cfg.Hold(r.Context())
	}
	end := func() {
		v.cancel(nil)
		release()
		letGo()
		_ = conn.Close()
	}
	if !vs.add(v) {
		_, _ = conn.Write(head.Bytes())
		vs.refuse(v)
		end()
		return true
	}
	vs.detached.Go(v.watch)
	go func() { // counted by add
		defer vs.remove(v)
		defer end()
		vs.done(ctx, v, v.run(ctx, head.Bytes()))
	}()
	return true
}

// bind returns the context of a stream that leaves the request: that one's own
// ends with the handler, and would keep the request.
func (vs *Viewers) bind(request context.Context) (context.Context, context.CancelFunc) {
	caller := runnel.PrincipalFrom(request)
	if vs.cfg.Bind != nil {
		return vs.cfg.Bind(context.Background(), caller)
	}
	ctx := runnel.WithPrincipal(context.Background(), caller)
	if expiry, ok := request.Deadline(); ok {
		return context.WithDeadline(ctx, expiry)
	}
	return ctx, func() {}
}

// refuse tells a client who comes while the server stops to come back. It is
// told so with a 200: an EventSource gives up for good at anything else.
func (vs *Viewers) refuse(v *viewer) {
	_, _ = v.out.Write(AppendRetry(nil, rand.N(vs.drainSpread())))
}

func (vs *Viewers) done(ctx context.Context, v *viewer, err error) {
	vs.log.DebugContext(ctx, "stream ended", "session_id", v.src.Session, "cursor", v.src.After.String(), "err", err)
}

// End ends all streams, those that are still to come too. Clients are told to
// come back, spread over some seconds. It waits for the streams that have left
// net/http; when ctx is done it closes their connections and returns the reason.
func (vs *Viewers) End(ctx context.Context) error {
	vs.mu.Lock()
	vs.ending, vs.leave = true, len(vs.live)
	for v := range vs.live {
		v.cancel(errEnding)
	}
	vs.mu.Unlock()

	all := make(chan struct{})
	go func() {
		vs.detached.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		vs.cut()
		<-all
		return context.Cause(ctx)
	}
}

// drainSpread returns over what time clients are to come back.
func (vs *Viewers) drainSpread() time.Duration {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return min(max(time.Duration(vs.leave)*drainPace, minSpread), vs.cfg.DrainSpread)
}

func (vs *Viewers) cut() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for v := range vs.live {
		if v.conn != nil {
			_ = v.conn.Close()
		}
	}
}

func (vs *Viewers) add(v *viewer) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.ending {
		return false
	}
	vs.live[v] = struct{}{}
	if v.conn != nil {
		vs.detached.Add(1)
	}
	return true
}

func (vs *Viewers) remove(v *viewer) {
	vs.mu.Lock()
	delete(vs.live, v)
	vs.mu.Unlock()
	if v.conn != nil {
		vs.detached.Done()
	}
}

func (vs *Viewers) buffer() *[]byte {
	if b, ok := vs.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}
