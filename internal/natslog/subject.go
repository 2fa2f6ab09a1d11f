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
	promptPrefix = "runnel.prompt." // + session.generation.account: accepted prompts
	turnPrefix   = "runnel.turn."   // + session.generation: runs
	keyPrefix    = "runnel.key."    // + hash: idempotency keys
	ownerPrefix  = "runnel.owner."  // + session: its owner
	connPrefix   = "runnel.conn."   // + session.connection: who is connected
	nodePrefix   = "runnel.node."   // + node: requests to it; not stored
	busPrefix    = "runnel.bus."    // + topic: messages to all nodes; not stored
	piecePrefix  = "runnel.piece."  // + session: pieces that were published
	countPrefix  = "runnel.count."  // + hash: counters
	notePrefix   = "runnel.note."   // + hash: notes
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

// promptSubject names who is held to account, so that prompts can be counted.
func promptSubject(p *runnel.Prompt) string {
	return runSubject(promptPrefix, p.Session, p.Generation) + "." + accountToken(p.Account)
}

// promptSubjects matches the subjects of all prompts of a session.
func promptSubjects(id runnel.SessionID) string {
	return promptPrefix + token(string(id)) + ".*.*"
}

// accountToken hashes the account, which others name, at any length.
func accountToken(account string) string {
	if account == "" {
		return escape
	}
	return hash(account)
}

// keySubject hashes the key: clients choose it, of any length.
func keySubject(key string) string { return keyPrefix + hash(key) }

// countSubject hashes the key, which holds an account.
func countSubject(key string) string { return countPrefix + hash(key) }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
