package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/transport/lex"
)

// access decides who may use the doors.
type access struct {
	auth     *auth.Service
	verifier *sigv4.Verifier
	issuer   *sigv4.Issuer // of credentials for Lex and its WebSocket
	lexStage string        // where that is

	limits atomic.Pointer[limit.Limiter] // nil until there is a log to count in

	// Of a signed request: its body is read before the door sees it.
	maxBody     int64
	bodyTimeout time.Duration
}

func newAccess(cfg *config.Config, functions *function.Set, log *slog.Logger) (*access, error) {
	verifier, err := sigv4.New(cfg.IAM, time.Now)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	issuer := sigv4.NewIssuer(cfg.Lex.Secret, "lex:*", "execute-api:Invoke")
	verifier.Accept(issuer)
	// JSON that escapes all but ASCII triples most texts, as the doors know.
	a := &access{verifier: verifier, issuer: issuer, lexStage: cfg.Lex.WebSocketStage(), maxBody: 3*int64(cfg.MaxPrompt) + 64<<10, bodyTimeout: cfg.BodyTimeout}
	// A webhook may be a function.
	client := &http.Client{Transport: functions.Transport(http.DefaultTransport.(*http.Transport))}
	if a.auth, err = auth.New(a.schemes(cfg), client, log); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return a, nil
}

func (a *access) schemes(cfg *config.Config) auth.Config {
	schemes := cfg.Auth()
	// Credentials may have been issued to guests, and for tokens.
	if len(cfg.IAM.Keys) > 0 || cfg.Authenticates() && (cfg.Lex.Guests || len(cfg.Issuers) > 0) {
		schemes.Signatures = a.signer
	}
	return schemes
}

// reload takes the credentials and limits of cfg in place of the present ones.
// After an error all is as it was.
func (a *access) reload(cfg *config.Config) error {
	if err := a.auth.Reload(a.schemes(cfg)); err != nil {
		return err
	}
	// What these could refuse, cfg's validation has.
	if l := a.limits.Load(); l != nil {
		if err := l.Reload(cfg.Limits); err != nil {
			return err
		}
	}
	return a.verifier.Reload(cfg.IAM)
}

// Reload takes over what load returns, as far as a running node can: the
// credentials that it accepts, and the limits. It also reads the certificate
// again. If load fails, or its result cannot be used, all stays as it is. The log
// says what came of it.
func (a *App) Reload(load func() (*config.Config, error)) {
	if a.certs != nil {
		if err := a.certs.Reload(); err != nil {
			a.log.Error("the new certificate is refused, the present one stays", "err", err)
		}
	}
	restart, err := a.reload(load)
	if err != nil {
		a.log.Error("the new configuration is refused, the present one stays", "err", err)
		return
	}
	auth.NewAudit(a.log).Acted(context.Background(), "", "reload", "configuration")
	a.log.Info("configuration reloaded")
	if len(restart) > 0 {
		a.log.Warn("these settings have changed and need a restart", "settings", restart)
	}
}

func (a *App) reload(load func() (*config.Config, error)) (restart []string, err error) {
	next, err := load()
	if err != nil {
		return nil, err
	}
	updated, restart := a.cfg.Updated(next)
	// What was right for next may be wrong here: the address is still the old one.
	if err := updated.Validate(); err != nil {
		return nil, err
	}
	return restart, a.access.reload(&updated)
}

// guard lets only those requests through to a door whose callers it knows; fail
// is how the door says no.
func (a *access) guard(door http.Handler, fail func(http.ResponseWriter, error)) http.Handler {
	checked := a.auth.Middleware(a.limited(door, fail), func(w http.ResponseWriter, r *http.Request, err error) {
		if err = a.failed(r, err); runnel.KindOf(err) == runnel.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		fail(w, err)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.limits.Load().Suspect(r); err != nil {
			fail(w, err)
			return
		}
		if r.ContentLength != 0 && sigv4.Signed(r) {
			// Doors set this deadline anew before they read the body again.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.bodyTimeout))
			r = r.WithContext(r.Context()) // a copy, whose body may be replaced
			r.Body = http.MaxBytesReader(w, r.Body, a.maxBody)
		}
		checked.ServeHTTP(w, r)
	})
}

// signer returns who signed a request.
func (a *access) signer(c auth.Credentials) (*runnel.Principal, error) {
	if c.Request == nil {
		return nil, runnel.Errorf(runnel.Unauthenticated, "there is no request that could have been signed")
	}
	body := c.Body
	if body == nil {
		body = func() ([]byte, error) { return peekBody(c.Request) }
	}
	service, _, _ := strings.Cut(c.Action, ":")
	signer, err := a.verifier.Verify(sigv4.FromHTTP(c.Request, body), service)
	if err == nil && c.Action != "" {
		err = signer.Allow(c.Action)
	}
	if err != nil {
		return nil, err
	}
	p := signer.Principal()
	if strings.HasPrefix(p.ID, sigv4.IssuedPrincipal) && !a.forLex(c) {
		return nil, runnel.Errorf(runnel.Denied, "these credentials are for Lex and its WebSocket only")
	}
	if lex.Guest(p) { // who could be as many as it likes
		p.Account = limit.ByAddress(new(runnel.Principal), c.Request).Account
	}
	return p, nil
}

// forLex reports whether issued credentials, whose actions have been checked, may
// be shown there: not at doors that take any signature, which could be asked for
// any model, and not at other WebSocket APIs.
func (a *access) forLex(c auth.Credentials) bool {
	if c.Action == "execute-api:Invoke" {
		parts := strings.Split(c.Resource, "/") // ARN of the API, stage, route
		return len(parts) > 1 && parts[1] == a.lexStage
	}
	return c.Action != ""
}

// forAction tells who wants to do an action of IAM's, within the caller's limits,
// for doors that speak for an AWS service.
func (a *access) forAction(r *http.Request, action string, body func() ([]byte, error)) (context.Context, context.CancelFunc, error) {
	c := auth.FromRequest(r)
	c.Action, c.Body = action, body
	p, err := a.authenticate(r.Context(), c)
	if err != nil {
		return nil, nil, err
	}
	p = limit.ByAddress(p, r)
	l := a.limits.Load()
	if _, err := l.Request(p); err != nil {
		return nil, nil, err
	}
	if most := l.Sizes(p).MaxBody; most > 0 && body != nil {
		if data, err := body(); err == nil && len(data) > int(most) { // an error the door will find itself
			return nil, nil, l.BodyTooLarge(p, most)
		}
	}
	place, err := l.Connect(p)
	if err != nil {
		return nil, nil, err
	}
	ctx, release := a.auth.Bind(r.Context(), p)
	return ctx, sync.OnceFunc(func() {
		release()
		place.Release()
	}), nil
}

// peekBody returns a request's body and leaves it to be read again.
func peekBody(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "the body could not be read").Because(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return data, nil
}
