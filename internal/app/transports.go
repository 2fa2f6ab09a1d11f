package app

import (
	"net/http"

	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/server"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/admin"
	"github.com/runnelhq/runnel/internal/transport/aisdk"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/transport/appsync"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
	"github.com/runnelhq/runnel/internal/transport/functionurl"
	"github.com/runnelhq/runnel/internal/transport/httpapi"
	"github.com/runnelhq/runnel/internal/transport/lambda"
	"github.com/runnelhq/runnel/internal/transport/lex"
	"github.com/runnelhq/runnel/internal/transport/openai"
)

// doors returns the protocols that the node speaks, to callers that it knows. A
// worker speaks none.
func (a *App) doors() []server.Door {
	if a.cfg.Role == config.Worker {
		return nil
	}
	sessions, cfg, metrics, log := a.sessions, &a.cfg, a.metrics, a.log
	stream := func(transport string) sse.Config {
		return sse.Config{
			Heartbeat: cfg.Heartbeat, WriteTimeout: cfg.WriteTimeout,
			Bind: a.access.auth.Bind, Hold: limit.Hold, Lag: metrics.LogLag, Failed: metrics.Failed(transport),
		}
	}
	native := httpapi.New(sessions, httpapi.Config{MaxPrompt: int(cfg.MaxPrompt), BodyTimeout: cfg.BodyTimeout, Stream: stream("http"), Logger: log})
	metrics.Readers("http", native.Viewers)
	function := functionurl.New(sessions, functionurl.Config{
		MaxPrompt: int(cfg.MaxPrompt), BodyTimeout: cfg.BodyTimeout, Stream: stream("functionurl"), Logger: log,
	})
	metrics.Readers("functionurl", function.Viewers)
	chat := openai.New(sessions, openai.Config{
		MaxPrompt: int(cfg.MaxPrompt), BodyTimeout: cfg.BodyTimeout, Models: a.table.Names, Disconnect: cfg.OpenAIDisconnect,
		Stream: stream("openai"), Logger: log,
	})
	metrics.Readers("openai", chat.Viewers)
	ui := aisdk.New(sessions, aisdk.Config{MaxPrompt: int(cfg.MaxPrompt), BodyTimeout: cfg.BodyTimeout, Stream: stream("aisdk"), Logger: log})
	metrics.Readers("aisdk", ui.Viewers)
	open := []server.Door{
		{Name: "http", Register: native.Register, End: native.End, Error: httpapi.WriteError},
		{Name: "functionurl", Register: function.Register, End: function.End, Error: functionurl.WriteError},
		{Name: "openai", Register: chat.Register, End: chat.End, Error: openai.WriteError},
		{Name: "aisdk", Register: ui.Register, End: ui.End, Error: aisdk.WriteError},
	}
	open = append(open, server.Door{Name: "admin", Register: a.admin.Register, Error: admin.WriteError})
	for i := range open {
		open[i].Register = a.guarded(open[i])
	}
	// These ask for credentials themselves, as their protocols have it.
	bot := a.newLex()
	metrics.Readers("lex", bot.Viewers)
	for i := range open {
		if open[i].Name == "functionurl" {
			open[i].Register = withTargets(open[i].Register, bot)
		}
	}
	open = append(open, server.Door{Name: "lex", Register: bot.Register, End: bot.End, Error: lex.WriteError})
	if a.lexPage != nil { // files that are public
		open = append(open, server.Door{Name: "lexpage", Register: a.lexPage.Register})
	}
	runtime := a.newBedrock(stream("bedrock"))
	metrics.Readers("bedrock", runtime.Viewers)
	open = append(open, server.Door{Name: "bedrock", Register: runtime.Register, End: runtime.End, Error: bedrock.WriteError})
	metrics.Readers("apigateway", a.gateway.Len)
	open = append(open, server.Door{
		Name: "apigateway", Register: a.gateway.Register, End: a.gateway.End, Error: apigateway.WriteError,
	})
	metrics.Readers("appsync", a.graphql.Len)
	open = append(open, server.Door{
		Name: "appsync", Register: a.graphql.Register, End: a.graphql.End, Error: appsync.WriteError, OwnOrigins: true,
	})
	open = append(open, a.functionDoors()...)
	if a.page != nil { // for everybody: who may not use the API is asked there
		open = append(open, server.Door{Name: "page", Register: a.registerPage})
	}
	return open
}

// functionDoors returns the doors of functions, which guard themselves: who may
// use one is for each to say.
func (a *App) functionDoors() []server.Door {
	cfg := lambda.Config{
		Functions: a.functions, Authenticate: a.access.forAction,
		BodyTimeout: a.cfg.BodyTimeout, WriteTimeout: a.cfg.WriteTimeout, Failed: a.metrics.Failed("lambda"), Logger: a.log,
	}
	invoke, urls := lambda.NewAPI(cfg), lambda.NewURLs(cfg)
	return []server.Door{
		{Name: "lambda", Register: invoke.Register, Error: lambda.WriteError},
		{Name: "functions", Register: urls.Register, Error: lambda.WriteURLError, OwnOrigins: true},
	}
}

// guarded returns a door's Register with the access rules around every handler.
func (a *App) guarded(d server.Door) func(func(string, http.Handler)) {
	return func(handle func(string, http.Handler)) {
		d.Register(func(pattern string, h http.Handler) { handle(pattern, a.access.guard(h, d.Error)) })
	}
}
