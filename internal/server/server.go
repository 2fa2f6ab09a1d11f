package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel/internal/peer"
)

// A Door is one protocol that the server speaks.
type Door struct {
	Name string
	// Register hands every pattern that the door serves to handle. Patterns
	// are those of [http.ServeMux]; doors that share the first segment of
	// their paths share a mux, and their patterns must not conflict there.
	// Whoever registers "GET /{$}" replaces the page that says what this is.
	Register func(handle func(pattern string, handler http.Handler))
	// End ends what the door streams, if not nil.
	End func(ctx context.Context) error
	// OwnOrigins is true for a door that has rules of its own for the pages of
	// other origins. It shares the first segment of its paths with no other.
	OwnOrigins bool
	// Error answers with a failure in the door's own form. Nil means the
	// native form, {"error":{"kind","message"}}.
	Error func(w http.ResponseWriter, err error)
}

// An Engine is what the health report needs of [runnel.Engine].
type Engine interface {
	Durability() string
	Check(ctx context.Context) error
}

// Config holds the server's settings. A zero field means the default beside it.
type Config struct {
	Doors   []Door
	Engine  Engine       // nothing to check
	Metrics http.Handler // GET /metrics: not served
	OpenAPI []byte       // GET /openapi.yaml: not served
	// Origins are those whose web pages may use the server: pages from here only.
	Origins peer.Origins
	// Local refuses requests to names that are not this machine's. Where nobody
	// is asked for credentials, a site could otherwise let its own name lead here,
	// and its pages would be ours to a browser.
	Local bool
	// HSTS tells browsers that come with TLS to come with nothing else. It is not
	// for certificates for development: it counts for all ports of a name.
	HSTS bool
	// TLS makes the port answer TLS beside plaintext: plaintext only. It offers
	// h2 and http/1.1 in NextProtos.
	TLS *tls.Config
	// Trace finds in the head of a request which trace it is a part of, for
	// its handler: nobody asks.
	Trace func(ctx context.Context, head http.Header) context.Context
	// Proxies are believed when they say for whom they ask; handlers learn it
	// from [peer.Addr].
	Proxies peer.Proxies

	HeaderTimeout time.Duration // for a request's head, and for TLS to begin: 10 s
	IdleTimeout   time.Duration // for the next request on a connection: 2 min
	// MaxConnections bounds the connections that are open at once. One more makes
	// the oldest that has sent nothing yet leave, or is closed itself: as many
	// as the process may have open files, less what the engine needs.
	MaxConnections int

	// Drain waits until running generations have ended: nothing to wait for.
	Drain        func(ctx context.Context) error
	DrainTimeout time.Duration // for Drain: 30 s
	EndTimeout   time.Duration // for the doors to end their streams: 5 s
	CloseTimeout time.Duration // for the last requests: 5 s

	Logger *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.HeaderTimeout, 10 * time.Second},
		{&c.IdleTimeout, 2 * time.Minute},
		{&c.DrainTimeout, 30 * time.Second},
		{&c.EndTimeout, 5 * time.Second},
		{&c.CloseTimeout, 5 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.MaxConnections <= 0 {
		files := openFiles()
		c.MaxConnections = int(files - min(files/4, reservedFiles))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	// maxHeader leaves room for URLs that carry credentials: presigned ones,
	// and those of AppSync clients.
	maxHeader = 64 << 10
	// reservedFiles are those of the engine, and of calls to models. Without
	// them an answer could not be stored because too many clients came.
	reservedFiles = 1024
	// maxOpenFiles is taken for the limit where there is none.
	maxOpenFiles = 1 << 20
	// complaint is how often the log says that clients are turned away.
	complaint = time.Minute
)

// A Server serves the doors on one listener.
type Server struct {
	port     *port
	cfg      Config
	log      *slog.Logger
	http     *http.Server
	draining atomic.Bool

	complained time.Time // that there are too many connections; owned by port.run
}

// New returns a server on ln, which it owns. The error names a door whose
// patterns do not fit.
func New(ln net.Listener, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, log: cfg.Logger.With("component", "server")}
	s.port = &port{
		ln: ln, tls: cfg.TLS, timeout: cfg.HeaderTimeout, max: int64(cfg.MaxConnections), refused: s.full,
		ready: make(chan accepted), closed: make(chan struct{}),
	}
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		// No WriteTimeout: it would cut streams. Doors set a deadline per write.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.port.Addr() }

// Connections returns how many connections are open.
func (s *Server) Connections() int { return int(s.port.open.Load()) }

// Run serves until ctx is done, and then drains. The error is nil after an
// orderly end. When it returns, the doors' streams have ended.
func (s *Server) Run(ctx context.Context) error {
	s.log.InfoContext(ctx, "listening", "addr", s.Addr().String(), "tls", s.cfg.TLS != nil, "max_connections", s.cfg.MaxConnections)
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { s.port.run(); return nil })
	group.Go(func() error {
		defer cancel()
		if err := s.http.Serve(s.port); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("server: serve: %w", err)
		}
		return nil
	})
	select {
	case <-ctx.Done():
	case <-serving.Done():
	}
	stopErr := s.stop(context.WithoutCancel(ctx))
	return errors.Join(group.Wait(), stopErr)
}

// stop takes the steps of an orderly end; each has a deadline, and a later one
// is taken also if an earlier one failed.
func (s *Server) stop(ctx context.Context) error {
	s.draining.Store(true)
	s.http.SetKeepAlivesEnabled(false)
	steps := []step{
		{"drain", s.cfg.DrainTimeout, s.cfg.Drain},
		{"end streams", s.cfg.EndTimeout, s.endDoors},
		{"close", s.cfg.CloseTimeout, s.http.Shutdown},
	}
	for _, st := range steps {
		if st.do == nil {
			continue
		}
		begin := time.Now()
		err := st.run(ctx)
		s.log.InfoContext(ctx, "stopping", "step", st.name, "took", time.Since(begin), "err", err)
	}
	// What did not end in time has had its time.
	if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("server: close: %w", err)
	}
	return nil
}

// full says that a client has been turned away.
func (s *Server) full() {
	if now := time.Now(); now.Sub(s.complained) > complaint {
		s.complained = now
		s.log.Warn("too many connections, more are closed at once", "max_connections", s.cfg.MaxConnections)
	}
}

type step struct {
	name    string
	timeout time.Duration
	do      func(context.Context) error
}

func (st step) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, st.timeout)
	defer cancel()
	return st.do(ctx)
}

func (s *Server) endDoors(ctx context.Context) error {
	var group errgroup.Group
	for _, d := range s.cfg.Doors {
		if d.End != nil {
			group.Go(func() error { return d.End(ctx) })
		}
	}
	return group.Wait()
}

// fail answers with a failure of ours, in the door's own form.
func (d *Door) fail(w http.ResponseWriter, err error) {
	if d.Error != nil {
		d.Error(w, err)
		return
	}
	writeError(w, http.StatusInternalServerError, err)
}
