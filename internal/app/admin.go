package app

import (
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/transport/admin"
)

// newAdmin returns the door of operators.
func (a *App) newAdmin() *admin.Handler {
	return admin.New(a.sessions, admin.Config{
		Open: !a.cfg.Authenticates(), Core: a.sessions, Depth: a.engine.Depth, Bus: a.engine, Node: a.node,
		Figures: a.metrics.Figures, Audit: auth.NewAudit(a.log), Failed: a.metrics.Failed("admin"), Logger: a.log,
	})
}
