package aisdk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/sse"
)

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	MaxPrompt   int           // bytes of a prompt's text: 1 MiB
	BodyTimeout time.Duration // for a request's body to arrive: 30 s
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
	c.Logger = c.Logger.With("component", "aisdk")
	c.Stream.Logger = c.Logger
	c.Stream = c.Stream.WithDefaults()
	return c
}

// A Handler is the door.
type Handler struct {
	sessions runnel.Sessions
	cfg      Config
	log      *slog.Logger
	answers  *reply.Answers
}

// New returns the door to sessions.
func New(sessions runnel.Sessions, cfg Config) *Handler {
	cfg = cfg.withDefaults()
	return &Handler{sessions: sessions, cfg: cfg, log: cfg.Logger, answers: reply.NewAnswers()}
}

// Register hands each route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for pattern, f := range map[string]http.HandlerFunc{
		"POST /api/chat":            h.chat,
		"GET /api/chat/{id}":        h.messages,
		"GET /api/chat/{id}/stream": h.resume,
		"POST /api/chat/{id}/stop":  h.stop,
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

// chat answers the last message of a conversation.
func (h *Handler) chat(w http.ResponseWriter, r *http.Request) {
	data, err := reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
	var p runnel.Prompt
	if err == nil {
		p, err = readPrompt(data)
	}
	key := r.Header.Get("Idempotency-Key")
	if err == nil && p.Session == "" {
		p.Session = runnel.FreshSession(r.Context(), key)
	}
	var receipt runnel.Receipt
	if err == nil {
		receipt, err = h.sessions.Submit(r.Context(), runnel.Submission{Prompt: p, IdempotencyKey: key})
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.stream(w, r, receipt)
}

// resume shows the answer in flight from its start.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request) {
	active, err := h.active(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if len(active) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	g := active[len(active)-1]
	h.stream(w, r, runnel.Receipt{Session: g.Session, Generation: g.ID, Cursor: g.Cursor})
}

// stop stops all that is in flight.
func (h *Handler) stop(w http.ResponseWriter, r *http.Request) {
	active, err := h.active(r)
	for _, g := range active {
		_, stopErr := h.sessions.Cancel(r.Context(), g.ID)
		err = errors.Join(err, stopErr)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) active(r *http.Request) ([]runnel.Generation, error) {
	id := runnel.SessionID(r.PathValue("id"))
	if err := id.Validate(); err != nil {
		return nil, err
	}
	t, err := h.sessions.Active(r.Context(), id)
	active := slices.DeleteFunc(t.Active, func(g runnel.Generation) bool { return g.Cancelling })
	return active, err
}

func (h *Handler) stream(w http.ResponseWriter, r *http.Request, receipt runnel.Receipt) {
	header := w.Header()
	header.Set("Runnel-Session", url.PathEscape(string(receipt.Session)))
	header.Set("Runnel-Generation", string(receipt.Generation))
	header.Set("X-Vercel-Ai-Ui-Message-Stream", "v1")
	ctx, done := h.answers.Begin(r.Context())
	defer done()
	begun, err := reply.Stream(ctx, w, answer.Follow(h.sessions, receipt).Voids(), &parts{gen: receipt.Generation}, h.cfg.Stream)
	if err != nil && reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) && !begun {
		header.Del("X-Vercel-Ai-Ui-Message-Stream")
		WriteError(w, err)
	}
}

// WriteError answers a request with a failure: the SDK shows the body as it is.
func WriteError(w http.ResponseWriter, err error) {
	reply.RetryAfter(w.Header(), err)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(reply.Status(err))
	_, _ = w.Write([]byte(runnel.PublicMessage(err))) // a client that has left is not a failure
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) {
		WriteError(w, err)
	}
}
