package session

import (
	"log/slog"
	"time"

	"github.com/runnelhq/runnel"
)

// A Mode says what happens to a prompt for a session that still has one.
type Mode string

// The modes of [Config.Mode].
const (
	Queue    Mode = "queue"    // it waits for its turn
	Reject   Mode = "reject"   // it is refused as a Conflict
	Parallel Mode = "parallel" // it runs beside the other
)

// Config holds the core's settings. A zero field means the default beside it.
type Config struct {
	Mode           Mode // Queue
	MaxGenerations int  // running at once on this node: 1024
	MaxPrompt      int  // bytes of text in a prompt's messages: 1 MiB
	MaxAnswer      int  // bytes of text in an answer: 4 MiB
	HistoryTurns   int  // earlier turns sent along: 20; negative for none

	FlushChunks int // fragments joined into one event at the most: 64
	// FlushInterval is the pause between two events of a generation when
	// fragments come faster: 20 ms; negative for none.
	FlushInterval time.Duration

	FirstTokenTimeout time.Duration // from the call to the first fragment: 60 s
	TokenTimeout      time.Duration // between two fragments: 60 s
	TotalTimeout      time.Duration // of one attempt: 15 min
	PublishTimeout    time.Duration // between two pieces of an answer that is published: 60 s
	Attempts          int           // attempts to run a prompt before it fails for good: 5
	// Retries is how often a call that failed before its first fragment is
	// repeated with the same model: 2; negative for none.
	Retries int
	// DrainTimeout is how long running generations may go on after a stop was
	// asked for before they are handed over: 30 s.
	DrainTimeout time.Duration

	Idle    bool         // run nothing: prompts are for other nodes
	Node    string       // names this process in run records
	Logger  *slog.Logger // discards
	Metrics Metrics      // none
	Limits  Limits       // none
	Audit   Audit        // none
	Tracer  Tracer       // none
}

func (c Config) withDefaults() Config {
	setDefault(&c.Mode, Queue)
	setDefault(&c.MaxGenerations, 1024)
	setDefault(&c.MaxPrompt, 1<<20)
	setDefault(&c.MaxAnswer, 4<<20)
	setDefault(&c.HistoryTurns, 20)
	setDefault(&c.FlushChunks, 64)
	setDefault(&c.FlushInterval, 20*time.Millisecond)
	setDefault(&c.FirstTokenTimeout, time.Minute)
	setDefault(&c.TokenTimeout, time.Minute)
	setDefault(&c.TotalTimeout, 15*time.Minute)
	setDefault(&c.PublishTimeout, time.Minute)
	setDefault(&c.Attempts, 5)
	setDefault(&c.Retries, 2)
	setDefault(&c.DrainTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Limits == nil {
		c.Limits = noLimits{}
	}
	if c.Audit == nil {
		c.Audit = noAudit{}
	}
	if c.Tracer == nil {
		c.Tracer = noTracer{}
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// A Router resolves the name of a model that a prompt asks for.
type Router interface {
	// Lookup returns the candidates of a route in order of preference, at
	// least one. The empty name is the default route. An unknown name is an
	// Invalid error that names the known ones.
	Lookup(model string) ([]runnel.Candidate, error)
}
