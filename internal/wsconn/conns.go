package wsconn

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

// Config holds the settings of a door's connections. A zero field means the
// default beside it.
type Config struct {
	// Origin decides which web pages may connect: ours, as SameOrigin has it.
	Origin func(r *http.Request) bool

	MaxMessage int // of a client's message, in bytes: 128 KiB
	MaxFrame   int // of each of its frames: MaxMessage
	MaxQueue   int // of what Send has queued for a client: 1 MiB

	MessageTimeout time.Duration // for all of a message, once begun: 1 min
	WriteTimeout   time.Duration // for the client to accept 16 KiB: 150 s, as for event streams
	CloseTimeout   time.Duration // for the rest of the queue and the client's close frame: 3 s

	Idle time.Duration // without a message either way: no bound
	// ControlCounts makes the client's pings and pongs count for Idle.
	ControlCounts bool
	MaxAge        time.Duration // of a connection: no bound

	// Every Beat the client is sent BeatFrames: nothing, a ping. One that has
	// sent nothing at all since the last ping is given up.
	Beat       time.Duration
	BeatFrames []byte

	// Pong is told of a client's pongs that have a payload, where the connection is
	// read: the client has got all that was sent before such a ping. See
	// [AppendPing]. Nil: nobody wants to know.
	Pong func(c *Conn, payload []byte)

	// Bind returns a context for a connection that outlives its request: it
	// carries the caller, and ends when the caller's credentials do. If its
	// cause is a [*runnel.Error], that is what Farewell gets. Nil: it ends when
	// the request's own context has its deadline.
	Bind func(context.Context, *runnel.Principal) (context.Context, context.CancelFunc)

	// Farewell says how to take leave of a client whose connection ends because
	// of err, which is ErrIdle, ErrOld, ErrEnding or why its credentials are no
	// longer good: frames to send before the close frame, and what that says.
	// Nil: no frames, and [CloseCode].
	Farewell func(c *Conn, err error) (frames []byte, code int, reason string)

	Logger *slog.Logger // discards

	pings bool // BeatFrames is a ping
}

func (c Config) withDefaults() Config {
	for _, n := range []struct {
		field *int
		value int
	}{
		{&c.MaxMessage, 128 << 10},
		{&c.MaxQueue, 1 << 20},
	} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	if c.MaxFrame <= 0 {
		c.MaxFrame = c.MaxMessage
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.MessageTimeout, time.Minute},
		{&c.WriteTimeout, 150 * time.Second},
		{&c.CloseTimeout, 3 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Origin == nil {
		c.Origin = SameOrigin
	}
	if c.BeatFrames == nil {
		c.BeatFrames, c.pings = pingFrame(), true
	}
	if c.Farewell == nil {
		c.Farewell = func(_ *Conn, err error) ([]byte, int, string) {
			code, reason := CloseCode(err)
			return nil, code, reason
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Conns is the set of a door's open connections.
type Conns struct {
	cfg     Config
	log     *slog.Logger
	epoch   time.Time      // connections tell the time since then; 0 is never
	inputs  sync.Pool      // of *[inputSize]byte
	buffers sync.Pool      // of *[]byte
	running sync.WaitGroup // goroutines of connections

	mu     sync.Mutex
	live   map[*Conn]struct{}
	ending bool
}

// NewConns returns an empty set.
func NewConns(cfg Config) *Conns {
	cfg = cfg.withDefaults()
	return &Conns{cfg: cfg, log: cfg.Logger, epoch: time.Now().Add(-1), live: make(map[*Conn]struct{})}
}

// Len returns how many connections are open.
func (cs *Conns) Len() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.live)
}

// Serve makes a WebSocket of r and returns; serve goes on with it on a goroutine
// of its own, and the connection is closed when serve returns. What w's header
// has is sent along; a subprotocol is the door's choice and goes there too.
//
// The client is told with the first Read, Send or Write: what serve does before
// that is done when the client knows that it is connected.
//
// After an error, which is a [*HandshakeError] or of kind Denied or Unavailable,
// nothing was written and serve is not called.
func (cs *Conns) Serve(w http.ResponseWriter, r *http.Request, serve func(c *Conn)) error {
	if err := Check(r); err != nil {
		return err
	}
	if !cs.cfg.Origin(r) {
		return runnel.Errorf(runnel.Denied, "pages from %.200q may not connect", r.Header.Get("Origin"))
	}
	if !cs.expect() { // as long as this can still be answered
		return runnel.Errorf(runnel.Unavailable, "the server is stopping").Because(ErrEnding)
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		cs.running.Done()
		return &HandshakeError{Status: http.StatusNotImplemented, Msg: "a WebSocket needs a connection of its own"}
	}
	limitSendBuffer(nc, sendBuffer)
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered()) // what is there cannot fail
	ctx, release := cs.bind(r.Context())
	c := newConn(ctx, cs, nc, early, appendHead(nil, r.Header.Get("Sec-Websocket-Key"), w.Header()))
	cs.start(ctx, c, serve, release)
	return nil
}

// start runs c. It shares nothing with Serve, whose request must not be kept.
func (cs *Conns) start(ctx context.Context, c *Conn, serve func(*Conn), release func()) {
	go func() { // counted by expect
		defer cs.running.Done()
		defer release()
		ending := cs.add(c)
		defer cs.remove(c)
		if ending {
			c.leave(ErrEnding)
		}
		c.run(ctx, serve)
	}()
}

// bind returns the context of a connection: the request's own ends with the
// handler, and would keep the request.
func (cs *Conns) bind(request context.Context) (context.Context, context.CancelFunc) {
	caller := runnel.PrincipalFrom(request)
	if cs.cfg.Bind != nil {
		return cs.cfg.Bind(context.Background(), caller)
	}
	ctx := runnel.WithPrincipal(context.Background(), caller)
	if expiry, ok := request.Deadline(); ok {
		return context.WithDeadlineCause(ctx, expiry, runnel.Errorf(runnel.Unauthenticated, "the credentials have expired"))
	}
	return ctx, func() {}
}

const (
	// endPace is the time between two connections that are closed at the end: their
	// clients come back at once.
	endPace = time.Millisecond
	// endSpread bounds the time that all take.
	endSpread = 3 * time.Second
	// endBatch are closed together, for timers are no finer than that.
	endBatch = 16
)

// End closes all connections, spread over up to three seconds, and lets none come
// any more. It waits until their goroutines have ended; when ctx is done it cuts
// the connections and returns the reason.
func (cs *Conns) End(ctx context.Context) error {
	cs.mu.Lock()
	cs.ending = true
	cs.mu.Unlock()
	all := cs.all()
	pace := min(endPace, endSpread/time.Duration(max(len(all), 1)))
	for i, c := range all {
		c.leave(ErrEnding)
		if i%endBatch == endBatch-1 {
			select {
			case <-time.After(endBatch * pace):
			case <-ctx.Done():
			}
		}
	}
	done := make(chan struct{})
	go func() {
		cs.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, c := range cs.all() {
			c.cut()
		}
		<-done
		return context.Cause(ctx)
	}
}

func (cs *Conns) all() []*Conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.live))
}

// expect counts a connection that is to come, unless none may.
func (cs *Conns) expect() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.ending {
		cs.running.Add(1)
	}
	return !cs.ending
}

// add reports whether End has passed by already.
func (cs *Conns) add(c *Conn) (ending bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.live[c] = struct{}{}
	return cs.ending
}

func (cs *Conns) remove(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.live, c)
}

// now is the time by which connections measure.
func (cs *Conns) now() time.Duration { return time.Since(cs.epoch) }

// maxKept is the largest buffer that goes back to the pool.
const maxKept = 64 << 10

func (cs *Conns) buffer() *[]byte {
	if b, ok := cs.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (cs *Conns) recycle(b *[]byte) {
	if cap(*b) <= maxKept {
		*b = (*b)[:0]
		cs.buffers.Put(b)
	}
}
