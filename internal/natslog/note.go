package natslog

import (
	"context"
	"errors"
)

func noteSubject(key string) string { return notePrefix + hash(key) }

// Note implements [runnel.Notes].
func (e *Engine) Note(ctx context.Context, key string, data []byte) (err error) {
	if len(data) > 0 {
		_, err = e.conn.put(ctx, noteStream, noteSubject(key), data, noSequence, nil)
	} else {
		err = e.conn.purge(ctx, noteStream, noteSubject(key), 0)
	}
	if err != nil {
		return fail(err, "note")
	}
	return nil
}

// Noted implements [runnel.Notes].
func (e *Engine) Noted(ctx context.Context, key string) ([]byte, error) {
	m, err := e.conn.last(ctx, noteStream, noteSubject(key))
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(err, "noted")
	}
	return m.data, nil
}
