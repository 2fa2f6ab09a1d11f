package functionurl

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
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
	c.Logger = c.Logger.With("component", "functionurl")
	c.Stream.Logger = c.Logger
	c.Stream = c.Stream.WithDefaults()
	return c
}

// A Handler is the door.
type Handler struct {
	sessions runnel.Sessions
	cfg      Config
	log      *slog.Logger
	viewers  *sse.Viewers
}

// New returns the door to sessions.
func New(sessions runnel.Sessions, cfg Config) *Handler {
	cfg = cfg.withDefaults()
	return &Handler{sessions: sessions, cfg: cfg, log: cfg.Logger, viewers: sse.NewViewers(sessions, cfg.Stream)}
}

// Register hands the route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	handle("POST /{$}", http.HandlerFunc(h.serve))
}

// Viewers returns how many event streams are open.
func (h *Handler) Viewers() int { return h.viewers.Len() }

// End ends all event streams; see [sse.Viewers.End].
func (h *Handler) End(ctx context.Context) error { return h.viewers.End(ctx) }

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	receipt, err := h.submit(w, r)
	if err != nil {
		if h.record(w, r, err) {
			WriteError(w, err)
		}
		return
	}
	w.Header().Set("Runnel-Session", url.PathEscape(string(receipt.Session)))
	w.Header().Set("Runnel-Generation", string(receipt.Generation))
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		h.viewers.Serve(w, r, sse.Source{Session: receipt.Session, After: receipt.Cursor, Generation: receipt.Generation})
		return
	}
	h.stream(w, r, receipt)
}

func (h *Handler) submit(w http.ResponseWriter, r *http.Request) (receipt runnel.Receipt, err error) {
	data, err := reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
	if err != nil {
		return receipt, err
	}
	prompt, err := h.prompt(data)
	if err != nil {
		return receipt, err
	}
	key := r.Header.Get("Idempotency-Key")
	if prompt.Session == "" {
		prompt.Session = runnel.SessionID(r.URL.Query().Get("session"))
	}
	if prompt.Session == "" {
		prompt.Session = runnel.FreshSession(r.Context(), key)
	}
	if err := prompt.Session.Validate(); err != nil {
		return receipt, err
	}
	return h.sessions.Submit(r.Context(), runnel.Submission{Prompt: prompt, IdempotencyKey: key})
}

// prompt reads a request's body. A session named there is preferred to the
// one in the URL.
func (h *Handler) prompt(data []byte) (p runnel.Prompt, err error) {
	var body struct {
		Prompt    string `json:"prompt"`
		SessionID string `json:"sessionId"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return p, runnel.Errorf(runnel.Invalid, `the body must be a JSON object with the string "prompt"`).Because(err)
	}
	switch {
	case strings.TrimSpace(body.Prompt) == "":
		return p, runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case len(body.Prompt) > h.cfg.MaxPrompt:
		return p, reply.StatusError{Status: http.StatusRequestEntityTooLarge,
			Err: runnel.Errorf(runnel.Invalid, "the prompt has %d bytes; the limit is %d", len(body.Prompt), h.cfg.MaxPrompt)}
	}
	return runnel.Prompt{
		Session:  runnel.SessionID(body.SessionID),
		Messages: []runnel.Message{runnel.TextMessage(runnel.User, body.Prompt)},
		History:  true,
	}, nil
}

// stream answers with the text of a generation.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, receipt runnel.Receipt) {
	s := textStream{w: w, out: sse.NewWriter(w, h.cfg.Stream.WriteTimeout)}
	err := s.copy(r.Context(), h.sessions, receipt)
	if err == nil {
		s.begin() // an empty answer is an answer
		return
	}
	told := h.record(w, r, err)
	if s.begun {
		panic(http.ErrAbortHandler)
	}
	if told {
		WriteError(w, err)
	}
}
