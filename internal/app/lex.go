package app

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/transport/lex"
)

// newLex returns the door of Lex and of what its clients use besides.
func (a *App) newLex() *lex.Handler {
	c := &a.cfg
	fulfill, _ := a.functions.Lookup(c.Lex.Function)
	return lex.New(a.sessions, lex.Config{
		Authenticate: a.access.forAction, Token: a.access.forToken, Limit: a.access.forNobody,
		Fulfill: fulfill, Model: c.Lex.Model, System: c.Lex.System,
		// Where nobody is asked for credentials, anybody may have some.
		Issuer: a.access.issuer, Guests: c.Lex.Guests || !c.Authenticates(),
		Notes: a.engine, Connections: a.engine, Table: c.Lex.Table, NodeOf: apigateway.NodeOf,
		MaxPrompt: int(c.MaxPrompt), BodyTimeout: c.BodyTimeout, Failed: a.metrics.Failed("lex"), Logger: a.log,
	})
}

// openLexPage opens the folder of the UI, if there is one.
func (a *App) openLexPage() (err error) {
	c := &a.cfg.Lex
	if c.UI == "" {
		return nil
	}
	if a.lexPage, err = lex.OpenPage(c.UI, c.WebSocketStage(), cmp.Or(c.Table, lex.DefaultTable)); err != nil {
		return fmt.Errorf("lex.ui: %w", err)
	}
	return nil
}

// forToken tells whose a token is that somebody wants to exchange.
func (a *access) forToken(r *http.Request, token string) (*runnel.Principal, error) {
	return a.authenticate(r.Context(), auth.Credentials{Token: token, Request: r})
}

// forNobody counts a request of somebody who need show nothing.
func (a *access) forNobody(r *http.Request) error {
	_, err := a.limits.Load().Request(limit.ByAddress(new(runnel.Principal), r))
	return err
}

// checkLex makes sure that there is a model for Lex.
func (a *App) checkLex() error {
	if _, err := a.table.Lookup(a.cfg.Lex.Model); err != nil {
		return fmt.Errorf("lex.model: %w", err)
	}
	return nil
}

// withTargets has what is sent to the root for a service of AWS served by l, and
// all else as before.
func withTargets(register func(func(string, http.Handler)), l *lex.Handler) func(func(string, http.Handler)) {
	return func(handle func(string, http.Handler)) {
		register(func(pattern string, h http.Handler) {
			if pattern == "POST /{$}" {
				h = byTarget(h, l)
			}
			handle(pattern, h)
		})
	}
}

func byTarget(others, l http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lex.Speaks(r) {
			l.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}
