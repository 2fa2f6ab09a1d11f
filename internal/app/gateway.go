package app

import (
	"net/http"
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
			Origin: c.Origins().Allow, MaxMessage: int(c.WebSocketMaxMessage), MaxFrame: int(c.WebSocketMaxFrame),
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
	return &http.Client{Transport: a.traced(a.functions.Transport(transport))}
}
