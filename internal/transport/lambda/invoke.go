package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// API is the Invoke API.
type API struct{ cfg Config }

// NewAPI returns the Invoke API of the functions.
func NewAPI(cfg Config) *API { return &API{cfg.withDefaults()} }

// Register hands each route's pattern and handler to handle.
func (a *API) Register(handle func(pattern string, handler http.Handler)) {
	handle("POST /2015-03-31/functions/{name}/invocations", a.handler(a.invoke))
	handle("POST /2021-11-15/functions/{name}/response-streaming-invocations", a.handler(a.stream))
}

// WriteError answers a request of the Invoke API with a failure.
func WriteError(w http.ResponseWriter, err error) { refusalOf(err).write(w, err) }

// A call is a request of the Invoke API by somebody who may make it.
type call struct {
	f       *function.Function
	request function.Request
	kind    string // the invocation's type
	tail    bool   // the end of the log is wanted
}

// handler authenticates a request and reads it.
func (a *API) handler(serve func(http.ResponseWriter, *http.Request, call)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := function.NewRequestID()
		w.Header().Set("X-Amzn-Requestid", id)
		ctx, release, c, err := a.admit(w, r)
		if err != nil {
			a.cfg.record(r, r.PathValue("name"), id, err)
			WriteError(w, err)
			return
		}
		defer release()
		c.request.ID = id
		serve(w, r.WithContext(ctx), c)
	})
}

func (a *API) admit(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc, call, error) {
	// A body is read for those only whose signature may be good, or who are in.
	body := sync.OnceValues(func() ([]byte, error) { return a.cfg.readBody(w, r, function.MaxPayload) })
	ctx, release, err := a.cfg.Authenticate(r, "lambda:InvokeFunction", body)
	if err != nil {
		return nil, nil, call{}, err
	}
	var c call
	if err = mayInvoke(runnel.PrincipalFrom(ctx)); err == nil {
		c, err = a.read(r, body)
	}
	if err != nil {
		release()
		return nil, nil, call{}, err
	}
	return ctx, release, c, nil
}

// mayInvoke refuses users: a function does what it can do, for whoever calls it.
func mayInvoke(p *runnel.Principal) error {
	if p.ID != "" && !p.Service || !p.May(runnel.Submit, "") {
		return runnel.Errorf(runnel.Denied, "User: %s is not authorized to perform: lambda:InvokeFunction", p.ID)
	}
	return nil
}

func (a *API) read(r *http.Request, body func() ([]byte, error)) (call, error) {
	name := r.PathValue("name")
	f, ok := a.cfg.Functions.Lookup(plainName(name))
	if !ok {
		return call{}, runnel.Errorf(runnel.NotFound, "Function not found: %.200s", function.ARN(plainName(name)))
	}
	data, err := body()
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return call{}, err
		}
		return call{}, runnel.Errorf(runnel.Invalid, "the body could not be read").Because(err)
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	if !json.Valid(data) {
		return call{}, runnel.Errorf(runnel.Invalid, "Could not parse request body into json")
	}
	c := call{f: f, kind: r.Header.Get("X-Amz-Invocation-Type"), tail: r.Header.Get("X-Amz-Log-Type") == "Tail"}
	c.request = function.Request{Payload: data, ClientContext: r.Header.Get("X-Amz-Client-Context"), Trace: r.Header.Get("X-Amzn-Trace-Id")}
	return c, nil
}

// plainName returns the name in an ARN, or in a part of one.
func plainName(name string) string {
	parts := strings.Split(name, ":")
	for i, part := range parts {
		if part == "function" && i+1 < len(parts) {
			return parts[i+1] // what follows is a qualifier
		}
	}
	return parts[0]
}

const executedVersion = "X-Amz-Executed-Version"

func (a *API) invoke(w http.ResponseWriter, r *http.Request, c call) {
	switch c.kind {
	case "", "RequestResponse":
		a.requestResponse(w, r, c)
	case "DryRun":
		w.Header().Set(executedVersion, function.Version)
		w.WriteHeader(http.StatusNoContent)
	case "Event":
		if err := a.cfg.Functions.Enqueue(c.f, c.request); err != nil {
			a.fail(w, r, c, tooLarge(err))
			return
		}
		w.Header().Set(executedVersion, function.Version)
		w.WriteHeader(http.StatusAccepted)
	default:
		f := refusal{http.StatusBadRequest, "InvalidParameterValueException", "the invocation type must be RequestResponse, Event or DryRun", ""}
		f.write(w, nil)
	}
}

// tooLarge gives an event that is too large for the queue its own exception.
func tooLarge(err error) error {
	if runnel.KindOf(err) == runnel.Invalid {
		return &http.MaxBytesError{Limit: function.MaxEvent}
	}
	return err
}

func (a *API) requestResponse(w http.ResponseWriter, r *http.Request, c call) {
	// It goes on without the client, for as long as the function may take.
	res, err := c.f.Invoke(context.WithoutCancel(r.Context()), c.request)
	if err != nil {
		a.fail(w, r, c, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set(executedVersion, function.Version)
	if res.Failure != nil {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if c.tail {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(res.Tail))
	}
	_, _ = w.Write(res.Payload) // a client that has left is not a failure
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, c call, err error) {
	a.cfg.record(r, c.f.Name, c.request.ID, err)
	WriteError(w, err)
}
