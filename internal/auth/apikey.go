package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// KeyPrefix begins the API keys that [NewKey] makes, so that scanners for
// secrets, and people, can tell what they have found.
const KeyPrefix = "rnl_"

const hashPrefix = "sha256:"

// NewKey returns a new API key and its hash for the configuration.
func NewKey() (key, hash string, err error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", "", err
	}
	key = KeyPrefix + hex.EncodeToString(secret[:])
	return key, HashKey(key), nil
}

// HashKey returns an API key's hash for the configuration. It is plain and fast:
// a key that nobody can guess needs no more, so it must be long and random.
func HashKey(key string) string {
	digest := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(digest[:])
}

func parseHash(text string) (digest [32]byte, err error) {
	digits, ok := strings.CutPrefix(text, hashPrefix)
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(digest) {
		return digest, errors.New("it must be sha256: and 64 hexadecimal digits, as runnel key new prints it")
	}
	return [32]byte(raw), nil
}

// An apiKey is a configured key, ready to be compared.
type apiKey struct {
	digest    [32]byte
	principal *runnel.Principal
}

func newAPIKey(k Key, l *lease) (apiKey, error) {
	digest, err := parseHash(k.Hash)
	return apiKey{digest: digest, principal: &runnel.Principal{
		ID: "key:" + k.Name, Service: !k.User, Scheme: SchemeKey, Grants: granted(k.Grants, nil),
		Expires: k.Expires, Revoked: l.done(),
	}}, err
}

// findKey returns the principal of a key; nil if there is none. It compares
// with all of them to the end, so that the time it takes says nothing.
func findKey(keys []apiKey, key string) *runnel.Principal {
	if len(key) > maxKeyLength {
		return nil
	}
	digest := sha256.Sum256([]byte(key))
	found := -1
	for i := range keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(digest[:], keys[i].digest[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return keys[found].principal
}

// admitKey returns p, whom [findKey] has found or not, unless the key has expired.
func admitKey(p *runnel.Principal) (*runnel.Principal, error) {
	if p == nil {
		return nil, refuse(SchemeKey, reasonUnknown, errBad)
	}
	if !p.Expires.IsZero() && !time.Now().Before(p.Expires) {
		return nil, refuse(SchemeKey, reasonExpired, errExpired).of(p.ID)
	}
	return p, nil
}
