package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel/api"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/cert"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/natslog"
	"github.com/runnelhq/runnel/internal/obs"
	"github.com/runnelhq/runnel/internal/route"
	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/session"
	"github.com/runnelhq/runnel/internal/transport/admin"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/transport/appsync"
	"github.com/runnelhq/runnel/internal/transport/lex"
	"github.com/runnelhq/runnel/internal/web"
)

const (
	// handover is what the sessions may take, after running generations have had
	// their time, to store what there is and give up their leases.
	handover = 5 * time.Second
	// depthTimeout bounds what a scrape of the metrics waits for the queue.
	depthTimeout = time.Second
)

// An App is one node. Call Start once, and then Stop.
type App struct {
	cfg     config.Config
	log     *slog.Logger
	metrics *obs.Metrics
	tracer  *obs.Tracer // nil: nobody wants traces
	node    string      // tells this process from others
	table   *route.Table
	access  *access

	functions *function.Set
	page      *web.Page // nil: there is none in this binary

	certs     *cert.Store // nil: plaintext only
	authority string      // to trust, of a certificate for development

	engine   *natslog.Engine
	sessions *session.Service
	gateway  *apigateway.Handler
	admin    *admin.Handler
	graphql  *appsync.Handler
	lexPage  *lex.Page // nil: there is none
	server   *server.Server

	stopServer, stopSessions, stopGateway, stopFunctions context.CancelFunc
	sessionsEnded                                        chan struct{} // closed when sessions.Run has returned

	running sync.WaitGroup
	serving sync.WaitGroup // the functions, which outlive those who call them
	done    chan struct{}  // closed when a part has ended, by itself or not
	endOnce sync.Once
	mu      sync.Mutex
	errs    []error // of parts that have ended
}

// New returns a node that logs to w. It opens the providers, so that a model
// that cannot work is found before anything starts, and nothing else.
func New(cfg config.Config, w io.Writer) (*App, error) {
	log, err := obs.NewLogger(w, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	functions, err := function.New(cfg.Functions, function.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	table, err := route.New(route.Config{Default: cfg.Model, Routes: cfg.Models, Providers: providers(functions)})
	if err != nil {
		return nil, err
	}
	access, err := newAccess(&cfg, functions, log)
	if err != nil {
		return nil, err
	}
	page, err := web.New()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	a := &App{
		cfg: cfg, log: log, node: nodeName(), metrics: obs.NewMetrics(), table: table, access: access, functions: functions, page: page,
		sessionsEnded: make(chan struct{}), done: make(chan struct{}),
	}
	if err := errors.Join(a.checkBedrock(), a.checkLex()); err != nil {
		return nil, err
	}
	return a, nil
}

// Start brings the parts up, innermost first, and returns when the node is
// ready. After an error nothing runs.
func (a *App) Start(ctx context.Context) (err error) {
	// The address comes first: that it is taken is the most common mistake, and
	// nobody is answered before the rest stands.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), a.closeEngine())
			a.closeTracer()
		}
	}()
	if a.cfg.TLS() {
		if err = a.openCerts(); err != nil {
			return fmt.Errorf("app: %w", err)
		}
	}
	if err = a.openTracer(ctx); err != nil {
		return err
	}
	a.engine, err = natslog.Open(ctx, natslog.Config{
		Dir: a.cfg.DataDir, URL: strings.Join(a.cfg.NATSURL, ","), Credentials: a.cfg.NATSCreds,
		CA: a.cfg.NATSCA, Cert: a.cfg.NATSCert, Key: a.cfg.NATSKey, Replicas: a.cfg.NATSReplicas,
		Retention: a.cfg.Retention, TurnRetention: a.cfg.TurnRetention, Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if err = a.newLimits(); err != nil {
		return err
	}
	a.sessions = session.New(a.engine, a.table, a.sessionConfig())
	if err := a.sessions.Recover(ctx); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.metrics.InFlight(a.sessions.Running)
	a.metrics.QueueDepth(a.queueDepth)
	a.metrics.Log(a.logFigures)
	if a.gateway, err = a.newGateway(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if a.graphql, err = a.newGraphQL(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.admin = a.newAdmin()
	if err = a.openLexPage(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.server, err = server.New(listener, server.Config{
		Doors:   a.doors(),
		Engine:  a.engine,
		Metrics: a.metrics.Handler(),
		OpenAPI: api.OpenAPI,
		Origins: a.cfg.Origins(),
		Local:   !a.cfg.Insecure && !a.cfg.Authenticates(),
		HSTS:    a.cfg.TLSCert != "",
		TLS:     a.tlsConfig(),
		Proxies: a.cfg.Proxies(),
		Trace:   a.extract(),

		HeaderTimeout: a.cfg.HeaderTimeout, IdleTimeout: a.cfg.IdleTimeout, MaxConnections: a.cfg.MaxConnections,
		Drain: a.drain, DrainTimeout: a.cfg.DrainTimeout + handover,
		Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.metrics.Connections(a.server.Connections)
	a.run(context.WithoutCancel(ctx))
	return nil
}

// run starts what lives. Parts get contexts of their own, so that Stop can end
// them one after the other.
func (a *App) run(ctx context.Context) {
	var sessions, doors, gateway, functions context.Context
	functions, a.stopFunctions = context.WithCancel(ctx)
	a.serving.Go(func() { a.ended(a.functions.Run(functions)) })
	sessions, a.stopSessions = context.WithCancel(ctx)
	doors, a.stopServer = context.WithCancel(ctx)
	gateway, a.stopGateway = context.WithCancel(ctx)
	a.running.Go(func() {
		defer close(a.sessionsEnded)
		a.ended(a.sessions.Run(sessions))
	})
	a.running.Go(func() {
		defer a.stopGateway() // other nodes are answered while connections are open
		a.ended(a.server.Run(doors))
	})
	a.running.Go(func() { a.ended(a.gateway.Run(gateway)) })
	a.running.Go(func() { a.ended(a.admin.Run(gateway)) })
	a.running.Go(func() { a.ended(a.graphql.Run(gateway)) })
	a.running.Go(func() { a.access.limits.Load().Report(gateway) })
	if a.certs != nil {
		a.running.Go(func() { a.ended(a.certs.Run(doors)) })
	}
}

// ended notes that a part has ended. A node that lacks one is of no use.
func (a *App) ended(err error) {
	if err != nil {
		a.mu.Lock()
		a.errs = append(a.errs, err)
		a.mu.Unlock()
	}
	a.endOnce.Do(func() { close(a.done) })
}

// Done returns a channel that is closed when a part of the node has ended. Then
// it is time to call Stop, which says why.
func (a *App) Done() <-chan struct{} { return a.done }

// Stop ends the node: the server drains, which ends or hands over what runs,
// and the engine is closed last. It returns when all is over.
func (a *App) Stop() error {
	a.stopServer()
	a.running.Wait()
	begin := time.Now()
	a.stopFunctions()
	a.serving.Wait()
	a.log.Info("stopping", "step", "end functions", "took", time.Since(begin))
	begin = time.Now()
	err := a.closeEngine()
	a.log.Info("stopping", "step", "close engine", "took", time.Since(begin), "err", err)
	a.closeTracer()
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(append(a.errs, err)...)
}

// drain is the step of the server's end in which generations end.
func (a *App) drain(ctx context.Context) error {
	a.stopSessions()
	select {
	case <-a.sessionsEnded:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("app: generations still run: %w", ctx.Err())
	}
}

func (a *App) closeEngine() (err error) {
	if a.lexPage != nil {
		err = a.lexPage.Close()
	}
	if a.engine == nil {
		return err
	}
	return errors.Join(err, a.engine.Close())
}

// Addr returns where the node listens.
func (a *App) Addr() net.Addr { return a.server.Addr() }

// Durability says what survives what.
func (a *App) Durability() string { return a.engine.Durability() }

// Models returns what clients may ask for.
func (a *App) Models() []string { return a.table.Names() }

func (a *App) sessionConfig() session.Config {
	c := &a.cfg
	return session.Config{
		Mode: session.Mode(c.SessionMode), MaxGenerations: c.MaxGenerations, MaxPrompt: int(c.MaxPrompt),
		HistoryTurns: orNone(c.HistoryTurns), FlushChunks: c.FlushChunks, FlushInterval: orNone(c.FlushInterval),
		FirstTokenTimeout: c.FirstTokenTimeout, TokenTimeout: c.TokenTimeout, TotalTimeout: c.TotalTimeout, PublishTimeout: c.PublishTimeout,
		Attempts: c.Attempts, Retries: orNone(c.Retries), DrainTimeout: c.DrainTimeout,
		Idle: c.Role == config.Gateway, Node: a.node, Logger: a.log, Metrics: a.metrics, Tracer: a.steps(), Audit: auth.NewAudit(a.log), Limits: a.access.limits.Load(),
	}
}

// nodeName tells this process from all others in the records of generations, also
// from those of other containers that have the same host's name.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), strings.ToLower(rand.Text()[:6]))
}

// orNone turns a zero that somebody chose into what parts take for none: to
// them zero means that nobody chose.
func orNone[T int | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

func (a *App) logFigures() obs.LogFigures {
	s := a.engine.Stats()
	return obs.LogFigures{Sessions: s.Tails, Gaps: s.Gaps, Undecodable: s.Dropped}
}

func (a *App) queueDepth() int {
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	depth, err := a.engine.Depth(ctx)
	if err != nil {
		a.log.Warn("queue depth unknown", "err", err)
	}
	return depth
}
