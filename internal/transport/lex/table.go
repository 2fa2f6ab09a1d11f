package lex

import (
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
)

// A value is an attribute of a row, of the one type that is needed here and the
// one that is told besides.
type value struct {
	S string `json:"S,omitempty"`
	N string `json:"N,omitempty"`
}

type tableRequest struct {
	Table string           `json:"TableName"`
	Key   map[string]value `json:"Key"`
	Item  map[string]value `json:"Item"`
}

// row reads a request about the row of a session, by somebody who may.
func (h *Handler) row(c *call, members func(*tableRequest) map[string]value) (runnel.SessionID, map[string]value, error) {
	var in tableRequest
	if err := decode(c.body, &in); err != nil {
		return "", nil, err
	}
	if in.Table != h.cfg.Table {
		return "", nil, runnel.Errorf(runnel.NotFound, "Requested resource not found")
	}
	row := members(&in)
	id := runnel.SessionID(row["sessionId"].S)
	if err := id.Validate(); err != nil {
		return "", nil, err
	}
	// A user may do all to what it owns, but connections are for services to manage.
	if c.caller.ID != "" && !c.caller.Service && len(c.caller.Grants) == 0 || !c.caller.May(runnel.Manage, id) {
		return "", nil, runnel.Errorf(runnel.Denied, "may not manage connections")
	}
	return id, row, nil
}

// getItem tells a session's newest connection.
func (h *Handler) getItem(w http.ResponseWriter, c *call) error {
	id, _, err := h.row(c, func(in *tableRequest) map[string]value { return in.Key })
	if err != nil {
		return err
	}
	all, err := h.cfg.Connections.Connections(c.Context(), id)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if len(all) > 0 {
		newest := all[len(all)-1]
		body["Item"] = map[string]value{
			"sessionId": {S: string(id)}, "connectionId": {S: newest.ID},
			"ttl": {N: strconv.FormatInt(newest.Opened.Add(runnel.MaxConnectionAge).Unix(), 10)},
		}
	}
	writeBody(w, http.StatusOK, jsonTable, body)
	return nil
}

// putItem notes a connection as a session's newest, as handlers of $connect do.
func (h *Handler) putItem(w http.ResponseWriter, c *call) error {
	id, row, err := h.row(c, func(in *tableRequest) map[string]value { return in.Item })
	if err != nil {
		return err
	}
	conn := runnel.Connection{ID: row["connectionId"].S, Session: id, Opened: time.Now()}
	var ok bool
	if conn.Node, ok = h.cfg.NodeOf(conn.ID); !ok {
		return runnel.Errorf(runnel.Invalid, "the connectionId %.40q is none of this gateway's", conn.ID)
	}
	if err := h.cfg.Connections.Connected(c.Context(), conn); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, jsonTable, struct{}{})
	return nil
}

// deleteItem forgets a session's connections. They stay open.
func (h *Handler) deleteItem(w http.ResponseWriter, c *call) error {
	id, _, err := h.row(c, func(in *tableRequest) map[string]value { return in.Key })
	if err != nil {
		return err
	}
	all, err := h.cfg.Connections.Connections(c.Context(), id)
	for i := 0; i < len(all) && err == nil; i++ {
		err = h.cfg.Connections.Disconnected(c.Context(), all[i])
	}
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, jsonTable, struct{}{})
	return nil
}
