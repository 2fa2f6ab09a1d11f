package runnel

import (
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
