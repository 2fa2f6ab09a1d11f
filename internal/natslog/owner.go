package natslog

import (
	"context"
	"errors"

	"github.com/runnelhq/runnel"
)

// Own implements [runnel.Ledger].
func (e *Engine) Own(ctx context.Context, id runnel.SessionID, owner string) (string, error) {
	subject := ownerPrefix + token(string(id))
	if owner != "" {
		stored, _, err := e.create(ctx, ownerStream, subject, owner)
		if err != nil {
			return "", fail(err, "own %s", id)
		}
		return stored, nil
	}
	m, err := e.conn.last(ctx, ownerStream, subject)
	if errors.Is(err, errNone) {
		return "", nil
	}
	if err != nil {
		return "", fail(err, "owner of %s", id)
	}
	return string(m.data), nil
}
