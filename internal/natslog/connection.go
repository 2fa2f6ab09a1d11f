package natslog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/runnelhq/runnel"
)

func connSubject(c runnel.Connection) string {
	return connPrefix + token(string(c.Session)) + "." + token(c.ID)
}

// Connected implements [runnel.Connections].
func (e *Engine) Connected(ctx context.Context, c runnel.Connection) error {
	data, err := json.Marshal(c)
	if err == nil {
		_, err = e.conn.put(ctx, connStream, connSubject(c), data, noSequence, nil)
	}
	if err != nil {
		return fail(err, "connected %s", c.ID)
	}
	return nil
}

// Disconnected implements [runnel.Connections].
func (e *Engine) Disconnected(ctx context.Context, c runnel.Connection) error {
	if err := e.conn.purge(ctx, connStream, connSubject(c), 0); err != nil {
		return fail(err, "disconnected %s", c.ID)
	}
	return nil
}

// Connections implements [runnel.Connections]. Nodes that have died are found
// here, by those who look for what they held.
func (e *Engine) Connections(ctx context.Context, id runnel.SessionID) ([]runnel.Connection, error) {
	all, err := e.connections(ctx, id)
	if err != nil {
		return nil, fail(err, "connections of %s", id)
	}
	nodes := make(map[string]bool)
	for _, c := range all {
		nodes[c.Node] = true
	}
	dead, err := e.absent(ctx, nodes)
	if err != nil {
		return nil, err
	}
	var living []runnel.Connection
	for _, c := range all {
		if !dead[c.Node] {
			living = append(living, c)
		} else if err := e.Disconnected(ctx, c); err != nil {
			e.log.WarnContext(ctx, "the connection of a dead node stays noted", "connection_id", c.ID, "err", err)
		}
	}
	return living, nil
}

// connections returns what is noted, oldest first.
func (e *Engine) connections(ctx context.Context, id runnel.SessionID) (all []runnel.Connection, err error) {
	pattern := connPrefix + token(string(id)) + ".*"
	err = e.conn.eachNow(ctx, connStream, query{Seq: 1, NextFor: pattern}, func(m message) error {
		var c runnel.Connection
		if err := json.Unmarshal(m.data, &c); err != nil {
			return fmt.Errorf("read a connection: %w", err)
		}
		all = append(all, c)
		return nil
	})
	slices.SortStableFunc(all, func(a, b runnel.Connection) int { return a.Opened.Compare(b.Opened) })
	return all, err
}
