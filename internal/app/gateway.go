package app

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsapi"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// webSocketBeat is how often a quiet WebSocket is pinged: often enough for the
// proxies on the way, which forget connections after a minute or more.
const webSocketBeat = 45 * time.Second

// newGateway returns the door of WebSocket APIs.
func (a *App) newGateway() (*apigateway.Handler, error) {
	c := &a.cfg
	return apigateway.New(a.sessions, apigateway.Config{
		APIs:         c.WebSocketAPIs,
		Integrations: map[string]apigateway.Opener{wsapi.HTTP: apigateway.NewEndpoints(a.handlerClient())},
		Timeout:      c.WebSocketHandlerTimeout,
		ConnectRate:  c.WebSocketConnectRate,
		Conns: wsconn.Config{
			Origin: a.pageMayConnect, MaxMessage: int(c.WebSocketMaxMessage), MaxFrame: int(c.WebSocketMaxFrame),
			WriteTimeout: c.WriteTimeout, Idle: c.WebSocketIdleTimeout, MaxAge: c.WebSocketLifetime,
			ControlCounts: c.WebSocketCountPings, Beat: webSocketBeat, Bind: a.access.auth.Bind,
		},
		Authenticate: a.access.authenticate,
		Limits:       a.access.limits.Load(),
		Client:       c.Proxies().Client,
		Peers:        a.engine, Connections: a.engine,
		Failed: a.metrics.Failed("apigateway"), Logger: a.log,
	})
}

// handlerClient calls handlers, functions among them. It keeps as many connections as may be in use:
// streaming handlers are called for every message.
func (a *App) handlerClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 256, 256
	return &http.Client{Transport: a.functions.Transport(transport)}
}

// pageMayConnect reports whether r comes from no web page, from one of ours or
// from one of the origins that are configured.
func (a *App) pageMayConnect(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return wsconn.SameOrigin(r) || slices.ContainsFunc(a.cfg.CORSOrigins, func(allowed string) bool {
		before, after, wild := strings.Cut(allowed, "*")
		if !wild {
			return origin == allowed
		}
		return len(origin) >= len(before)+len(after) && strings.HasPrefix(origin, before) && strings.HasSuffix(origin, after)
	})
}
