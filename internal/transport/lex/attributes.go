package lex

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runnelhq/runnel"
)

// maxAttributes bounds what is kept of a session, as JSON. The UI sends its last
// answer along, among others.
const maxAttributes = 256 << 10

// attributes keeps the attributes of sessions, for the callers that set them: what
// one has set, another does not see.
type attributes struct{ notes runnel.Notes }

// key names a session of a caller.
func (c *call) key(p place) string {
	return strings.Join([]string{"lex", c.caller.ID, p.bot, p.alias, p.locale, string(p.session)}, "\x00")
}

// get returns a session's attributes; nil if there are none.
func (a attributes) get(ctx context.Context, key string) (values map[string]string, err error) {
	data, err := a.notes.Noted(ctx, key)
	if err == nil && data != nil {
		err = json.Unmarshal(data, &values)
	}
	if err != nil {
		return nil, fmt.Errorf("lex: read attributes: %w", err)
	}
	return values, nil
}

// put keeps a session's attributes in place of what there was.
func (a attributes) put(ctx context.Context, key string, values map[string]string) error {
	data, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("lex: encode attributes: %w", err)
	}
	if len(data) > maxAttributes {
		return runnel.Errorf(runnel.Invalid, "the session attributes have %d bytes; the limit is %d", len(data), maxAttributes)
	}
	return a.notes.Note(ctx, key, data)
}

// forget drops a session's attributes.
func (a attributes) forget(ctx context.Context, key string) error { return a.notes.Note(ctx, key, nil) }
