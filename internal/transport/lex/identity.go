package lex

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/reply"
)

const (
	// credentialsLife is how long credentials last, as at Cognito.
	credentialsLife = time.Hour
	// maxIdentityBody bounds a request; tokens are a few kilobytes.
	maxIdentityBody = 64 << 10
	maxIdentity     = 128
)

// The digit in an identity that says what it is: a guest's is a random UUID, of
// version 4, anybody else's follows from who it is.
const (
	guestVersion  = 0x40
	namedVersion  = 0x80
	versionDigit  = 14
	identityChars = "0123456789abcdef-"
	regionChars   = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

type identityRequest struct {
	IdentityID string            `json:"IdentityId"`
	Logins     map[string]string `json:"Logins"`
}

// identity serves GetId and GetCredentialsForIdentity, which nobody signs: they
// are how one gets something to sign with.
func (h *Handler) identity(w http.ResponseWriter, r *http.Request, operation string) {
	w.Header().Set("X-Amzn-Requestid", function.NewRequestID())
	answer, err := h.identify(w, r, operation)
	if err != nil {
		if reply.Record(w, r, err, h.log, h.cfg.Failed) {
			writeIdentityError(w, err)
		}
		return
	}
	writeBody(w, http.StatusOK, jsonIdentity, answer)
}

func (h *Handler) identify(w http.ResponseWriter, r *http.Request, operation string) (any, error) {
	if h.cfg.Limit != nil {
		if err := h.cfg.Limit(r); err != nil {
			return nil, err
		}
	}
	data, err := reply.ReadBody(w, r, maxIdentityBody, h.cfg.BodyTimeout)
	if err != nil {
		return nil, err
	}
	var in identityRequest
	if err := decode(data, &in); err != nil {
		return nil, err
	}
	expires := time.Now().Add(credentialsLife)
	own, until, err := h.own(r, in.Logins)
	if err != nil {
		return nil, err
	}
	if !until.IsZero() && until.Before(expires) {
		expires = until // what is made of a token does not outlive it
	}
	switch operation {
	case "GetId":
		if own == "" {
			own = newIdentity(guestVersion, nil)
		}
		return map[string]string{"IdentityId": own}, nil
	case "GetCredentialsForIdentity":
		if !validIdentity(in.IdentityID) {
			return nil, runnel.Errorf(runnel.Invalid, "the IdentityId is none that GetId returns")
		}
		if guest := isGuest(in.IdentityID); own == "" && !guest || own != "" && own != in.IdentityID {
			return nil, runnel.Errorf(runnel.Denied, "the identity is another's")
		}
		key := h.cfg.Issuer.Issue(in.IdentityID, expires)
		return map[string]any{"IdentityId": in.IdentityID, "Credentials": map[string]any{
			"AccessKeyId": key.AccessKey, "SecretKey": string(key.Secret), "SessionToken": string(key.SessionToken), "Expiration": key.Expires.Unix(),
		}}, nil
	}
	return nil, runnel.Errorf(runnel.Invalid, "only GetId and GetCredentialsForIdentity are here")
}

// own returns the identity of whom the logins are, and until when; an empty one
// for a guest.
func (h *Handler) own(r *http.Request, logins map[string]string) (id string, until time.Time, err error) {
	if len(logins) == 0 {
		if !h.cfg.Guests {
			return "", until, runnel.Errorf(runnel.Denied, "guests get no credentials here; see the setting lex.guests")
		}
		return "", until, nil
	}
	// Several tokens of one person are one identity at Cognito; here it is the first's.
	provider := slices.Min(slices.Collect(maps.Keys(logins)))
	p, err := h.cfg.Token(r, logins[provider])
	if err != nil {
		return "", until, err
	}
	if p.ID == "" { // nobody is asked who they are
		return "", until, nil
	}
	// Credentials have no grants: they must not be good for more than the token.
	if !p.May(runnel.Submit, "") || !p.May(runnel.Read, "") {
		return "", until, runnel.Errorf(runnel.Denied, "who may not submit and read in all sessions gets no credentials")
	}
	return newIdentity(namedVersion, []byte(p.ID)), p.Expires, nil
}

// newIdentity returns the identity of somebody, or of anybody.
func newIdentity(version byte, who []byte) string {
	var b [16]byte
	if who == nil {
		_, _ = rand.Read(b[:]) // never fails
	} else {
		mac := hmac.New(sha256.New, []byte("runnel identity"))
		mac.Write(who)
		copy(b[:], mac.Sum(nil))
	}
	b[6], b[8] = b[6]&0x0f|version, b[8]&0x3f|0x80
	return fmt.Sprintf("runnel-1:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Guest reports whether somebody has shown nothing but credentials that guests get.
func Guest(p *runnel.Principal) bool {
	id, ok := strings.CutPrefix(p.ID, sigv4.IssuedPrincipal)
	return ok && validIdentity(id) && isGuest(id)
}

func validIdentity(id string) bool {
	region, uuid, ok := strings.Cut(id, ":")
	return ok && region != "" && strings.Trim(region, regionChars) == "" && len(id) <= maxIdentity && len(uuid) == 36 && strings.Trim(uuid, identityChars) == "" &&
		(uuid[versionDigit] == '4' || uuid[versionDigit] == '8')
}

func isGuest(id string) bool {
	_, uuid, _ := strings.Cut(id, ":")
	return uuid[versionDigit] == '4'
}
