package app

import (
	"fmt"
	"os"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// newGraphQL returns the door of AppSync.
func (a *App) newGraphQL() (*appsync.Handler, error) {
	c := &a.cfg
	var sources []graphql.Source
	for _, name := range c.GraphQL.Schema {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("graphql.schema: %w", err)
		}
		sources = append(sources, graphql.Source{Name: name, Text: string(text)})
	}
	var notes runnel.Notes
	if len(c.NATSURL) > 0 { // there are other nodes, and notes outlive this one
		notes = a.engine
	}
	return appsync.New(a.sessions, appsync.Config{
		API: c.GraphQL, Sources: sources, Mode: defaultMode(c), Namespaces: c.EventNamespaces,
		Functions: a.functions, Client: a.handlerClient(), Bus: a.engine, Notes: notes,
		Authenticate: a.access.authenticate, Bind: a.access.auth.Bind, Asks: c.Authenticates(),
		Local: !c.Insecure, Origins: c.Origins(), Limits: a.access.limits.Load(),
		BodyTimeout: c.BodyTimeout, WriteTimeout: c.WriteTimeout, Heartbeat: c.Heartbeat,
		Failed: a.metrics.Failed("appsync"), Logger: a.log,
	})
}

// defaultMode returns how callers authenticate if a schema does not say it: as the
// first credentials that are configured.
func defaultMode(c *config.Config) graphql.Mode {
	switch {
	case len(c.Keys) > 0:
		return graphql.ModeAPIKey
	case len(c.Issuers) > 0:
		if c.Issuers[0].Cognito() {
			return graphql.ModeCognito
		}
		return graphql.ModeOIDC
	case len(c.IAM.Keys) > 0:
		return graphql.ModeIAM
	case c.Webhook != nil:
		return graphql.ModeLambda
	}
	return graphql.ModeUnchecked
}
