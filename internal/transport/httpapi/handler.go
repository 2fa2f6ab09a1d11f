package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
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
	c.Logger = c.Logger.With("component", "httpapi")
	c.Stream.Logger = c.Logger
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
	return &Handler{
		sessions: sessions,
		cfg:      cfg,
		log:      cfg.Logger,
		viewers:  sse.NewViewers(sessions, cfg.Stream),
	}
}

// Register hands each route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for pattern, f := range map[string]http.HandlerFunc{
		"POST /v1/sessions/{session}/prompts": h.submit,
		"GET /v1/sessions/{session}/events":   h.events,
		"POST /v1/sessions/{session}/events":  h.publish,
		"GET /v1/sessions/{session}":          h.transcript,
		"POST /v1/generations/{id}/cancel":    h.cancel,
		"GET /v1/generations/{id}":            h.generation,
	} {
		handle(pattern, h.bounded(f))
	}
}

// bounded gives a request's body a deadline: a client could hold a connection
// for ever by sending a byte now and then. That is so even if the handler does
// not read it, for net/http then looks for the rest.
func (h *Handler) bounded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout))
		}
		next(w, r)
	})
}

// Viewers returns how many streams are open.
func (h *Handler) Viewers() int { return h.viewers.Len() }

// End ends all streams; see [sse.Viewers.End].
func (h *Handler) End(ctx context.Context) error { return h.viewers.End(ctx) }

func (h *Handler) submit(w http.ResponseWriter, r *http.Request) {
	sub, err := h.readSubmission(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	receipt, err := h.sessions.Submit(r.Context(), sub)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/v1/generations/"+url.PathEscape(string(receipt.Generation)))
	w.Header().Set("Runnel-Generation", string(receipt.Generation))
	if !wantsStream(r.Header) {
		reply.JSON(w, http.StatusAccepted, receipt)
		return
	}
	src := sse.Source{Session: receipt.Session, After: receipt.Cursor, Generation: receipt.Generation}
	if receipt.Repeated { // so long ago, perhaps, that the answer is no longer kept
		if err := h.readFirst(r.Context(), &src); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	h.viewers.Serve(w, r, src)
}

func (h *Handler) readSubmission(w http.ResponseWriter, r *http.Request) (runnel.Submission, error) {
	var sub runnel.Submission
	id, err := sessionID(r)
	if err != nil {
		return sub, err
	}
	data, err := h.readBody(w, r)
	if err != nil {
		return sub, err
	}
	body, err := decodeSubmission(data)
	if err != nil {
		return sub, err
	}
	sub.Prompt, err = body.prompt(id, h.cfg.MaxPrompt)
	sub.IdempotencyKey = r.Header.Get("Idempotency-Key")
	return sub, err
}

func (h *Handler) transcript(w http.ResponseWriter, r *http.Request) {
	id, err := sessionID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	t, err := h.sessions.Transcript(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, t)
}

func (h *Handler) generation(w http.ResponseWriter, r *http.Request) {
	h.aboutGeneration(w, r, h.sessions.Generation)
}

func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) {
	h.aboutGeneration(w, r, h.sessions.Cancel)
}

// aboutGeneration answers with how a generation stands: 202 while a stop is
// under way.
func (h *Handler) aboutGeneration(w http.ResponseWriter, r *http.Request, ask func(context.Context, runnel.GenerationID) (runnel.Generation, error)) {
	id, err := generationID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	g, err := ask(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	code := http.StatusOK
	if r.Method == http.MethodPost && !g.State.Ended() {
		code = http.StatusAccepted
	}
	reply.JSON(w, code, g)
}

func sessionID(r *http.Request) (runnel.SessionID, error) {
	id := runnel.SessionID(r.PathValue("session")) // decoded by the mux
	return id, id.Validate()
}

// generationID returns the id in the path. What cannot be one is not looked up.
func generationID(r *http.Request) (runnel.GenerationID, error) {
	id := r.PathValue("id")
	ok := len(id) <= 64
	for _, b := range []byte(id) {
		ok = ok && (b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '-' || b == '_')
	}
	if !ok {
		return "", runnel.Errorf(runnel.NotFound, "no such generation")
	}
	return runnel.GenerationID(id), nil
}
