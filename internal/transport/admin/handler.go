package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/peer"
	"github.com/runnelhq/runnel/internal/reply"
)

// maxGenerations is how many an overview lists, and a node tells of.
const maxGenerations = 500

// A Core is what the door asks of the sessions besides [runnel.Sessions].
type Core interface {
	// Live returns the records of generations that have not ended, the oldest
	// first, at most limit.
	Live(ctx context.Context, limit int) ([]runnel.Run, error)
	// Progress returns how many fragments each generation that runs on this node
	// has got so far, of at most limit of them.
	Progress(limit int) map[runnel.GenerationID]int
}

// An Audit is told who was refused, and who stopped what.
type Audit interface {
	Denied(p *runnel.Principal, action runnel.Action, id runnel.SessionID, reason string, times int)
	Acted(ctx context.Context, principal, action, target string)
}

// Config says whom the door is for, and whom it asks. All fields but Failed are required.
type Config struct {
	// Open is true if nobody is asked for credentials.
	Open bool
	Core Core
	// Depth returns how many prompts are queued.
	Depth func(ctx context.Context) (int, error)
	Bus   runnel.Bus
	Node  string // names this node
	// Figures returns what is counted on this node; it becomes JSON.
	Figures func() (any, error)
	Audit   Audit
	Failed  func(runnel.Kind) // nobody counts failures
	Logger  *slog.Logger
}

// A Handler is the door. Its methods may be called concurrently.
type Handler struct {
	sessions runnel.Sessions
	cfg      Config
	log      *slog.Logger
	nodes    nodes
}

// New returns the door. It hears of other nodes while [Handler.Run] runs.
func New(sessions runnel.Sessions, cfg Config) *Handler {
	return &Handler{sessions: sessions, cfg: cfg, log: cfg.Logger.With("component", "admin"), nodes: newNodes()}
}

// Register hands the door's patterns to handle.
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	handle("GET /v1/admin/overview", h.allowed(h.overview))
	handle("POST /v1/admin/generations/{id}/cancel", h.allowed(h.cancel))
}

// allowed lets administrators through.
func (h *Handler) allowed(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.allow(r)
		if err == nil {
			err = f(w, r)
		}
		if err != nil && reply.Record(w, r, err, h.log, h.cfg.Failed) {
			WriteError(w, err)
		}
	})
}

func (h *Handler) allow(r *http.Request) error {
	p := runnel.PrincipalFrom(r.Context())
	reason := "grants"
	switch {
	case h.cfg.Open && peer.Addr(r).IsLoopback():
		return nil
	case h.cfg.Open:
		reason = "not_this_machine"
	case everything(p):
		return nil
	}
	h.cfg.Audit.Denied(p, runnel.Admin, "", reason, 1)
	if h.cfg.Open {
		return runnel.Errorf(runnel.Denied, "nobody here asks for credentials, so this is for the machine itself only")
	}
	return runnel.Errorf(runnel.Denied, "this needs the grant to administer all sessions")
}

// everything reports whether p may administer all sessions: what a node does is
// not told by session.
func everything(p *runnel.Principal) bool {
	for _, g := range p.Grants {
		if len(g.Sessions) > 0 {
			continue
		}
		for _, a := range g.Actions {
			if a == runnel.Admin {
				return true
			}
		}
	}
	return false
}

// cancel stops a generation.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) error {
	gen, err := h.sessions.Cancel(r.Context(), runnel.GenerationID(r.PathValue("id")))
	if err != nil {
		return fmt.Errorf("admin: cancel: %w", err)
	}
	h.cfg.Audit.Acted(r.Context(), runnel.PrincipalFrom(r.Context()).ID, "stop", string(gen.ID))
	reply.JSON(w, http.StatusOK, gen)
	return nil
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	type failure struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, reply.Status(err), map[string]failure{
		"error": {Kind: runnel.KindOf(err).String(), Message: runnel.PublicMessage(err)},
	})
}
