package runnel

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSessionID is the longest session id, in bytes.
const MaxSessionID = 256

// A SessionID names a session: a durable conversation that outlives every
// connection. Clients choose it.
type SessionID string

// Validate returns an Invalid [Error] unless id is 1 to [MaxSessionID] bytes
// of UTF-8 without control characters.
func (id SessionID) Validate() error {
	switch {
	case id == "":
		return Errorf(Invalid, "the session id is empty")
	case len(id) > MaxSessionID:
		return Errorf(Invalid, "the session id has %d bytes; the limit is %d", len(id), MaxSessionID)
	case !utf8.ValidString(string(id)):
		return Errorf(Invalid, "the session id is not UTF-8")
	}
	for _, r := range string(id) {
		if unicode.IsControl(r) {
			return Errorf(Invalid, "the session id has a control character (%U)", r)
		}
	}
	return nil
}

// FreshSession returns the id of a session for a request that names none. One
// with an idempotency key gets the same id each time that its caller repeats it:
// under another, the repetition would be another prompt.
func FreshSession(ctx context.Context, key string) SessionID {
	id := rand.Text()
	if key != "" {
		sum := sha256.Sum256([]byte("session\x00" + PrincipalFrom(ctx).ID + "\x00" + key))
		id = base32.StdEncoding.EncodeToString(sum[:])[:len(id)]
	}
	return SessionID(strings.ToLower(id))
}

// A Transcript is what a session has said so far: the turns that have ended,
// oldest first, and the generations that are still to end.
type Transcript struct {
	Session SessionID    `json:"session"`
	Turns   []Turn       `json:"turns"`
	Active  []Generation `json:"active"`

	// Cursor is the end of the session's log when the transcript was read:
	// reading after it misses nothing that Turns does not hold. For an active
	// generation, read from [Generation.Cursor].
	Cursor Cursor `json:"cursor"`
}
