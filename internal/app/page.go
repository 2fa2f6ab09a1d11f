package app

import (
	"encoding/json"
	"net/http"

	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
	"github.com/runnelhq/runnel/internal/web"
)

// registerPage serves the page, and tells it with whom people sign in.
func (a *App) registerPage(handle func(string, http.Handler)) {
	a.page.Register(func(pattern string, h http.Handler) { handle(pattern, a.withPolicy(h)) })
	handle("GET /signin.json", http.HandlerFunc(a.signIn))
}

// withPolicy lets the page ask the issuer for tokens, if there is one that says where.
func (a *App) withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policy := web.Policy()
		if p, err := a.access.auth.SignIn(r.Context()); err == nil && p != nil {
			policy = web.Policy(p.TokenOrigin())
		}
		server.Page(policy, h).ServeHTTP(w, r)
	})
}

// signIn answers with whom people sign in: null if with nobody.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	p, err := a.access.auth.SignIn(r.Context())
	if err != nil {
		httpapi.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(p) // a client that has left is not a failure
}
