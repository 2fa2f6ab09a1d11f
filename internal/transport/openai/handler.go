package openai

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/sse"
)

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	MaxPrompt   int             // bytes of a prompt's text: 1 MiB
	BodyTimeout time.Duration   // for a request's body to arrive: 30 s
	Models      func() []string // what may be asked for: everything, and no list
	Disconnect  string          // [reply.DisconnectAuto]
	Stream      sse.Config
	Logger      *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	if c.MaxPrompt <= 0 {
		c.MaxPrompt = 1 << 20
	}
	if c.BodyTimeout <= 0 {
		c.BodyTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "openai")
	c.Stream.Logger = c.Logger
	c.Stream = c.Stream.WithDefaults()
	return c
}

// A Handler is the door.
type Handler struct {
	sessions runnel.Sessions
	cfg      Config
	log      *slog.Logger
	started  time.Time
	answers  *reply.Answers
}

// New returns the door to sessions.
func New(sessions runnel.Sessions, cfg Config) *Handler {
	cfg = cfg.withDefaults()
	return &Handler{sessions: sessions, cfg: cfg, log: cfg.Logger, started: time.Now(), answers: reply.NewAnswers()}
}

// Register hands each route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for pattern, f := range map[string]http.HandlerFunc{
		"POST /v1/chat/completions":      h.chat,
		"POST /v1/responses":             h.respond,
		"GET /v1/responses/{id}":         h.response,
		"POST /v1/responses/{id}/cancel": h.cancel,
		"GET /v1/models":                 h.models,
		"GET /v1/models/{model...}":      h.model,
	} {
		handle(pattern, f)
	}
}

// Viewers returns how many answers are under way.
func (h *Handler) Viewers() int { return h.answers.Len() }

// End ends all answers that are under way; see [reply.Answers.End].
func (h *Handler) End(context.Context) error {
	h.answers.End()
	return nil
}

func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
}

// submit hands in a prompt, in the session that the request names, and tells the
// client which it is.
func (h *Handler) submit(w http.ResponseWriter, r *http.Request, p *runnel.Prompt) (receipt runnel.Receipt, named bool, err error) {
	if err := h.checkModel(p.Model); err != nil {
		return receipt, false, err
	}
	key := r.Header.Get("Idempotency-Key")
	if p.Session == "" {
		name, err := url.PathUnescape(r.Header.Get("Runnel-Session"))
		if err != nil {
			return receipt, false, runnel.Errorf(runnel.Invalid, "the header Runnel-Session is not percent-encoded")
		}
		p.Session = runnel.SessionID(name)
	}
	named = p.Session != ""
	if !named {
		p.Session = runnel.FreshSession(r.Context(), key)
	}
	receipt, err = h.sessions.Submit(r.Context(), runnel.Submission{Prompt: *p, IdempotencyKey: key})
	if err == nil {
		w.Header().Set("Runnel-Session", url.PathEscape(string(receipt.Session)))
		w.Header().Set("Runnel-Generation", string(receipt.Generation))
	}
	return receipt, named, err
}

func (h *Handler) checkModel(name string) error {
	if h.cfg.Models == nil || name == "" {
		return nil
	}
	if known := h.cfg.Models(); !slices.Contains(known, name) {
		return noModel(name, known)
	}
	return nil
}
