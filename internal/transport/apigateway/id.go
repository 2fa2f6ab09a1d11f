package apigateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	idBytes   = 11 // of which base64 makes 16 characters with one "="
	nodeBytes = 4  // at the beginning of a connection's id
)

// A nodeID is what the ids of a node's connections begin with, and the name
// under which other nodes ask it.
type nodeID [nodeBytes]byte

func newNodeID() (n nodeID) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

func (n nodeID) String() string { return hex.EncodeToString(n[:]) }

// connectionID returns a new id that names its node.
func (n nodeID) connectionID() string {
	var id [idBytes]byte
	copy(id[:], n[:])
	_, _ = rand.Read(id[nodeBytes:])
	return base64.URLEncoding.EncodeToString(id[:])
}

// nodeOf returns the node of a connection; false if the id is none.
func nodeOf(id string) (n nodeID, ok bool) {
	// The alphabet that has + and / is understood, for others' ids have it.
	raw, err := base64.URLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(id))
	if err != nil || len(raw) != idBytes {
		return n, false
	}
	return nodeID(raw[:nodeBytes]), true
}

// NodeOf returns the name of the node that holds a connection; false if the id is
// none.
func NodeOf(id string) (node string, ok bool) {
	n, ok := nodeOf(id)
	return n.String(), ok
}

// newID returns the id of a request or message.
func newID() string {
	var id [idBytes]byte
	_, _ = rand.Read(id[:])
	return base64.URLEncoding.EncodeToString(id[:])
}

// newUUID returns a random UUID, which is what API Gateway calls its answers by.
func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
