package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel"
)

const cognitoPrefix = "https://cognito-idp."

// canonicalIssuer returns the one spelling of an issuer that principals are
// named by: without a slash at its end, and Cognito's pools by their first name.
func canonicalIssuer(issuer string) string {
	issuer = strings.TrimSuffix(issuer, "/")
	if rest, ok := strings.CutPrefix(issuer, "https://issuer-cognito-idp."); ok {
		return cognitoPrefix + rest
	}
	return issuer
}

// An issuer verifies the tokens of one [Issuer].
type issuer struct {
	cfg    Issuer
	name   string // canonical
	scheme string
	fixed  keys    // of the file; nil if there is none
	remote *keySet // nil if there is a file
	page   *page   // nil if nobody signs in with it on the page
	lease  *lease
}

// newIssuer returns the issuer of cfg, with the keys that old has already if
// they come from the same place.
func newIssuer(cfg Issuer, old *issuer, l *lease, client *http.Client, log *slog.Logger) (*issuer, error) {
	is := &issuer{cfg: cfg, name: canonicalIssuer(cfg.Issuer), scheme: SchemeOIDC, lease: l}
	cognito := strings.HasPrefix(is.name, cognitoPrefix)
	if cognito {
		is.scheme = SchemeCognito
	}
	if is.cfg.GroupClaim == "" {
		is.cfg.GroupClaim = "groups"
		if cognito {
			is.cfg.GroupClaim = "cognito:groups"
		}
	}
	base := strings.TrimSuffix(cfg.Issuer, "/")
	if cfg.SignIn != nil {
		is.page = &page{cfg: cfg, issuer: base, client: client, log: log}
	}
	switch {
	case cfg.JWKSFile != "":
		data, err := os.ReadFile(cfg.JWKSFile)
		if err == nil {
			is.fixed, err = parseKeys(data)
		}
		if err != nil {
			return nil, fmt.Errorf("jwks_file: %w", err)
		}
		return is, nil
	case cfg.JWKSURL == "" && cognito:
		cfg.JWKSURL = base + "/.well-known/jwks.json"
	}
	is.remote = &keySet{issuer: base, url: cfg.JWKSURL, client: client, log: log}
	if old != nil && old.remote != nil && old.remote.issuer == base && old.remote.url == cfg.JWKSURL {
		is.remote = old.remote
	}
	return is, nil
}

// withToken authenticates a caller who shows a JWT of a configured issuer. It
// reports false if it is not for us to judge.
func (st *state) withToken(ctx context.Context, token string) (p *runnel.Principal, ours bool, err error) {
	if len(st.issuers) == 0 || !looksLikeJWT(token) {
		return nil, false, nil
	}
	if len(token) > maxToken {
		return nil, true, refuse(SchemeOIDC, reasonMalformed, errBad)
	}
	digest := sha256.Sum256([]byte(token))
	if p, ok := st.tokens.get(digest); ok {
		return p, true, nil
	}
	is, ok := st.issuers[canonicalIssuer(unverifiedIssuer(token))]
	if !ok {
		return nil, false, nil
	}
	if p, err = is.verify(ctx, token); err == nil {
		until := time.Now().Add(tokenMemory)
		if p.Expires.Before(until) {
			until = p.Expires
		}
		st.tokens.put(digest, p, until)
	}
	return p, true, err
}

// unverifiedIssuer returns whom a token claims to be from, to know whose keys
// to try.
func unverifiedIssuer(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// verify returns the principal of a token. Nothing that the token's header
// brings along counts as a key: it names one of the issuer's, and the algorithm
// must be one for that.
func (is *issuer) verify(ctx context.Context, token string) (*runnel.Principal, error) {
	jws, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		reason := reasonMalformed
		if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
			reason = reasonAlgorithm
		}
		return nil, refuse(is.scheme, reason, errBad)
	}
	head := jws.Signatures[0].Header
	kind, ok := tokenType(head)
	if !ok {
		return nil, refuse(is.scheme, reasonTokenUse, errBad)
	}
	key, err := is.key(ctx, head.KeyID)
	if err != nil {
		return nil, err
	}
	if !fits(key, head.Algorithm) {
		return nil, refuse(is.scheme, reasonAlgorithm, errBad)
	}
	payload, err := jws.Verify(key.Key)
	if err != nil {
		return nil, refuse(is.scheme, reasonSignature, errBad)
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, refuse(is.scheme, reasonMalformed, errBad)
	}
	return is.admit(c, kind, time.Now())
}

func (is *issuer) key(ctx context.Context, id string) (key jose.JSONWebKey, err error) {
	if is.remote != nil {
		key, err = is.remote.find(ctx, id)
	} else if k, ok := is.fixed.find(id); ok {
		key = k
	} else {
		err = errUnknownKey
	}
	switch {
	case err == nil:
		return key, nil
	case errors.Is(err, errUnknownKey):
		return key, refuse(is.scheme, reasonUnknownKey, errBad)
	}
	return key, refuse(is.scheme, reasonNoKeys,
		runnel.Errorf(runnel.Unavailable, "the issuer of the token does not answer").Because(err))
}
