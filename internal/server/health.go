package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
)

const checkTimeout = 2 * time.Second

// healthz answers as long as the process serves at all.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready      bool   `json:"ready"`
	Draining   bool   `json:"draining"`
	Engine     string `json:"engine"` // "ok", or what is wrong
	Durability string `json:"durability,omitempty"`
}

// readyz says whether new prompts should come here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	state := readiness{Draining: s.draining.Load(), Engine: "ok"}
	if s.cfg.Engine != nil {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		state.Durability = s.cfg.Engine.Durability()
		if err := s.cfg.Engine.Check(ctx); err != nil {
			s.log.WarnContext(ctx, "not ready", "err", err)
			state.Engine = runnel.PublicMessage(err)
		}
	}
	state.Ready = !state.Draining && state.Engine == "ok"
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !state.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(state)
}
