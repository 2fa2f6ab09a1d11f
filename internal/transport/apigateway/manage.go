package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/wsconn"
)

const (
	// maxPost is how much can be posted to a client at once.
	maxPost = 128 << 10
	// bodyTimeout bounds how long a post's body may take to arrive.
	bodyTimeout = 30 * time.Second
	// postPatience is how long a post waits for a client that reads slowly.
	postPatience = 2 * time.Second
)

// manage serves the management API: post to a connection, look at it, close it.
func (h *Handler) manage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", newUUID())
	data, ok := h.readPost(w, r)
	if !ok {
		return
	}
	p, err := h.manager(r, data)
	if err != nil {
		h.refuseManager(w, r, err)
		return
	}
	if _, err := h.cfg.Limits.Request(limit.ByAddress(p, r)); err != nil {
		limit.SetErrorHeaders(w.Header(), err)
		h.refuse(w, r, err)
		return
	}
	id := r.PathValue("id")
	api, stage, known := h.table.Find(r.Host, r.PathValue("stage"))
	if api == nil || !known && r.PathValue("stage") != "" {
		writeFailure(w, http.StatusForbidden, typeForbidden, saysForbidden)
		return
	}
	if _, ok := nodeOf(id); !ok {
		message := "Invalid connectionId: " + id
		writeJSON(w, http.StatusBadRequest, typeBadRequest, appendError(nil, message, id, w.Header().Get("X-Amzn-Requestid")))
		return
	}
	q := question{Method: r.Method, ID: id, API: api.Name, Stage: stage, Grants: p.Grants, data: data}
	h.write(w, r, &q, h.ask(r.Context(), &q))
}

// readPost returns the body of a request, or answers it.
func (h *Handler) readPost(w http.ResponseWriter, r *http.Request) (data []byte, ok bool) {
	// net/http looks for the rest of a body that has not come in time, so the
	// deadline stays then.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPost))
	switch tooLong, _ := errors.AsType[*http.MaxBytesError](err); {
	case tooLong != nil:
		writeFailure(w, http.StatusRequestEntityTooLarge, typeTooLarge, "The data has more than "+strconv.Itoa(maxPost)+" bytes")
		return nil, false
	case err != nil:
		writeFailure(w, http.StatusBadRequest, typeBadRequest, "The data could not be read")
		return nil, false
	}
	_ = rc.SetReadDeadline(time.Time{})
	return data, true
}

// manager returns who asks, if it may manage some connections.
func (h *Handler) manager(r *http.Request, data []byte) (*runnel.Principal, error) {
	credentials := auth.FromRequest(r)
	credentials.Action = "execute-api:ManageConnections"
	credentials.Body = func() ([]byte, error) { return data, nil }
	p, err := h.cfg.Authenticate(r.Context(), credentials)
	if err != nil {
		return nil, err
	}
	// A user without grants of its own may do all to what it owns, but
	// connections are owned by nobody: they are for services to manage.
	user := p.ID != "" && !p.Service && len(p.Grants) == 0
	granted := len(p.Grants) == 0 || slices.ContainsFunc(p.Grants, func(g runnel.Grant) bool { return slices.Contains(g.Actions, runnel.Manage) })
	if user || !granted {
		return nil, runnel.Errorf(runnel.Denied, "may not manage connections")
	}
	return p, nil
}

// refuseManager answers somebody who may not manage connections.
func (h *Handler) refuseManager(w http.ResponseWriter, r *http.Request, err error) {
	_, signed := errors.AsType[*sigv4.Error](err)
	if auth.Missing(err) && !signed {
		writeFailure(w, http.StatusForbidden, typeMissingToken, saysMissingToken)
		return
	}
	if runnel.KindOf(err) == runnel.Unauthenticated && !signed {
		err = runnel.Errorf(runnel.Denied, "the credentials do not hold").Because(err)
	}
	h.refuseCaller(w, r, err)
}

// write answers with what the node of a connection says.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, q *question, v verdict) {
	switch v.Kind {
	case "":
	case runnel.Gone.String():
		w.Header().Set(headerErrorType, typeGone)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusGone)
		return
	case runnel.Denied.String():
		writeFailure(w, http.StatusForbidden, typeForbidden, saysForbidden)
		return
	case runnel.Invalid.String():
		writeFailure(w, http.StatusBadRequest, typeBadRequest, v.Message)
		return
	case runnel.Limited.String():
		writeFailure(w, http.StatusTooManyRequests, typeLimit, v.Message)
		return
	default:
		h.log.WarnContext(r.Context(), "a connection could not be managed", "connection_id", q.ID, "kind", v.Kind, "err", v.Message)
		writeJSON(w, http.StatusInternalServerError, typeInternal, appendError(nil, saysInternal, q.ID, w.Header().Get("X-Amzn-Requestid")))
		return
	}
	switch q.Method {
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	default:
		writeJSON(w, http.StatusOK, "", encode(v.About))
	}
}

// A question is what is asked of the node that holds a connection.
type question struct {
	Method string         `json:"method"`
	ID     string         `json:"id"`
	API    string         `json:"api"`
	Stage  string         `json:"stage"`
	Grants []runnel.Grant `json:"grants,omitempty"` // of who asks

	data []byte // behind the JSON and a line feed
}

// A verdict is what that node says.
type verdict struct {
	Kind    string `json:"kind,omitempty"` // of the error; empty: none
	Message string `json:"message,omitempty"`
	About   *about `json:"about,omitempty"`
}

// An about is what the management API tells of a connection.
type about struct {
	ConnectedAt  time.Time `json:"connectedAt"`
	Identity     identity  `json:"identity"`
	LastActiveAt time.Time `json:"lastActiveAt"`
}

func failed(kind runnel.Kind, message string) verdict {
	return verdict{Kind: kind.String(), Message: message}
}

// ask puts a question to the node that the connection's id names.
func (h *Handler) ask(ctx context.Context, q *question) verdict {
	node, _ := nodeOf(q.ID) // has been looked at
	if node == h.node {
		return h.decide(ctx, q)
	}
	if h.cfg.Peers == nil {
		return failed(runnel.Gone, "")
	}
	answer, err := h.cfg.Peers.Ask(ctx, node.String(), append(append(encode(q), '\n'), q.data...))
	if err != nil {
		return failed(runnel.KindOf(err), err.Error())
	}
	var v verdict
	if err := json.Unmarshal(answer, &v); err != nil {
		return failed(runnel.Internal, "the node's answer is not understood: "+err.Error())
	}
	return v
}

// answer answers another node.
func (h *Handler) answer(ctx context.Context, request []byte) []byte {
	var q question
	i := slices.Index(request, '\n')
	if i < 0 || json.Unmarshal(request[:i], &q) != nil {
		return encode(failed(runnel.Internal, "the question is not understood"))
	}
	q.data = request[i+1:]
	return encode(h.decide(ctx, &q))
}

// decide answers a question about a connection of this node.
func (h *Handler) decide(ctx context.Context, q *question) verdict {
	c := h.find(q.ID)
	if c == nil || c.api.Name != q.API || q.Stage != "" && c.stage != q.Stage {
		return failed(runnel.Gone, "")
	}
	asker := runnel.Principal{Grants: q.Grants}
	if !asker.May(runnel.Manage, c.session) {
		return failed(runnel.Denied, "")
	}
	switch q.Method {
	case http.MethodPost:
		return c.post(ctx, q.data)
	case http.MethodDelete:
		h.remove(c) // so that it is gone from now on
		c.ws.Close(wsconn.Normal, "Connection Closed Normally")
		return verdict{}
	}
	return verdict{About: &about{
		ConnectedAt: c.opened.UTC(), LastActiveAt: c.ws.LastActive().UTC(),
		Identity: identity{SourceIP: c.identity.SourceIP, UserAgent: c.identity.UserAgent},
	}}
}

// post sends what was posted to the client.
func (c *connection) post(ctx context.Context, data []byte) verdict {
	if !utf8.Valid(data) {
		return failed(runnel.Invalid, "The data is not UTF-8")
	}
	frame := wsconn.AppendText(nil, data)
	err := c.ws.Send(frame)
	if errors.Is(err, wsconn.ErrSlow) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, postPatience)
		defer cancel()
		err = c.ws.SendWait(ctx, frame)
	}
	switch {
	case err == nil:
		return verdict{}
	case errors.Is(err, wsconn.ErrSlow):
		return failed(runnel.Limited, "The client does not read fast enough")
	}
	return failed(runnel.Gone, "")
}
