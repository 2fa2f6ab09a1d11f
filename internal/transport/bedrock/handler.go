package bedrock

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/sse"
)

// The actions of IAM that requests are authorized for.
const (
	actionInvoke = "bedrock:InvokeModel"
	actionStream = "bedrock:InvokeModelWithResponseStream"
)

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	// Authenticate tells who sends a request that wants to do the action; body
	// reads what may be signed. The context carries the caller and ends with the
	// credentials; release must be called.
	Authenticate func(r *http.Request, action string, body func() ([]byte, error)) (ctx context.Context, release context.CancelFunc, err error)
	// Models returns the names that clients may ask for.
	Models func() []string
	// Mapped are further model ids and the routes that they stand for. One that
	// ends with * stands for all that begin so; of several the longest counts.
	Mapped map[string]string

	MaxPrompt   int           // bytes of a prompt's text: 1 MiB
	BodyTimeout time.Duration // for a request's body to arrive: 30 s
	Disconnect  string        // [reply.DisconnectAuto]
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
	c.Logger = c.Logger.With("component", "bedrock")
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

// An operation is one of the service's.
type operation struct {
	action string
	invoke bool // bodies have the model's form
	stream bool
}

// Register hands each route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	for pattern, op := range map[string]operation{
		"POST /model/{id}/converse":                    {action: actionInvoke},
		"POST /model/{id}/converse-stream":             {action: actionStream, stream: true},
		"POST /model/{id}/invoke":                      {action: actionInvoke, invoke: true},
		"POST /model/{id}/invoke-with-response-stream": {action: actionStream, invoke: true, stream: true},
	} {
		handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, op) }))
	}
}

// Viewers returns how many answers are under way.
func (h *Handler) Viewers() int { return h.answers.Len() }

// End ends all answers that are under way; see [reply.Answers.End].
func (h *Handler) End(context.Context) error {
	h.answers.End()
	return nil
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, op operation) {
	w.Header().Set("X-Amzn-Requestid", function.NewRequestID())
	// A body is read for those only whose signature may be good, or who are in.
	body := sync.OnceValues(func() ([]byte, error) {
		return reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
	})
	caller, release, err := h.cfg.Authenticate(r, op.action, body)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer release()
	r = r.WithContext(caller)
	data, err := body()
	var q question
	if err == nil {
		q, err = h.read(r, op, data)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	receipt, named, err := h.submit(w, r, &q.prompt)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	ctx, done := h.answers.Begin(r.Context())
	defer done()
	defer h.answers.Leave(r, h.sessions, receipt.Generation, named, h.cfg.Disconnect, h.log)
	reader := answer.Follow(h.sessions, receipt)
	if op.stream {
		h.stream(ctx, w, r, reader, newStream(q.form, op.invoke))
		return
	}
	h.whole(ctx, w, r, reader, q.form, op.invoke)
}

// A question is a request that has been read.
type question struct {
	prompt runnel.Prompt
	form   form // of the answer
}

func (h *Handler) read(r *http.Request, op operation, data []byte) (q question, err error) {
	id := r.PathValue("id")
	model, err := h.route(id)
	if err != nil {
		return q, err
	}
	if op.invoke {
		q, err = readInvoke(id, data)
		if err == nil && q.prompt.Metadata == nil {
			q.prompt.Metadata, err = metadataHeader(r.Header.Get("X-Amzn-Bedrock-Request-Metadata"))
		}
		if r.Header.Get("X-Amzn-Bedrock-Guardrailidentifier") != "" && err == nil {
			err = runnel.Errorf(runnel.Invalid, "guardrails are not supported")
		}
	} else {
		q, err = readConverse(data)
	}
	q.prompt.Model = model
	q.prompt.Session = runnel.SessionID(q.prompt.Metadata["session"])
	return q, err
}

// submit hands in a prompt and tells the client in which session it is.
func (h *Handler) submit(w http.ResponseWriter, r *http.Request, p *runnel.Prompt) (receipt runnel.Receipt, named bool, err error) {
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

// stream copies an answer to the client until its end.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, frames *stream) {
	begun, err := reply.Stream(ctx, w, reader, frames, h.cfg.Stream)
	if err != nil && reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) && !begun {
		WriteError(w, err)
	}
}

// whole answers with the whole answer when it is there.
func (h *Handler) whole(ctx context.Context, w http.ResponseWriter, r *http.Request, reader *answer.Reader, f form, invoke bool) {
	said := newResult()
	for said.end == nil {
		pieces, err := reader.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			h.fail(w, r, err)
			return
		}
		said.add(pieces)
	}
	if said.end.Type == runnel.EventFailed {
		h.fail(w, r, reply.ModelError(said.end.Failure))
		return
	}
	if invoke {
		said.setHeader(w.Header())
	}
	reply.JSON(w, http.StatusOK, f.whole(said))
}
