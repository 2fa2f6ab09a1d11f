package server

import (
	"context"
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
	// Origins are those whose web pages may use the server, such as
	// https://chat.example.com, or * for all: pages from here only.
	Origins []string
	// Proxies are believed when they say for whom they ask; handlers learn it
	// from [peer.Addr].
	Proxies peer.Proxies

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
		{&c.DrainTimeout, 30 * time.Second},
		{&c.EndTimeout, 5 * time.Second},
		{&c.CloseTimeout, 5 * time.Second},
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

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// maxHeader leaves room for URLs that carry credentials: presigned ones,
	// and those of AppSync clients.
	maxHeader = 64 << 10
)

// A Server serves the doors on one listener.
type Server struct {
	ln       net.Listener
	cfg      Config
	log      *slog.Logger
	http     *http.Server
	draining atomic.Bool
}

// New returns a server on ln, which it owns. The error names a door whose
// patterns do not fit, or an origin that is none.
func New(ln net.Listener, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{ln: ln, cfg: cfg, log: cfg.Logger.With("component", "server")}
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// No WriteTimeout: it would cut streams. Doors set a deadline per write.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Run serves until ctx is done, and then drains. The error is nil after an
// orderly end. When it returns, the doors' streams have ended.
func (s *Server) Run(ctx context.Context) error {
	s.log.InfoContext(ctx, "listening", "addr", s.ln.Addr().String())
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var group errgroup.Group
	group.Go(func() error {
		defer cancel()
		if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
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
