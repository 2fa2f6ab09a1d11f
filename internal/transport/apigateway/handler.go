package apigateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/wsapi"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	APIs []wsapi.API // those of [wsapi.Builtin]

	// Integrations open the handlers of routes, by kind, beside what is built in.
	Integrations map[string]Opener
	// Timeout is what a handler may take to answer, unless its route says
	// otherwise: no limit.
	Timeout time.Duration
	// MaxInvocations is how many handlers may be at work for this door at once: 1000.
	MaxInvocations int

	// ConnectRate is how many connections may be opened in a second: any number.
	ConnectRate int
	Conns       wsconn.Config

	// Authenticate says who a caller is: nobody is asked.
	Authenticate func(context.Context, auth.Credentials) (*runnel.Principal, error)
	// Limits hold callers to theirs: none.
	Limits *limit.Limiter
	// Client returns a request's address: that of the other end.
	Client func(*http.Request) netip.Addr

	// Peers lead to other nodes, and Connections know whose connections there
	// are: this node is alone, and nobody asks.
	Peers       runnel.Peers
	Connections runnel.Connections

	Failed func(runnel.Kind) // told why something failed
	Logger *slog.Logger      // discards
}

func (c Config) withDefaults() Config {
	if c.MaxInvocations <= 0 {
		c.MaxInvocations = 1000
	}
	if c.Authenticate == nil {
		c.Authenticate = func(context.Context, auth.Credentials) (*runnel.Principal, error) { return &runnel.Principal{}, nil }
	}
	if c.Client == nil {
		c.Client = func(r *http.Request) netip.Addr {
			addr, _ := netip.ParseAddrPort(r.RemoteAddr)
			return addr.Addr()
		}
	}
	if c.Conns.Origin == nil {
		c.Conns.Origin = wsconn.SameOrigin
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "apigateway")
	c.Conns.Logger = c.Logger
	return c
}

// listTimeout bounds how long it may take to note a connection.
const listTimeout = 10 * time.Second

// A Handler is the door.
type Handler struct {
	sessions     runnel.Sessions
	cfg          Config
	log          *slog.Logger
	table        *wsapi.Table
	integrations map[*wsapi.Route]Integration
	node         nodeID
	conns        *wsconn.Conns
	origin       func(*http.Request) bool
	connects     *rate.Limiter // nil: any number
	now          func() time.Time

	life        context.Context //nolint:containedctx // of handlers at work, who may outlive their connections
	cut         context.CancelFunc
	invocations chan struct{}  // holds one for each handler at work
	work        sync.WaitGroup // goroutines beside those of the connections

	mu   sync.RWMutex
	open map[string]*connection
}

// New returns the door to sessions. It fails if an API or an integration is not
// what it should be.
func New(sessions runnel.Sessions, cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	table, err := wsapi.NewTable(cfg.APIs)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		sessions: sessions, cfg: cfg, log: cfg.Logger, table: table, node: newNodeID(), now: time.Now,
		integrations: make(map[*wsapi.Route]Integration), open: make(map[string]*connection),
		invocations: make(chan struct{}, cfg.MaxInvocations),
	}
	if err := h.openIntegrations(); err != nil {
		return nil, err
	}
	if cfg.ConnectRate > 0 {
		h.connects = rate.NewLimiter(rate.Limit(cfg.ConnectRate), cfg.ConnectRate)
	}
	h.origin = cfg.Conns.Origin
	cfg.Conns.Origin = func(*http.Request) bool { return true } // asked before anybody's handler is
	h.conns = wsconn.NewConns(cfg.Conns)
	h.life, h.cut = context.WithCancel(context.Background())
	return h, nil
}

func (h *Handler) openIntegrations() error {
	for _, api := range h.table.All() {
		for i := range api.Routes {
			route := &api.Routes[i]
			switch route.Integration {
			case wsapi.Mock, wsapi.SendText, wsapi.Stream, wsapi.Lex, wsapi.Native:
				continue
			}
			opener := h.cfg.Integrations[route.Integration]
			if opener == nil {
				return fmt.Errorf("apigateway: %s %s: nothing opens integrations of the kind %q", api.Name, route.Key, route.Integration)
			}
			integration, err := opener(route)
			if err != nil {
				return fmt.Errorf("apigateway: %s %s: %w", api.Name, route.Key, err)
			}
			h.integrations[route] = integration
		}
	}
	return nil
}

// Register hands every pattern and its handler to handle, which is like
// [http.ServeMux.Handle]. The handlers authenticate their callers themselves.
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for _, path := range []string{"/{stage}", "/{stage}/{$}"} {
		handle("GET "+path, http.HandlerFunc(h.connect))
	}
	for _, api := range h.table.All() {
		for _, host := range api.Hosts {
			if api.Root != "" {
				handle("GET "+host+"/{$}", http.HandlerFunc(h.connect))
			}
		}
	}
	for _, prefix := range []string{"/{stage}", ""} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			handle(method+" "+prefix+"/@connections/{id}", http.HandlerFunc(h.manage))
		}
	}
}

// Len returns how many connections are open.
func (h *Handler) Len() int { return h.conns.Len() }

// Run answers other nodes, and keeps the list of connections up to date, until
// ctx is done. It ends after the door, so that what others send still arrives.
func (h *Handler) Run(ctx context.Context) error {
	var parts errgroup.Group
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if h.cfg.Peers != nil {
		parts.Go(func() error {
			defer stop()
			err := h.cfg.Peers.Answer(ctx, h.node.String(), nil, h.answer)
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	parts.Go(func() error {
		h.relist(ctx)
		return nil
	})
	return parts.Wait()
}

// relist notes connections again before their notes expire.
func (h *Handler) relist(ctx context.Context) {
	ticker := time.NewTicker(runnel.MaxConnectionAge / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		h.mu.RLock()
		all := make([]*connection, 0, len(h.open))
		for _, c := range h.open {
			all = append(all, c)
		}
		h.mu.RUnlock()
		for _, c := range all {
			if err := c.list(ctx); err != nil {
				h.log.WarnContext(ctx, "a connection could not be listed again", "connection_id", c.id, "err", err)
			}
			if h.find(c.id) == nil {
				c.unlist() // it has closed meanwhile
			}
		}
	}
}

// End closes all connections and waits until what they began has ended; when
// ctx is done it is cut off.
func (h *Handler) End(ctx context.Context) error {
	err := h.conns.End(ctx)
	stop := context.AfterFunc(ctx, h.cut)
	h.work.Wait()
	stop()
	h.cut()
	return err
}

func (h *Handler) add(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[c.id] = c
}

func (h *Handler) remove(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c.id)
}

func (h *Handler) find(id string) *connection {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.open[id]
}

// reserve makes room for a handler at work, unless there are too many.
func (h *Handler) reserve() bool {
	select {
	case h.invocations <- struct{}{}:
		return true
	default:
		return false
	}
}

func (h *Handler) release() { <-h.invocations }

// timeout returns what the handler of a route may take; 0: no limit.
func (h *Handler) timeout(route *wsapi.Route) time.Duration {
	if route.Timeout > 0 {
		return route.Timeout
	}
	return h.cfg.Timeout
}

// failed counts a failure, and logs one of ours.
func (h *Handler) failed(c *connection, err error) {
	kind := runnel.KindOf(err)
	if h.cfg.Failed != nil {
		h.cfg.Failed(kind)
	}
	level := slog.LevelDebug
	switch kind {
	case runnel.Internal:
		level = slog.LevelError
	case runnel.Unavailable:
		level = slog.LevelWarn
	default:
	}
	h.log.Log(context.Background(), level, "a message came to nothing", "connection_id", c.id, "err", err)
}
