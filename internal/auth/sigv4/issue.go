package sigv4

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// An Issuer makes temporary credentials that a [Verifier] accepts. Nothing is
// stored: the session token says, under the issuer's seal, whose they are and
// until when, and the secret follows from it. So every node with the same secret
// accepts what one of them has issued.
type Issuer struct {
	secret  []byte
	actions []string // that the credentials are good for
}

// maxIssued bounds the token that is looked at.
const maxIssued = 512

// IssuedPrincipal begins the ids of principals whose credentials were issued.
const IssuedPrincipal = "identity:"

// OwnSession returns the session that a caller means by id. Who has issued
// credentials names sessions itself, some clients with four hexadecimal digits, so
// that two would soon mean the same: theirs have their identity behind the name,
// unless that is the name.
func OwnSession(p *runnel.Principal, id runnel.SessionID) runnel.SessionID {
	who, issued := strings.CutPrefix(p.ID, IssuedPrincipal)
	if !issued || string(id) == who {
		return id
	}
	return id + "." + runnel.SessionID(who)
}

// issuedPrefix begins the access keys of issued credentials.
const issuedPrefix = "ASIARNL"

// NewIssuer returns an issuer of credentials for actions, patterns in the words
// of IAM. An empty secret is made up: the credentials end with the process.
func NewIssuer(secret Secret, actions ...string) *Issuer {
	i := &Issuer{secret: []byte(secret), actions: actions}
	if secret == "" {
		i.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(i.secret) // never fails
	}
	return i
}

// Issue returns credentials with which a caller is the user id until they end.
func (i *Issuer) Issue(id string, expires time.Time) Key {
	payload := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	payload = append(payload, id...)
	return i.key(payload)
}

func (i *Issuer) key(payload []byte) Key {
	access := base32.StdEncoding.EncodeToString(i.seal("access", payload))
	return Key{
		AccessKey:    issuedPrefix + access[:20-len(issuedPrefix)],
		Secret:       Secret(base64.RawURLEncoding.EncodeToString(i.seal("secret", payload))[:40]),
		SessionToken: Secret(base64.StdEncoding.EncodeToString(append(i.seal("token", payload), payload...))),
		Expires:      time.Unix(int64(binary.BigEndian.Uint64(payload)), 0),
		User:         true, Actions: i.actions,
	}
}

// find returns the credentials of an access key; nil if the token is not of this
// issuer, or of others.
func (i *Issuer) find(accessKey, token string) *credential {
	if i == nil || !strings.HasPrefix(accessKey, issuedPrefix) || len(token) > maxIssued {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < sha256.Size+8 {
		return nil
	}
	seal, payload := raw[:sha256.Size], raw[sha256.Size:]
	if !hmac.Equal(seal, i.seal("token", payload)) {
		return nil
	}
	k := i.key(payload)
	if k.AccessKey != accessKey {
		return nil
	}
	return &credential{Key: k, principal: IssuedPrincipal + string(payload[8:])}
}

func (i *Issuer) seal(what string, payload []byte) []byte {
	h := hmac.New(sha256.New, i.secret)
	h.Write([]byte(what))
	h.Write([]byte{0})
	h.Write(payload)
	return h.Sum(nil)
}
