package app

import (
	"log/slog"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/obs"
	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/functionurl"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
)

// doors returns the protocols that the node speaks.
func doors(sessions runnel.Sessions, cfg *config.Config, metrics *obs.Metrics, log *slog.Logger) []server.Door {
	stream := func(transport string) sse.Config {
		return sse.Config{
			Heartbeat: cfg.Heartbeat, WriteTimeout: cfg.WriteTimeout,
			Lag: metrics.LogLag, Failed: metrics.Failed(transport),
		}
	}
	native := httpapi.New(sessions, httpapi.Config{MaxPrompt: int(cfg.MaxPrompt), Stream: stream("http"), Logger: log})
	metrics.Readers("http", native.Viewers)
	function := functionurl.New(sessions, functionurl.Config{MaxPrompt: int(cfg.MaxPrompt), Stream: stream("functionurl"), Logger: log})
	metrics.Readers("functionurl", function.Viewers)
	return []server.Door{
		{Name: "http", Register: native.Register, End: native.End},
		{Name: "functionurl", Register: function.Register, End: function.End, Error: functionurl.WriteError},
	}
}
