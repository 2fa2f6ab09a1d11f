package appsync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/peer"
	"github.com/runnelhq/runnel/internal/wsconn"
)

const (
	// maxPayload is what a subscriber gets at most in one event.
	maxPayload = 240_000
	// maxSubscriptions is how many one socket may have.
	maxSubscriptions = 200
	// maxRequest bounds the bodies and messages with GraphQL in them.
	maxRequest = 1 << 20
	// maxPublish bounds those with channels' events.
	maxPublish = 1_300_000
	// initTimeout is how long a client whose credentials do not hold may take to
	// ask why.
	initTimeout = 15 * time.Second
)

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	API        gqlapi.API
	Sources    []graphql.Source   // the text of the API's schema: the built-in one
	Mode       graphql.Mode       // of callers of whom the schema does not speak: nobody is asked
	Namespaces []gqlapi.Namespace // those of [gqlapi.DefaultNamespaces]

	Functions *function.Set // none
	Client    *http.Client  // asks endpoints: the default one
	Bus       runnel.Bus
	Notes     runnel.Notes // where nodes find each other's subscriptions; nil: they do not

	// Authenticate says who a caller is: nobody is asked.
	Authenticate func(context.Context, auth.Credentials) (*runnel.Principal, error)
	// Bind ties a context to a caller's credentials: they last.
	Bind func(context.Context, *runnel.Principal) (context.Context, context.CancelFunc)
	// Asks is true if callers must show credentials. Then the pages of any origin
	// may come, as on AppSync; else those of Origins.
	Asks    bool
	Local   bool // answer to names of this machine only, if nobody is asked
	Origins peer.Origins
	Limits  *limit.Limiter // none

	BodyTimeout  time.Duration // for the body of a request: 30 s
	WriteTimeout time.Duration // for a client to accept a write: 150 s
	Timeout      time.Duration // for a request: 30 s
	Lifetime     time.Duration // of a socket: 24 h
	// Beat is how often a socket shows that it lives: 30 s. Apollo's link gives up
	// one that has not for as long as it was told, whatever else has come.
	Beat      time.Duration
	Heartbeat time.Duration // of GraphQL over SSE: 12 s

	Failed func(runnel.Kind) // told why something failed
	Logger *slog.Logger      // discards
}

func (c Config) withDefaults() Config {
	if c.Namespaces == nil {
		c.Namespaces = gqlapi.DefaultNamespaces()
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Authenticate == nil {
		c.Authenticate = func(context.Context, auth.Credentials) (*runnel.Principal, error) { return &runnel.Principal{}, nil }
	}
	if c.Bind == nil {
		c.Bind = func(ctx context.Context, p *runnel.Principal) (context.Context, context.CancelFunc) {
			return runnel.WithPrincipal(ctx, p), func() {}
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.BodyTimeout, 30 * time.Second},
		{&c.WriteTimeout, 150 * time.Second},
		{&c.Timeout, 30 * time.Second},
		{&c.Lifetime, 24 * time.Hour},
		{&c.Beat, 30 * time.Second},
		{&c.Heartbeat, 12 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Failed == nil {
		c.Failed = func(runnel.Kind) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "appsync")
	return c
}

// A Handler is the door.
type Handler struct {
	sessions runnel.Sessions
	cfg      Config
	log      *slog.Logger
	api      *api
	names    map[string]*gqlapi.Namespace
	node     string // tells it from the others on the bus
	now      func() time.Time

	hub    *hub
	shapes shapes
	recent *recent
	places *places
	// invalid ends subscriptions at a mutation's word.
	invalid *invalidations
	// reservations are streams over HTTP that operations share.
	reservations *reservations
	heard        chan struct{} // closed when the bus is listened to

	sockets               sync.Map      // of *socket, by connection
	aws, standard, events *wsconn.Conns // by protocol, whose signs of life and bounds differ

	life context.Context //nolint:containedctx // of streams over HTTP
	cut  context.CancelCauseFunc
}

// New returns the door to sessions. It fails if the schema is not one, or its
// bindings do not fit.
func New(sessions runnel.Sessions, cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	h := &Handler{
		sessions: sessions, cfg: cfg, log: cfg.Logger, now: time.Now, hub: newHub(), recent: newRecent(), places: newPlaces(),
		reservations: &reservations{unused: reserved, byToken: make(map[string]*reservation), count: make(map[string]int)},
		invalid:      &invalidations{live: make(map[string]map[*live]struct{}), ended: make(map[string]time.Time)},
		heard:        make(chan struct{}), names: make(map[string]*gqlapi.Namespace), node: rand.Text(),
	}
	mode := cfg.Mode
	if cfg.API.Auth != "" {
		mode = graphql.Mode(cfg.API.Auth)
	}
	var err error
	if h.api, err = h.newAPI(cfg.API, cfg.Sources, mode); err != nil {
		return nil, err
	}
	for i := range cfg.Namespaces {
		h.names[cfg.Namespaces[i].Name] = &cfg.Namespaces[i]
	}
	conns := wsconn.Config{Origin: func(*http.Request) bool { return true }} // asked before
	conns.MaxAge, conns.WriteTimeout, conns.Bind, conns.Logger = cfg.Lifetime, cfg.WriteTimeout, cfg.Bind, cfg.Logger
	conns.Pong = h.pong
	conns.MaxMessage = maxRequest
	conns.Beat = cfg.Beat
	h.standard = wsconn.NewConns(conns)
	conns.BeatFrames = wsconn.AppendText(nil, []byte(keepAlive))
	h.aws = wsconn.NewConns(conns)
	conns.MaxMessage = maxPublish
	h.events = wsconn.NewConns(conns)
	h.life, h.cut = context.WithCancelCause(context.Background())
	return h, nil
}

// Register hands every pattern and its handler to handle, which is like
// [http.ServeMux.Handle]. The handlers authenticate their callers themselves, and
// have rules of their own for the pages of other origins.
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for path, serve := range map[string]http.HandlerFunc{
		"/graphql":          h.graphql,
		"/graphql/realtime": h.realtime,
		"/realtime":         h.realtime,
		"/event":            h.event,
		"/event/realtime":   h.eventSocket,
	} {
		handle(path, h.open(serve))
		handle(path+"/{$}", h.open(serve))
	}
}

// Len returns how many sockets are open.
func (h *Handler) Len() int { return h.aws.Len() + h.standard.Len() + h.events.Len() }

// Run hands out what others say on the bus, until ctx is done.
func (h *Handler) Run(ctx context.Context) error {
	err := h.cfg.Bus.Listen(ctx, sync.OnceFunc(func() { close(h.heard) }), h.hear)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("appsync: %w", err)
	}
	return nil
}

// End closes all sockets and streams and waits until the sockets have ended; when
// ctx is done they are cut off. Streams end with their requests.
func (h *Handler) End(ctx context.Context) error {
	h.cut(runnel.Errorf(runnel.Unavailable, "the server is stopping"))
	var ending sync.WaitGroup
	errs := make([]error, 4)
	ending.Go(func() { errs[3] = h.reservations.end(ctx) })
	for i, conns := range []*wsconn.Conns{h.aws, h.standard, h.events} {
		ending.Go(func() { errs[i] = conns.End(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// failed counts a failure, and logs one of ours.
func (h *Handler) failed(ctx context.Context, err error, about ...any) {
	kind := runnel.KindOf(err)
	h.cfg.Failed(kind)
	level := slog.LevelDebug
	switch kind {
	case runnel.Internal:
		level = slog.LevelError
	case runnel.Unavailable:
		level = slog.LevelWarn
	default:
	}
	h.log.Log(ctx, level, "an operation came to nothing", append(about, "err", err)...)
}
