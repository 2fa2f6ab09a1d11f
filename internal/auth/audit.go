package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/runnelhq/runnel"
)

// Schemes of [runnel.Principal].
const (
	SchemeKey     = "api_key"
	SchemeOIDC    = "oidc"
	SchemeCognito = "cognito"
	SchemeSigV4   = "sigv4"
	SchemeWebhook = "webhook"
)

// Why callers are refused, as the audit log says it.
const (
	reasonNone          = "no_credentials"
	reasonUnknown       = "unknown_credentials"
	reasonExpired       = "expired"
	reasonNotYetValid   = "not_yet_valid"
	reasonMalformed     = "malformed"
	reasonAlgorithm     = "algorithm"
	reasonUnknownKey    = "unknown_signing_key"
	reasonNoKeys        = "no_signing_keys"
	reasonSignature     = "signature"
	reasonIssuer        = "issuer"
	reasonAudience      = "audience"
	reasonTokenUse      = "token_use"
	reasonGroup         = "group"
	reasonScope         = "scope"
	reasonDenied        = "denied_by_authorizer"
	reasonNoAuthorizer  = "authorizer_unavailable"
	reasonBadAuthorizer = "authorizer_answer_unusable"
)

// An Audit writes the lines of the audit log: who was refused, and what was
// done with administrative rights. It never sees credentials.
type Audit struct{ log *slog.Logger }

// NewAudit returns an audit log that is part of logger's.
func NewAudit(logger *slog.Logger) Audit {
	return Audit{log: logger.With("component", "audit")}
}

// Refused says that a caller was turned away, and why, in a fixed word. The
// principal and the remote address may be empty.
func (a Audit) Refused(ctx context.Context, scheme, reason, principal, remote string) {
	a.log.WarnContext(ctx, "refused", "scheme", scheme, "reason", reason, "principal", principal, "remote", remote)
}

// Denied says that a caller who is known was kept from a session, and why, in
// a fixed word; so many times.
func (a Audit) Denied(p *runnel.Principal, action runnel.Action, id runnel.SessionID, reason string, times int) {
	a.log.Warn("refused", "scheme", p.Scheme, "reason", reason, "principal", p.ID, "action", action, "session_id", id, "times", times)
}

// Limited says that a caller was over a limit; so many times. Whoever has no name
// has an account.
func (a Audit) Limited(p *runnel.Principal, limit string, times int) {
	a.log.Warn("refused", "scheme", p.Scheme, "reason", "limit", "limit", limit, "principal", cmp.Or(p.Account, p.ID), "times", times)
}

// Overrode says that an administrator did something to another's session.
func (a Audit) Overrode(p *runnel.Principal, action runnel.Action, id runnel.SessionID, times int) {
	a.log.Info("acted", "principal", p.ID, "action", action, "target", id, "times", times)
}

// Acted says that somebody used administrative rights: what was done, to what.
// An empty principal is the operator, at the machine itself.
func (a Audit) Acted(ctx context.Context, principal, action, target string) {
	a.log.InfoContext(ctx, "acted", "principal", principal, "action", action, "target", target)
}

// A refusal is an error that the audit log hears more about than the caller.
type refusal struct {
	scheme, reason, principal string
	err                       error
}

func refuse(scheme, reason string, err error) *refusal {
	return &refusal{scheme: scheme, reason: reason, err: err}
}

// of adds who was refused. It must be certain: a claim of a token whose
// signature holds, not one of any token.
func (r *refusal) of(principal string) *refusal {
	r.principal = principal
	return r
}

func (r *refusal) Error() string { return "auth: " + r.scheme + ": " + r.reason + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Missing reports whether err refuses a caller who has shown nothing.
func Missing(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.reason == reasonNone
}

// Unsigned reports whether err refuses a caller who has shown nothing where only
// a signature would do.
func Unsigned(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.reason == reasonNone && r.scheme == SchemeSigV4
}

// Unknown reports whether err refuses a caller because of what is missing, or
// because an authorizer says that it does not know the credentials: not because
// it has judged them.
func Unknown(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && (r.reason == reasonNone || r.scheme == SchemeWebhook && r.reason == reasonUnknown)
}

// What callers are told.
var (
	errNone        = runnel.Errorf(runnel.Unauthenticated, "credentials are required")
	errBad         = runnel.Errorf(runnel.Unauthenticated, "the credentials are not valid")
	errNotYetValid = runnel.Errorf(runnel.Unauthenticated, "the credentials are not valid yet")
	errExpired     = runnel.Errorf(runnel.Unauthenticated, "the credentials have expired")
	errWithdrawn   = runnel.Errorf(runnel.Unauthenticated, "the credentials have been withdrawn")
)
