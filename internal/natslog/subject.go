package natslog

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/runnelhq/runnel"
)

// The subjects. A session id or generation id stands in them as a token.
const (
	logPrefix    = "runnel.log."    // + session: events
	livePrefix   = "runnel.live."   // + session: events that have just been stored
	indexPrefix  = "runnel.gen."    // + generation: its session
	promptPrefix = "runnel.prompt." // + session.generation: accepted prompts
	turnPrefix   = "runnel.turn."   // + session.generation: runs
	keyPrefix    = "runnel.key."    // + hash: idempotency keys
	ownerPrefix  = "runnel.owner."  // + session: its owner
	connPrefix   = "runnel.conn."   // + session.connection: who is connected
	nodePrefix   = "runnel.node."   // + node: requests to it; not stored
	piecePrefix  = "runnel.piece."  // + session: pieces that were published
	epochSubject = "runnel.epoch"

	newPiecePrefix = "runnel.newpiece." // + session: that one was stored; not stored itself
	stopSubject    = "runnel.cancel"    // not stored
)

// escape begins the token of an id that cannot stand for itself. It is not
// among the characters that can, so no two ids have the same token.
const escape = "="

// token returns the subject token for an id: the id itself if it consists of
// letters, digits, hyphens and underscores, else its base64 behind an escape.
func token(id string) string {
	for i := range len(id) {
		if !plain(id[i]) {
			return escape + base64.RawURLEncoding.EncodeToString([]byte(id))
		}
	}
	if id == "" {
		return escape
	}
	return id
}

// untoken is the inverse of token.
func untoken(tok string) (id string, ok bool) {
	coded, escaped := strings.CutPrefix(tok, escape)
	if !escaped {
		return tok, tok != "" && token(tok) == tok
	}
	raw, err := base64.RawURLEncoding.DecodeString(coded)
	return string(raw), err == nil && token(string(raw)) == tok
}

func plain(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
}

func runSubject(prefix string, id runnel.SessionID, gen runnel.GenerationID) string {
	return prefix + token(string(id)) + "." + token(string(gen))
}

// runSubjects matches the subjects of all generations of a session.
func runSubjects(prefix string, id runnel.SessionID) string {
	return prefix + token(string(id)) + ".*"
}

// keySubject hashes the key: clients choose it, of any length.
func keySubject(key string) string {
	sum := sha256.Sum256([]byte(key))
	return keyPrefix + hex.EncodeToString(sum[:])
}
