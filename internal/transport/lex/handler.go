package lex

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/reply"
)

// DefaultTable is what the table of connections is called.
const DefaultTable = "runnel-streaming"

// Config holds the door's settings. A zero field means the default beside it.
type Config struct {
	// Authenticate tells who sends a request that wants to do the action of IAM's;
	// body reads what may be signed. The context carries the caller and ends with
	// the credentials; release must be called.
	Authenticate func(r *http.Request, action string, body func() ([]byte, error)) (ctx context.Context, release context.CancelFunc, err error)
	// Token tells whose a token is, for the exchange into credentials.
	Token func(r *http.Request, token string) (*runnel.Principal, error)
	// Limit counts a request that nobody signs; its error refuses it. Nil: there
	// is no limit.
	Limit func(r *http.Request) error

	// Fulfill answers texts: a model, if nil.
	Fulfill *function.Function
	Model   string // empty: the default
	System  string

	Issuer *sigv4.Issuer // of credentials
	Guests bool          // get credentials without a token

	Notes       runnel.Notes // what sessions' attributes are kept in
	Connections runnel.Connections
	Table       string                                 // their name: [DefaultTable]
	NodeOf      func(connection string) (string, bool) // that holds it; false: the id is none

	MaxPrompt   int           // bytes of a text: 1 MiB
	BodyTimeout time.Duration // for a request's body to arrive: 30 s
	Failed      func(runnel.Kind)
	Logger      *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	if c.Table == "" {
		c.Table = DefaultTable
	}
	if c.MaxPrompt <= 0 {
		c.MaxPrompt = 1 << 20
	}
	if c.BodyTimeout <= 0 {
		c.BodyTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "lex")
	return c
}

// A Handler is the door.
type Handler struct {
	sessions   runnel.Sessions
	cfg        Config
	log        *slog.Logger
	answers    *reply.Answers
	attributes attributes
}

// New returns the door to sessions.
func New(sessions runnel.Sessions, cfg Config) *Handler {
	cfg = cfg.withDefaults()
	return &Handler{sessions: sessions, cfg: cfg, log: cfg.Logger, answers: reply.NewAnswers(), attributes: attributes{cfg.Notes}}
}

// Viewers returns how many answers are under way.
func (h *Handler) Viewers() int { return h.answers.Len() }

// End ends all answers that are under way; see [reply.Answers.End].
func (h *Handler) End(context.Context) error {
	h.answers.End()
	return nil
}

// A call is a request by somebody who may make it.
type call struct {
	*http.Request
	caller *runnel.Principal
	body   []byte
}

// Register hands each route's pattern and handler to handle, which is like
// [http.ServeMux.Handle].
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	const session = "/bots/{bot}/botAliases/{alias}/botLocales/{locale}/sessions/{session}"
	for pattern, op := range map[string]operation{
		"POST " + session + "/text":      {"lex:RecognizeText", h.recognizeText},
		"POST " + session + "/utterance": {"lex:RecognizeUtterance", h.recognizeUtterance},
		"POST " + session:                {"lex:PutSession", h.putSession},
		"GET " + session:                 {"lex:GetSession", h.getSession},
		"DELETE " + session:              {"lex:DeleteSession", h.deleteSession},
	} {
		handle(pattern, h.handler(op, WriteError))
	}
	handle("POST /bot/{bot}/alias/{alias}/user/{session}/text", h.handler(operation{"lex:PostText", h.postText}, writeV1Error))
}

// An operation is one of a service's.
type operation struct {
	action string
	serve  func(http.ResponseWriter, *call) error
}

// handler authenticates a request, reads it, and has it served.
func (h *Handler) handler(op operation, refuse func(http.ResponseWriter, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", function.NewRequestID())
		// A body is read for those only whose signature may be good, or who are in.
		body := sync.OnceValues(func() ([]byte, error) {
			return reply.ReadBody(w, r, reply.MaxBody(h.cfg.MaxPrompt), h.cfg.BodyTimeout)
		})
		ctx, release, err := h.cfg.Authenticate(r, op.action, body)
		if err == nil {
			defer release()
			c := &call{Request: r.WithContext(ctx), caller: runnel.PrincipalFrom(ctx)}
			if c.body, err = body(); err == nil {
				err = op.serve(w, c)
			}
		}
		if err != nil && reply.Record(w, r, err, h.log, h.cfg.Failed) {
			refuse(w, err)
		}
	})
}

// The prefixes of targets, by which services are told apart that share a path.
const (
	identityTarget = "AWSCognitoIdentityService."
	tableTarget    = "DynamoDB_20120810."
)

// Speaks reports whether a request is for one of the services that are called at
// the root, with a target.
func Speaks(r *http.Request) bool {
	target := r.Header.Get("X-Amz-Target")
	return strings.HasPrefix(target, identityTarget) || strings.HasPrefix(target, tableTarget)
}

// ServeHTTP serves the requests that are for the services of [Speaks].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	if name, ok := strings.CutPrefix(target, identityTarget); ok {
		h.identity(w, r, name)
		return
	}
	name := strings.TrimPrefix(target, tableTarget)
	serve, ok := map[string]func(http.ResponseWriter, *call) error{
		"GetItem": h.getItem, "PutItem": h.putItem, "DeleteItem": h.deleteItem,
	}[name]
	if !ok {
		writeTyped(w, http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#UnknownOperationException", "only GetItem, PutItem and DeleteItem are here", jsonTable)
		return
	}
	h.handler(operation{"dynamodb:" + name, serve}, writeTableError).ServeHTTP(w, r)
}
