package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/runnelhq/runnel"
)

var _ runnel.Engine = (*Engine)(nil)

// Config says where an engine keeps its data. Either Dir or URL is required.
type Config struct {
	// Dir is the data directory of a server inside this process.
	Dir string

	// URL names NATS servers that run elsewhere, separated by commas. Dir is
	// ignored then.
	URL         string
	Credentials string // file with the user's credentials; may be empty
	CA          string // file with the certificates to trust; empty means the system's
	Cert, Key   string // files with a certificate to show, and its key; may be empty
	// Replicas is how many copies of each stream the servers keep. Zero means
	// three if they are a cluster, or as many as there are already, and one if not.
	Replicas int

	Retention     time.Duration // of events; zero means 72 hours
	TurnRetention time.Duration // of turns; zero means for ever
	MaxLeases     int           // prompts leased at a time, over all nodes; zero means 10,000

	Logger *slog.Logger // nil discards
}

// Stats counts what an engine does for its readers.
type Stats struct {
	Tails   int    // sessions with recent readers on this node
	Readers int    // calls of Read that are in progress
	Behind  uint64 // reads that a tail could not serve, so that the stream had to
	Gaps    uint64 // times that live delivery had lost something
	Dropped uint64 // events that could not be decoded
}

// An Engine keeps events, prompts and runs in JetStream. Make one with [Open].
type Engine struct {
	config Config
	log    *slog.Logger
	conn   conn
	js     jetstream.JetStream
	server *server.Server // nil if it runs elsewhere
	unlock func() error   // of the data directory

	copies atomic.Int64 // of what is stored

	epochs atomic.Pointer[epochs]
	// high is a sequence that the log is known to have reached. mark is one of
	// which it is also known that retention has not reached it yet.
	high  atomic.Uint64
	mark  atomic.Uint64
	tails *tails

	stop   context.CancelFunc // of the goroutines
	wg     sync.WaitGroup
	closed atomic.Bool
}

// Open starts the server, or connects to one, and makes it ready to be used.
// The engine's goroutines end with [Engine.Close].
func Open(ctx context.Context, c Config) (*Engine, error) {
	e := &Engine{config: c.withDefaults()}
	e.log = e.config.Logger.With("component", "natslog")
	e.conn.remote = c.URL != ""
	e.conn.closed = make(chan struct{})
	e.conn.reach = newReach()
	e.tails = newTails(e)
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("natslog: open: %w", err), e.Close())
	}
	return e, nil
}

func (c Config) withDefaults() Config {
	if c.Retention == 0 {
		c.Retention = 72 * time.Hour
	}
	if c.MaxLeases == 0 {
		c.MaxLeases = 10_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (e *Engine) open(ctx context.Context) (err error) {
	if e.conn.remote {
		err = e.connect()
	} else {
		err = e.embed()
	}
	if err != nil {
		return err
	}
	if e.js, err = jetstream.New(e.conn.nc); err != nil {
		return err
	}
	if !e.conn.remote {
		// Whoever held a lease was in the process that is gone.
		if err := e.js.DeleteConsumer(ctx, promptStream, workers); err != nil &&
			!errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("void the leases: %w", err)
		}
	}
	if err := e.prepare(ctx); err != nil {
		return err
	}
	if err := e.beginEpoch(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.tails.start(running, &e.wg)
	if e.conn.remote {
		e.wg.Go(func() { e.watch(running) })
	}
	return nil
}

// Close ends all calls in progress and waits until everything has stopped. It
// may be called twice.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	close(e.conn.closed)
	if e.stop != nil {
		e.stop()
		e.tails.stop()
		e.wg.Wait()
	}
	e.conn.close()
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	if e.unlock != nil {
		if err := e.unlock(); err != nil {
			return fmt.Errorf("natslog: close: %w", err)
		}
	}
	return nil
}

// Check implements [runnel.Engine].
func (e *Engine) Check(ctx context.Context) error {
	for _, nc := range []*nats.Conn{e.conn.nc, e.conn.reads} {
		if s := nc.Status(); s != nats.CONNECTED {
			return fail(fmt.Errorf("the connection is %s", s), "check")
		}
	}
	if e.conn.reach.lost() {
		return fail(errCutOff, "check")
	}
	if err := e.probe(ctx); err != nil {
		return fail(err, "check")
	}
	return nil
}

// Durability implements [runnel.Engine].
func (e *Engine) Durability() string {
	if !e.conn.remote {
		return "prompts and turns are on disk before they are acknowledged; " +
			"a crash may take back the last milliseconds of token events, and a power cut their last second (readers get a reset)"
	}
	n := e.copies.Load()
	if n == 1 {
		return "everything is on one NATS server; what a crash of it loses is for its sync_interval to say, and readers may not notice"
	}
	return fmt.Sprintf("everything is on a majority of %d NATS servers before it is acknowledged, "+
		"and survives the loss of fewer than half; what a power cut of all of them loses is for their sync_interval to say", n)
}

// Stats returns the counters.
func (e *Engine) Stats() Stats { return e.tails.stats() }
